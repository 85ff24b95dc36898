"""The table of names: what is missing, unknown or there twice is found."""

import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import from_python  # noqa: E402


def misfits_of(change):
    """Of the page as `change` makes it, over the real headers."""
    with open(os.path.join(ROOT, "docs", "from-python.md"), encoding="utf-8") as file:
        page = change(file.read())
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "docs"))
        os.symlink(os.path.join(ROOT, "include"), os.path.join(folder, "include"))
        os.symlink(os.path.join(ROOT, "libs"), os.path.join(folder, "libs"))
        with open(os.path.join(folder, "docs", "from-python.md"), "w", encoding="utf-8") as file:
            file.write(page)
        return list(from_python.misfits(folder))


class FromPython(unittest.TestCase):
    def test_the_page_as_it_is_fits(self):
        self.assertEqual(misfits_of(lambda page: page), [])

    def test_a_name_of_pythons_that_is_left_out_is_found(self):
        found = misfits_of(lambda page: page.replace("| `shield` |", "| `sheild` |"))
        self.assertEqual(found, ["shield is missing"])

    def test_a_name_of_ours_that_does_not_exist_is_found(self):
        found = misfits_of(lambda page: page.replace("| `Lock` |\n", "| `Look` |\n"))
        self.assertEqual(found, ["Lock: no public header contains Look"])

    def test_a_name_that_stands_there_twice_is_found(self):
        found = misfits_of(lambda page: page + "| `Lock` | `Lock` |\n")
        self.assertEqual(found, ["Lock appears twice in the left column"])

    def test_a_row_without_an_answer_is_found(self):
        found = misfits_of(lambda page: page + "| `new` | |\n")
        self.assertEqual(found, ["new has an empty right column"])

    def test_code_on_the_right_becomes_a_piece_of_the_source_to_compile(self):
        page = ("```cpp\nextern int given;\n```\n"
                "| `x` | `co_await given(1)`, `given({ … })`, `T` |\n")
        source, pieces = from_python.source_of(page)
        self.assertEqual(pieces, ["co_await given(1)", "given({ … })"])
        self.assertIn("extern int given;", source)
        self.assertIn("Coro<> piece_1()", source)
        self.assertIn("auto piece_2()", source)
        self.assertNotIn("…", source)


if __name__ == "__main__":
    unittest.main()
