"""tools/semantics.py joins rows and tests, keeps gaps in sight, and names what does not fit."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(os.path.dirname(os.path.dirname(HERE)), "tools", "semantics.py")

ROWS = """What this is.

# Falling
TO-01 = An apple falls
  down.
TO-02 n/a A feather floats. :: There is no air.
TO-03 ≠ A stone waits.

# Rising
TG-01 = A balloon rises.
"""
DIFFERENCES = """What this is.

TO-03
Python: It falls.
Ours: It waits.
Why: For the joke.
"""
TESTS = """
TEST(fall, TO_01_an_apple_falls) {}
TEST_F(fall,
       TO_01_it_falls_at_night) {}
SCENARIO(stones, TO_03_a_stone) {}
TEST(other, has_no_row) {}
"""


class Semantics(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.write("tests/semantics/rows.txt", ROWS)
        self.write("tests/semantics/differences.txt", DIFFERENCES)
        self.write("tests/core/fall_test.cpp", TESTS)
        os.makedirs(os.path.join(self.root, "docs"))

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def page(self, name="semantics"):
        with open(os.path.join(self.root, "docs", name + ".md"), encoding="utf-8") as file:
            return file.read()

    def run_tool(self, *words):
        end = subprocess.run([sys.executable, "-B", TOOL, "--root", self.root, *words],
                             capture_output=True, text=True, check=False)
        self.assertEqual(end.stderr, "")
        return end.returncode, end.stdout

    def test_rows_stand_beside_their_tests(self):
        self.assertEqual(self.run_tool(), (0, ""))
        page = self.page()
        self.assertIn("| TO-01 | = | An apple falls down. | fall: an apple falls<br>"
                      "fall: it falls at night |\n", page)
        self.assertIn("| TO-02 | n/a | A feather floats. | – There is no air. |\n", page)
        self.assertIn("oracle, stones: a stone", page)
        self.assertIn("| It falls. | It waits. | For the joke. | oracle, stones: a stone |",
                      self.page("differences"))

    def test_a_row_without_a_test_is_said_to_have_none(self):
        self.run_tool()
        self.assertIn("| TG-01 | = | A balloon rises. | **no test yet** |", self.page())
        self.assertIn("No test yet: TG-01.", self.page())
        self.assertIn("| **all** | 4 | 2 | 1 | 1 | 3 |", self.page())
        self.assertEqual(self.run_tool("--gaps"), (0, "TG-01 A balloon rises.\n"))

    def test_results_are_those_of_all_runs(self):
        def case(name, result="COMPLETED", **more):
            return {"name": name, "status": "RUN", "result": result, **more}

        def suites(*cases):
            return json.dumps({"testsuites": [{"name": "fall", "testsuite": list(cases)}]})

        self.write("results/a.json", suites(case("TO_01_an_apple_falls")))
        self.write("results/b.json", suites(case("TO_01_an_apple_falls", failures=[{}]),
                                            case("TO_01_it_falls_at_night")))
        folder = os.path.join(self.root, "results")
        path = os.path.join(folder, "behaviour.md")
        self.assertEqual(self.run_tool("--results", folder),
                         (0, f"0 rows proved, 1 failed, 1 not run: {path}\n"))
        with open(path, encoding="utf-8") as file:
            self.assertIn("| 1 failed, 1 passed |", file.read())
        self.assertFalse(os.path.exists(os.path.join(self.root, "docs", "semantics.md")))

    def test_a_page_that_is_out_of_date_is_found(self):
        self.run_tool()
        self.assertEqual(self.run_tool("--check"), (0, ""))
        self.write("tests/core/balloon_test.cpp", "TEST(rise, TG_01_a_balloon_rises) {}")
        status, said = self.run_tool("--check")
        self.assertEqual(status, 1)
        self.assertIn("docs/semantics.md does not fit the names of the tests", said)

    def expect_misfit(self, words):
        status, said = self.run_tool()
        self.assertEqual(status, 1)
        self.assertIn(words, said)

    def test_a_test_of_no_row_is_found(self):
        self.write("tests/core/more_test.cpp", "TEST(fall, TO_55_a_typing_error) {}")
        self.expect_misfit("more_test.cpp: TO_55_a_typing_error names a row that does not exist")

    def test_a_difference_that_is_not_explained_is_found(self):
        self.write("tests/semantics/differences.txt", "What this is.\n")
        self.expect_misfit("differences.txt does not explain TO-03")

    def test_a_scenario_that_differs_without_an_explanation_is_found(self):
        self.write("tests/oracle/stones.py",
                   '@differs(trace="""\n    1 main: x\n""")\n@scenario\nasync def TO_01_x():\n')
        self.expect_misfit("TO-01 differs from Python, and differences.txt does not say why")


if __name__ == "__main__":
    unittest.main()
