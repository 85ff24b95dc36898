"""The page of troubles: what it says that programs say, they say.

The first table, of compilers' messages, is checked by tests/compile_fail/check.sh.
"""

import glob
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def first_cells(page, heading):
    section = page.split("## " + heading)[1].split("\n## ")[0]
    return re.findall(r"(?m)^\| `([^`]+)` \|", section)


class Troubleshooting(unittest.TestCase):
    page = read("docs", "guide", "troubleshooting.md")

    def test_each_message_at_run_time_stands_in_the_library(self):
        texts = ""
        for folder in ("include", "src"):
            for path in glob.glob(os.path.join(ROOT, folder, "**", "*.*"), recursive=True):
                texts += read(path)
        texts = re.sub(r'"\s*"', "", texts)  # literals that go on in the next line
        messages = first_cells(self.page, "Messages at run time")
        self.assertGreater(len(messages), 3)
        for message in messages:
            self.assertIn(message, texts)

    def test_each_rule_of_the_script_is_explained(self):
        rules = set(re.findall(r'(?m)^    "([a-z-]+)":$', read("tool", "lint", "asyncio-lint")))
        explained = set(first_cells(self.page, "What compiles and is wrong"))
        self.assertEqual(rules, explained)

    def test_each_case_of_the_table_exists(self):
        cases = read("tests", "compile_fail", "cases.cpp")
        numbers = re.findall(r"(?m)\| (\d+) \|$", self.page)
        self.assertGreater(len(numbers), 9)
        for number in numbers:
            self.assertRegex(cases, r"CASE == %s\b" % number)


if __name__ == "__main__":
    unittest.main()
