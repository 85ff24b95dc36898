#!/usr/bin/env python3
"""Writes docs/semantics.md and docs/differences.md: the behaviour, and the tests that prove it.

The behaviours are paragraphs of tests/semantics/rows.txt. The deliberate differences from CPython
are paragraphs of tests/semantics/differences.txt. The name of a test says which rows it proves:
`TEST(cancel, CAN_07_…)`, `SCENARIO(cancel, CAN_07_…)`, in tests/compile_fail a comment
`// TASK_10: …` under the case. A row without a test is listed as such.

usage: tools/semantics.py [--results DIR] [--check] [--gaps] [--root DIR]
  --results DIR  a folder results/ of a test run (JSON of GoogleTest, ctest.xml): writes only
                 DIR/behaviour.md, the same table with the result of each row, and counts them
  --check        writes nothing; fails if the two files do not agree with the names of the tests
  --gaps         prints the rows without a test
Exit status: 0, or 1 if files do not agree; every disagreement is printed.
"""

import argparse
import collections
import glob
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NO_TEST = "**no test yet**"

Row = collections.namedtuple("Row", "id kind text reason section")
Test = collections.namedtuple("Test", "suite name path")


def read(path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def paragraphs(text):
    """Lines; a line that begins with blanks continues the line before."""
    for line in re.sub(r"\n +", " ", text).split("\n"):
        if line:
            yield line


def read_rows():
    rows, section = [], None
    for line in paragraphs(read("tests/semantics/rows.txt")):
        heading = re.match(r"# (.*)", line)
        row = re.match(r"([A-Z]+-\d\d) (=|~|≠|own|n/a) (.*)", line)
        if heading:
            section = heading[1]
        elif row and section:
            text, _, reason = row[3].partition(" :: ")
            rows.append(Row(row[1], row[2], text, reason, section))
    return rows


def read_differences():
    """[(id, {"Python": …, "Ours": …, "Why": …})]"""
    entries = []
    for line in paragraphs(read("tests/semantics/differences.txt")):
        if re.fullmatch(r"[A-Z]+-\d\d", line):
            entries.append((line, {}))
        elif entries:
            word, _, said = line.partition(": ")
            entries[-1][1][word] = said
    return entries


# --------------------------------------------------------------------------------------- the tests

NAMED_TEST = re.compile(r"\b(TEST(?:_[FP])?|(?:RUN_)?SCENARIO)\(\s*(\w+),\s*(\w+)\s*\)")
CASE = re.compile(r"#elif CASE == (\d+)[^\n]*\n\s*// ([A-Z]+_\d\d\w*): ([^\n]*)")


def find_tests():
    tests = []
    paths = (glob.glob(os.path.join(root, "tests", "**", "*.cpp"), recursive=True)
             + glob.glob(os.path.join(root, "tests", "**", "check_*.h"), recursive=True)
             + glob.glob(os.path.join(root, "libs", "*", "tests", "*.cpp")))
    for path in sorted(paths):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        short = os.path.relpath(path, root)
        for kind, suite, name in NAMED_TEST.findall(text):
            tests.append(Test("oracle_" + suite if "SCENARIO" in kind else suite, name, short))
        if "compile_fail" in short:
            for number, ids, words in CASE.findall(text):
                name = f"{ids}_{words} (case {number})".replace(" ", "_")
                tests.append(Test("compile_fail", name, short))
    return tests


def ids_of(name):
    prefix = re.match(r"(?:[A-Z]+_\d\d_)*", name)[0]
    return [match.replace("_", "-") for match in re.findall(r"[A-Z]+_\d\d", prefix)]


def sentence_of(test):
    words = re.sub(r"^(?:[A-Z]+_\d\d_)+", "", test.name).replace("_", " ")
    return f"{test.suite.replace('oracle_', 'oracle, ')}: {words}"


def scenarios_that_differ():
    """Ids of the scenarios that are marked with @differs in Python."""
    found = set()
    for path in glob.glob(os.path.join(root, "tests", "oracle", "*.py")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for name in re.findall(r'@differs\(.*?"""\)\n@scenario\n(?:async )?def (\w+)', text, re.S):
            found.update(ids_of(name))
    return found


# ----------------------------------------------------------------------------------------- results

def read_results(folder):
    """(suite, name) -> set of "passed", "failed", "skipped", over all runs."""
    results = collections.defaultdict(set)
    for path in glob.glob(os.path.join(folder, "*.json")):
        with open(path, encoding="utf-8") as file:
            suites = json.load(file).get("testsuites", [])
        for suite in suites:
            for case in suite.get("testsuite", []):
                if case.get("status") == "RUN" and case.get("result") != "SUPPRESSED":
                    end = ("failed" if "failures" in case else
                           "skipped" if case.get("result") == "SKIPPED" else "passed")
                    results[suite["name"].split("/")[-1], case["name"].split("/")[0]].add(end)
    programs = os.path.join(folder, "ctest.xml")
    if os.path.exists(programs):
        for program in ElementTree.parse(programs).getroot().iter("testcase"):
            end = {"run": "passed", "fail": "failed"}.get(program.get("status"), "skipped")
            results[program.get("name"), None].add(end)
    return results


def end_of(test, results):
    ends = results.get((test.suite, test.name)) or results.get((test.suite, None)) or set()
    for end in ("failed", "passed", "skipped"):
        if end in ends:
            return end
    return "not run"


def end_of_row(tests, results):
    """How its tests ended, the worst first, with the number of each."""
    ends = collections.Counter(end_of(test, results) for test in tests)
    order = ("failed", "not run", "skipped", "passed")
    return ", ".join(f"{ends[end]} {end}" for end in order if ends[end])


# --------------------------------------------------------------------------------------- the pages

def cell(text):
    return text.replace("|", "\\|")


def table(heads, lines):
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield "| " + " | ".join(cell(part) for part in line) + " |"
    yield ""


def count_lines(rows, tests_of):
    sections = list(dict.fromkeys(row.section for row in rows))
    for section in sections + [None]:
        chosen = [row for row in rows if section in (row.section, None)]
        silent = [row for row in chosen if row.kind == "n/a"]
        tested = [row for row in chosen if row.kind != "n/a" and tests_of[row.id]]
        tests = {test for row in chosen for test in tests_of[row.id]}
        yield (section or "**all**", str(len(chosen)), str(len(tested)), str(len(silent)),
               str(len(chosen) - len(tested) - len(silent)), str(len(tests)))


def proof_of(row, tests_of):
    if row.kind == "n/a":
        return "– " + row.reason
    return "<br>".join(sentence_of(test) for test in tests_of[row.id]) or NO_TEST


def semantics_page(rows, tests_of, results=None):
    yield "# Behaviour"
    yield ""
    yield "What the library does, row by row, and the tests that prove it. Written by"
    yield "`tools/semantics.py` from `tests/semantics/rows.txt` and the tests' names; do not"
    yield "edit."
    yield ""
    yield ("`=` as in Python, `~` in another form, `≠` [different on purpose](differences.md), "
           "`own` only in C++, `n/a` means nothing in C++.")
    yield ""
    yield from table(("section", "rows", "tested", "n/a", "no test yet", "tests"),
                     count_lines(rows, tests_of))
    missing = [row.id for row in rows if row.kind != "n/a" and not tests_of[row.id]]
    if missing:
        yield f"No test yet: {', '.join(missing)}."
        yield ""
    for section in dict.fromkeys(row.section for row in rows):
        yield f"## {section}"
        yield ""
        lines = []
        for row in rows:
            if row.section == section:
                line = (row.id, row.kind, row.text, proof_of(row, tests_of))
                lines.append(line if results is None else
                             line + (end_of_row(tests_of[row.id], results),))
        heads = ("id", "", "behaviour", "proved by")
        yield from table(heads if results is None else heads + ("result",), lines)


def differences_page(differences, tests_of):
    yield "# Differences from CPython"
    yield ""
    yield "Every deliberate difference, with its reason and its tests. Every other difference"
    yield "is a mistake. Written by `tools/semantics.py` from `tests/semantics/differences.txt`; do"
    yield "not edit."
    yield ""
    yield from table(("id", "Python", "ours", "why", "proved by"), [
        (row_id, said["Python"], said["Ours"], said["Why"],
         "<br>".join(map(sentence_of, tests_of[row_id])) or NO_TEST)
        for row_id, said in differences])


def report(folder, rows, tests_of):
    """Writes the rows with the results of a run, and counts them."""
    results = read_results(folder)
    path = os.path.join(folder, "behaviour.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(semantics_page(rows, tests_of, results)))
    ends = collections.Counter()
    for row in rows:
        found = {end_of(test, results) for test in tests_of[row.id]}
        for end in ("failed", "passed", "skipped", "not run"):
            if end in found:
                ends[end] += 1
                break
    print(f"{ends['passed']} rows proved, {ends['failed']} failed, "
          f"{ends['skipped'] + ends['not run']} not run: {path}")


# ----------------------------------------------------------------------------------------- together

def misfits(rows, differences, tests):
    ids = {row.id for row in rows}
    for test in tests:
        for row_id in ids_of(test.name):
            if row_id not in ids:
                yield f"{test.path}: {test.name} names a row that does not exist"
    if len(ids) != len(rows):
        yield "rows.txt: an id appears twice"
    explained = {row_id for row_id, _ in differences}
    for row in rows:
        if row.kind == "≠" and row.id not in explained:
            yield f"differences.txt does not explain {row.id}"
        if row.kind == "n/a" and not row.reason:
            yield f"rows.txt: {row.id} gives no reason"
    for row_id in sorted(explained - ids):
        yield f"differences.txt explains {row_id}, which is not a row"
    for row_id in sorted(scenarios_that_differ() - explained):
        yield f"tests/oracle: {row_id} differs from Python, and differences.txt does not say why"
    for row_id, said in differences:
        if set(said) != {"Python", "Ours", "Why"}:
            yield f"differences.txt: {row_id} does not say Python, Ours and Why"


def main():
    global root
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--results")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--gaps", action="store_true")
    parser.add_argument("--root", default=root)
    options = parser.parse_args()
    root = options.root

    rows, differences, tests = read_rows(), read_differences(), find_tests()
    tests_of = collections.defaultdict(list)
    for test in tests:
        for row_id in ids_of(test.name):
            tests_of[row_id].append(test)
    if options.gaps:
        for row in rows:
            if row.kind != "n/a" and not tests_of[row.id]:
                print(row.id, row.text)
        return 0

    if options.results:
        report(options.results, rows, tests_of)
        return 0

    wrong = list(misfits(rows, differences, tests))
    pages = {"docs/semantics.md": semantics_page(rows, tests_of),
             "docs/differences.md": differences_page(differences, tests_of)}
    for path, lines in pages.items():
        text = "\n".join(lines).rstrip("\n") + "\n"
        if options.check:
            if read(path) != text:
                wrong.append(f"{path} does not fit the names of the tests: run tools/semantics.py")
        else:
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
    for line in wrong:
        print(f"semantics: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
