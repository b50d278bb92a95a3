"""A table of a paper, as LaTeX has it: its cells as CSV, with what makes them bold, coloured or merged taken off."""

from __future__ import annotations

import csv
import io
import itertools
import re

#: A table's environment, with the columns' kinds behind it.
_BEGIN, _END = re.compile(r"\\begin\{(tabular[x*]?|longtable|array)\}"), r"\end{%s}"
_RULES = re.compile(r"\\(hline|(top|mid|bottom)rule|(c|cmid)(line|rule)(\([^)]*\))?\{[^}]*\}|addlinespace)(\[[^]]*\])?")
_ACROSS = re.compile(r"^\\multicolumn\{(\d+)\}\{[^}]*\}\{(.*)\}$", re.DOTALL)
_DOWN = re.compile(r"^\\multirow(?:\[[^]]*\])?\{(\d+)\}\{[^}]*\}(?:\[[^]]*\])?\{(.*)\}$", re.DOTALL)
_DROPPED = re.compile(r"\\(cellcolor|rowcolor|color|cite[a-z]*|footnote|label)(\[[^]]*\])*\{[^}]*\}")
_SIGNS = {r"\pm": "\u00b1", r"\%": "%", r"\_": "_", r"\&": "&", r"\#": "#", r"\checkmark": "yes", "~": " ", "--": "-"}


def table_of_latex(text: str) -> str:
    """The one table of a file as CSV.

    Raises:
        ValueError: There is none, or there are several.
    """
    text = re.sub(r"(?<!\\)%.*", "", text)
    found = list(_BEGIN.finditer(text))
    if len(found) != 1:
        raise ValueError(f"it holds {len(found)} tables; keep one: \\\\begin{{tabular}} to \\\\end{{tabular}}")
    body = text[found[0].end() :].partition(_END % found[0][1])[0]
    rows = [_row(line) for line in re.split(r"\\\\(?:\[[^]]*\])?", _without_kinds(body, found[0][1]))]
    rows = [row for row in rows if any(cell for cell in row)]
    for place, row in enumerate(rows):
        for column, cell in enumerate(row):
            if down := _DOWN.match(cell):
                for below in rows[place : place + int(down[1])]:
                    if column < len(below) and below[column] in ("", cell):
                        below[column] = down[2]
    width = max(map(len, rows), default=0)
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerows([*map(_plain, row), *[""] * (width - len(row))] for row in rows)
    return sink.getvalue()


def _without_kinds(body: str, environment: str) -> str:
    """What follows `{lcc}`; `tabularx` and `tabular*` have a width before it."""
    body = re.sub(r"^\s*\[[^]]*\]", "", body).lstrip()
    for _ in range(1 + environment.endswith(("x", "*"))):
        depths = itertools.accumulate((letter == "{") - (letter == "}") for letter in body)
        body = body[next((end for end, depth in enumerate(depths, 1) if not depth), 0) :].lstrip()
    return body


def _row(line: str) -> list[str]:
    cells = []
    for cell in re.split(r"(?<!\\)&", _DROPPED.sub("", _RULES.sub("", line))):
        across = _ACROSS.match(cell.strip())
        cells += [across[2].strip()] * int(across[1]) if across else [cell.strip()]
    return cells


def _plain(cell: str) -> str:
    """The words and numbers of a cell."""
    for sign, plain in _SIGNS.items():
        cell = cell.replace(sign, plain)
    cell = re.sub(r"\\[a-zA-Z]+\*?", " ", cell)
    return " ".join(re.sub(r"[{}$^]|(?<![\w])_|_(?=\{)", "", cell).split())
