"""Shows that tools/check_budget.py fails when a hot path has become dearer, and only then.

The counting itself is valgrind's; here it is replaced by numbers, and everything else is real.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
import check_budget  # noqa: E402

STARTING_UP = 123_456


class BudgetTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = folder.name
        os.mkdir(os.path.join(self.build, "bench"))
        with open(os.path.join(self.build, "bench", "micro"), "w", encoding="utf-8"):
            pass
        self.budget = os.path.join(folder.name, "budget.json")
        self.write_cache("Release")

    def write_cache(self, build_type):
        path = os.path.join(self.build, "CMakeCache.txt")
        with open(path, "w", encoding="utf-8") as cache:
            cache.write("// a comment\nCMAKE_CXX_COMPILER:FILEPATH=/usr/bin/g++\n"
                        f"CMAKE_BUILD_TYPE:STRING={build_type}\n")

    def write_budget(self, costs, compiler="g++ 12.2.0"):
        with open(self.budget, "w", encoding="utf-8") as file:
            json.dump({"compiler": compiler, "instructions": costs}, file)

    def run_with(self, costs, *options):
        """Runs the check where an operation of each path costs what `costs` says."""
        def instructions(_micro, name, count):
            return STARTING_UP + costs[name] * count

        output = io.StringIO()
        arguments = ["check_budget.py", self.budget, self.build, *options]
        with mock.patch.object(check_budget, "COUNTS", {name: (10, 110) for name in costs}), \
                mock.patch.object(check_budget, "instructions", instructions), \
                mock.patch.object(check_budget, "compiler_of", lambda cache: "g++ 12.2.0"), \
                mock.patch.object(sys, "argv", arguments), \
                contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                status = check_budget.main()
            except SystemExit as end:
                status = end.code
        return status, output.getvalue()

    def test_the_cost_of_starting_up_is_not_counted(self):
        self.write_budget({"path": 100})
        status, output = self.run_with({"path": 100})
        self.assertEqual(status, 0)
        self.assertIn("test: 1 passed, 0 failed, 0 skipped", output)

    def test_a_growth_of_five_percent_passes_and_of_six_fails(self):
        self.write_budget({"same": 100, "grown": 100})
        self.assertEqual(self.run_with({"same": 100, "grown": 105})[0], 0)
        status, output = self.run_with({"same": 100, "grown": 106})
        self.assertEqual(status, 1)
        self.assertIn("TOO MUCH", output)
        self.assertIn("test: 1 passed, 1 failed, 0 skipped", output)

    def test_a_path_that_became_cheaper_passes(self):
        self.write_budget({"path": 100})
        status, output = self.run_with({"path": 50})
        self.assertEqual(status, 0)
        self.assertIn("better", output)

    def test_a_path_without_a_budget_and_a_budget_without_a_path_fail(self):
        self.write_budget({"old": 100})
        status, output = self.run_with({"new": 100})
        self.assertEqual(status, 1)
        self.assertIn("not in the budget", output)
        self.assertIn("no longer measured", output)

    def test_update_makes_what_was_measured_the_budget(self):
        status, _ = self.run_with({"path": 77}, "--update")
        self.assertEqual(status, 0)
        with open(self.budget, encoding="utf-8") as file:
            self.assertEqual(json.load(file),
                             {"compiler": "g++ 12.2.0", "instructions": {"path": 77.0}})

    def test_another_compiler_is_skipped_and_said_loudly(self):
        self.write_budget({"path": 100}, compiler="clang++ 19.1.0")
        status, output = self.run_with({"path": 500})
        self.assertEqual(status, 0)
        self.assertIn("SKIPPED", output)
        self.assertIn("test: 0 passed, 0 failed, 1 skipped", output)

    def test_what_cannot_be_measured_is_no_success(self):
        self.assertEqual(self.run_with({"path": 100})[0], 2, "there is no budget")
        self.write_budget({"path": 100})
        self.write_cache("Debug")
        self.assertEqual(self.run_with({"path": 100})[0], 2, "not a release build")
        self.write_cache("Release")
        os.remove(os.path.join(self.build, "bench", "micro"))
        self.assertEqual(self.run_with({"path": 100})[0], 2, "not built")


if __name__ == "__main__":
    unittest.main()
