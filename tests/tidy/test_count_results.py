"""Shows that tools/count_results.py counts what ran, and loses nothing that failed."""

import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
import count_results  # noqa: E402

PASSED = {"status": "RUN", "result": "COMPLETED"}
FAILED = {"status": "RUN", "result": "COMPLETED", "failures": [{"failure": "1 != 2"}]}
SKIPPED = {"status": "RUN", "result": "SKIPPED"}
DISABLED = {"status": "NOTRUN", "result": "SUPPRESSED"}


def ctest_row(name, status, _cases, message=""):
    why = f'<skipped message="{message}"/>' if message else ""
    return f'<testcase name="{name}" status="{status}">{why}</testcase>'


def totals(programs):
    """`programs`: name -> (CTest's status, the cases it reported or None[, CTest's words])"""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "ctest.xml"), "w", encoding="utf-8") as file:
            rows = "".join(ctest_row(name, *program) for name, program in programs.items())
            file.write(f"<testsuite>{rows}</testsuite>")
        for name, (_, cases, *_) in programs.items():
            if cases is not None:
                with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
                    json.dump({"testsuites": [{"testsuite": cases}]}, file)
        return count_results.totals(folder)


class TotalsTest(unittest.TestCase):
    def test_the_cases_of_a_program_are_counted_one_by_one(self):
        self.assertEqual(totals({"core": ("fail", [PASSED, PASSED, FAILED, SKIPPED, DISABLED])}),
                         [2, 1, 1])

    def test_a_program_without_cases_of_its_own_counts_as_one(self):
        self.assertEqual(totals({"tidy": ("run", None), "docs": ("fail", None)}), [1, 1, 0])

    def test_a_program_that_chose_not_to_run_is_skipped(self):
        self.assertEqual(totals({"core.io_uring": ("notrun", None, "SKIP_RETURN_CODE=77")}),
                         [0, 0, 1])

    def test_a_program_that_is_missing_is_a_failure(self):
        self.assertEqual(totals({"core": ("notrun", None, "Unable to find executable")}),
                         [0, 1, 0])

    def test_a_program_that_failed_after_its_last_case_is_a_failure(self):
        self.assertEqual(totals({"core": ("fail", [PASSED, PASSED])}), [2, 1, 0])

    def test_a_program_that_crashed_before_it_could_report_is_a_failure(self):
        self.assertEqual(totals({"core": ("fail", None)}), [0, 1, 0])

    def test_a_program_whose_cases_were_all_filtered_out_adds_nothing(self):
        self.assertEqual(totals({"core": ("run", [])}), [0, 0, 0])


if __name__ == "__main__":
    unittest.main()
