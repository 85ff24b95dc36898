"""The programs of the tutorials: lines are counted alike on both sides, and a misfit is found."""

import os
import stat
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import tutorials  # noqa: E402


class Tutorials(unittest.TestCase):
    def test_empty_lines_and_comments_do_not_count(self):
        self.assertEqual(tutorials.count_lines("a = 1\n\n  # why\nb = 2  # what\n", "#"), 2)
        self.assertEqual(tutorials.count_lines("int a;\n\n  // why\n}\n", "//"), 2)

    def test_times_of_day_and_the_spelling_of_truth_do_not_differ(self):
        self.assertEqual(tutorials.comparable("at 12:34:56 True\n"),
                         tutorials.comparable("at 01:02:03 true\n"))
        self.assertNotEqual(tutorials.comparable("1.00"), tutorials.comparable("1.01"))

    def test_every_program_is_named_and_has_its_twin(self):
        for name in tutorials.names():
            program = tutorials.Program(name)
            self.assertGreater(program.python_lines, 0)
            self.assertGreater(program.cpp_lines, 0)
            first = tutorials.read(name + ".cpp").split("\n", 1)[0]
            self.assertEqual(first, "// " + program.heading)

    def test_the_sum_of_lines_is_within_the_bound(self):
        python, cpp = tutorials.totals([tutorials.Program(name) for name in tutorials.names()])
        self.assertLessEqual(cpp, tutorials.MOST_LINES * python)

    def test_a_program_that_prints_something_else_is_found(self):
        program = tutorials.Program("tasks_hello")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, program.name)
            for text, fits in (("hello\\nworld", True), ("world\\nhello", False)):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"#!/bin/sh\nprintf '{text}\\n'\n")
                os.chmod(path, stat.S_IRWXU)
                self.assertEqual(tutorials.misfit(program, folder) == "", fits)

    def test_a_program_that_fails_is_found(self):
        program = tutorials.Program("tasks_hello")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, program.name)
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\necho hello; echo world; exit 1\n")
            os.chmod(path, stat.S_IRWXU)
            self.assertIn("status 1", tutorials.misfit(program, folder))


if __name__ == "__main__":
    unittest.main()
