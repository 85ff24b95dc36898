#!/usr/bin/env python3
"""Brings over-long comment paragraphs back to 100 columns.

clang-format can reflow comments, but it does not know their structure: it joins a numbered list
and a line that begins with a label ("Throws: …", "Python: …") to one block. This script takes the
comments on lines of their own and splits them into paragraphs, list items and labelled lines. It
reflows only those with a line that is too long. A comment behind code that makes its line too long
moves above the line. Everything else stays unchanged, so a second run changes nothing.

usage: wrap_comments.py FILE...   (rewrites in place, prints the names of the files it changed)
"""

import re
import sys
import textwrap

WIDTH = 100
COMMENT = re.compile(r"^(?P<indent>\s*)(?P<mark>///?<?|//!)(?P<text>.*)$")
ITEM = re.compile(r"^\s*(?:\d+\.|[-*•]|[a-z]\))\s+")
LABEL = re.compile(
    r"^ ?(?:Returns?|Throws|Cancellation|Thread-safety|Cost|Python|Source|Example|Lifetime"
    r"|Invariants?)\b"
)
# A line is not broken at blanks inside `code`, unless the code is half a line long.
CODE = re.compile(r"`[^`]{1,40}`")
HARD_BLANK = "\0"
TRAILING = re.compile(
    r'^(?P<code>(?P<indent>\s*)[^\s"][^"]*?)\s+(?P<mark>///<|//) (?P<text>[^"]*)$'
)


def starts_paragraph(text):
    return not text.strip() or ITEM.match(text) is not None or LABEL.match(text) is not None


def hanging_indent(text):
    """The indentation of the second line of a paragraph whose first line is `text`."""
    item = ITEM.match(text)
    return item.end() if item else len(text) - len(text.lstrip())


def continues(first, text):
    """Whether `text` is a later line of the paragraph that begins with the line `first`."""
    if starts_paragraph(text):
        return False
    return len(text) - len(text.lstrip()) == hanging_indent(first)


def paragraphs(lines):
    """Groups the comment lines `lines` (texts behind the slashes) into paragraphs."""
    group = []
    for text in lines:
        if group and group[0].strip() and continues(group[0], text):
            group.append(text)
            continue
        if group:
            yield group
        group = [text]
    if group:
        yield group


def fill(prefix, texts):
    if all(len(prefix + text) <= WIDTH for text in texts):
        return [prefix + text for text in texts]
    first_indent = len(texts[0]) - len(texts[0].lstrip())
    if first_indent > 4 and not ITEM.match(texts[0]):
        return [prefix + text for text in texts]  # Drawn by hand: code, a table, a picture.
    joined = " ".join(text.strip() for text in texts)
    joined = CODE.sub(lambda match: match.group().replace(" ", HARD_BLANK), joined)
    filled = textwrap.wrap(
        joined,
        WIDTH,
        initial_indent=prefix + " " * first_indent,
        subsequent_indent=prefix + " " * hanging_indent(texts[0]),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(HARD_BLANK, " ") for line in filled]


def lift_trailing(line):
    """The lines for `line`; if it is too long, its trailing comment stands above it."""
    match = TRAILING.match(line)
    if match is None or len(line) <= WIDTH or COMMENT.match(line):
        return [line]
    mark = "///" if match["mark"] == "///<" else "//"
    return fill(match["indent"] + mark, [" " + match["text"]]) + [match["code"]]


def wrap(source):
    result, block, prefix, off = [], [], None, False

    def flush():
        for group in paragraphs(block):
            result.extend(fill(prefix, group))
        block.clear()

    for line in source.split("\n"):
        match = COMMENT.match(line)
        if match and "clang-format o" in line:
            off = "off" in line
        if match is None or off or line.lstrip().startswith("///<"):
            flush()
            prefix = None
            result.extend([line] if off else lift_trailing(line))
            continue
        here = match["indent"] + match["mark"]
        if here != prefix:
            flush()
            prefix = here
        block.append(match["text"])
    flush()
    return "\n".join(result)


def main(names):
    for name in names:
        with open(name, encoding="utf-8") as file:
            before = file.read()
        after = wrap(before)
        if after != before:
            with open(name, "w", encoding="utf-8") as file:
                file.write(after)
            print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
