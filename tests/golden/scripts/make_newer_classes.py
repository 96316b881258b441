#!/usr/bin/env python3
# Copyright the assay authors
# SPDX-License-Identifier: Apache-2.0
"""The members of src/text/newer_classes.inc: code points that the `tokenizers` package's patterns find in
a general category and Unicode 14.0, by which PCRE2 10.42 goes, does not know.

  make_newer_classes.py > src/text/newer_classes.inc

Asks the package about every code point. Needs Python 3.11, whose tables are of Unicode 14.0."""
import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So".split()
CHUNK = 4096


def known_to_package(category, code_points):
    """Those of `code_points` that are left when all that is not of the category is removed."""
    others = pre_tokenizers.Split(Regex(rf"\P{{{category}}}"), "removed")
    for begin in range(0, len(code_points), CHUNK):
        text = "".join(map(chr, code_points[begin:begin + CHUNK]))
        yield from (ord(c) for piece, _ in others.pre_tokenize_str(text) for c in piece)


def as_ranges(code_points):
    ranges = []
    for c in code_points:
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    return ranges


def main():
    if unicodedata.unidata_version != "14.0.0":
        sys.exit("make_newer_classes: needs Python 3.11, whose tables are of Unicode 14.0")
    unknown = [c for c in range(0x110000) if unicodedata.category(chr(c)) == "Cn"]
    print("// Made by tests/golden/scripts/make_newer_classes.py.")
    for category in CATEGORIES:
        ranges = as_ranges(list(known_to_package(category, unknown)))
        members = [rf"\x{{{a:x}}}" + (rf"-\x{{{b:x}}}" if b > a else "") for a, b in ranges]
        if not members:
            continue
        lines = [f'{{"{category}",']
        for member in members:
            if len(lines) > 1 and len(lines[-1]) + len(member) < 86:
                lines[-1] += member
            else:
                lines.append(f'     R"({member}')
        print(lines[0] + "\n" + ')"\n'.join(lines[1:]) + ')"},')


if __name__ == "__main__":
    main()
