"""A table of a paper, as LaTeX has it: its cells as CSV, with what makes them bold, coloured or merged taken off."""

from __future__ import annotations

import csv
import io
import itertools
import re

#: A table's environment, with the columns' kinds behind it.
_BEGIN, _END = re.compile(r"\\begin\{(tabular[x*]?|longtable|array)\}"), r"\end{%s}"
_RULES = re.compile(r"\\(hline|(top|mid|bottom)rule|(c|cmid)(line|rule)(\([^)]*\))?\{[^}]*\}|addlinespace)(\[[^]]*\])?")
#: Commands with what they say left out: of one argument, of two (`\textcolor{red}{78.3}` keeps its second).
_ONE = (
    "cellcolor|rowcolor|color|textcolor|colorbox|cite[a-z]*|footnote|footnotetext|tnote|label|phantom|hphantom|"
    "vphantom|hspace|vspace|scalebox|rotatebox|raisebox|parbox"
)
_DROPPED = re.compile(
    rf"\\(footnotemark(\[[^]]*\])?(?![a-z])|({_ONE})\*?(\[[^]]*\])*\{{[^}}]*\}}|"
    r"(fcolorbox|resizebox)\*?(\[[^]]*\])*\{[^}]*\}\{[^}]*\})"
)
_OPTIONAL = re.compile(r"\s*(\[[^]]*\]\s*)*")
_SCRIPT = re.compile(r"(?<!\\)[_^]|\\text(?:sub|super)script(?![a-zA-Z])")
#: Commands that only say how it looks; others, such as arrows and daggers, say that a number is no spread.
_LOOKS = re.compile(
    r"\\(text(rm|it|bf|sc|sf|tt|normal)?|math[a-z]+|rm|it|bf|tiny|small|scriptsize|footnotesize|normalsize|pm|"
    r"(script)+style)(?![a-zA-Z])"
)
_POWER = re.compile(
    r"(?:(?<![\d.,])(\d+(?:\.\d+)?)\s*\\(?:times|cdot)\s*|(?<![\w.,]))(10|2)\^(?:\{\s*(-?\d{1,2})\s*\}|(\d))"
)
#: What scripts are marks of: a number, with a spread or not, or the dashes of a missing one.
_NUMBER = re.compile(
    r"[-+\u2212]?[\d.,' ]*\d(e[-+]?\d+)?[\s%*\u2020\u2021]*([(\[\u00b1].*)?|[-\u2013\u2014]+|n/?a", re.IGNORECASE
)
#: `66.4(12)` is 66.4 with 1.2 as its spread: 12 is in units of the last digit.
_COMPACT = re.compile(r"([-+]?\d*\.\d+)\(\d+\)")
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
            if down := _spanning(cell, "multirow"):
                number, text = down
                # Below zero it goes upwards, and stands in the last of its rows.
                first, last = (place, place + number) if number > 0 else (max(0, place + number + 1), place + 1)
                for one in rows[first:last]:
                    if column < len(one) and one[column] in ("", cell):
                        one[column] = text
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
    cells: list[str] = []
    for cell in re.split(r"(?<!\\)&", _DROPPED.sub("", _RULES.sub("", line))):
        across = _spanning(cell.strip(), "multicolumn")
        cells += [across[1].strip()] * max(1, across[0]) if across else [cell.strip()]
    return cells


def _spanning(cell: str, command: str) -> tuple[int, str] | None:
    """How many rows or columns a cell goes over, and what it holds; None where it does not."""
    found = re.search(rf"\\{command}(?![a-zA-Z])", cell)
    if not found:
        return None
    end, arguments = found.end(), []
    for _ in range(3):  # number, width or kinds of columns, text
        argument, end = _argument(cell, end)
        arguments.append(argument)
    number = re.fullmatch(r"\s*(-?\d+)\s*", arguments[0])
    return (int(number[1]), cell[: found.start()] + arguments[2] + cell[end:]) if number else None


def _argument(text: str, start: int) -> tuple[str, int]:
    """What a command takes at a place, a group in braces without these or a single sign, and where it ends."""
    if space := _OPTIONAL.match(text, start):
        start = space.end()
    depth = 0
    command = re.compile(r"\\[a-zA-Z]+").match(text, start)
    begin = command.end() if command else start  # `_\text{base}`
    if text[begin : begin + 1] != "{":
        end = begin if command else start + 1
        return text[start:end], end
    for end, letter in enumerate(text[begin:], begin + 1):
        depth += (letter == "{") - (letter == "}")
        if not depth:
            return (text[start:end] if command else text[begin + 1 : end - 1]), end
    return text[start:], len(text)


def _plain(cell: str) -> str:
    """The words and numbers of a cell; what is written above or below a number is no part of it."""
    cell = _POWER.sub(lambda it: f"{float(it[1] or 1) * float(it[2]) ** int(it[3] or it[4]):.12g}", cell)
    bare, named, spreads, end = "", "", "", 0
    while found := _SCRIPT.search(cell, end):
        script, after = _argument(cell, found.end())
        spread = _spread(script, above=found[0] in ("^", r"\textsuperscript"))
        bare += cell[end : found.start()] + " "
        named += cell[end : found.start()] + (cell[found.start() : after] if spread is None else " ")
        spreads += f" \u00b1 {spread}" if spread else ""
        end = after
    number = _words(bare + cell[end:])
    if not _NUMBER.fullmatch(number):
        return _words(cell)
    return _COMPACT.sub(r"\1", _words(named + cell[end:])) + (spreads if re.search(r"\d", number) else "")


def _spread(script: str, *, above: bool) -> str | None:
    """The spread that stands above or below a number: empty for a mark, None for letters that may be of a name."""
    text = _words(script).strip("()[] ")
    if "\u00b1" in text:
        found = re.fullmatch(r"\u00b1\s*(\d*[.,]?\d+\s*%?)", text)
        return found[1] if found else None
    if above or "\\" in _LOOKS.sub("", script).replace(r"\%", ""):
        return ""
    if re.fullmatch(r"\d*[.,]\d+\s*%?", text):
        return text
    return None if re.search(r"[a-zA-Z]", text) else ""


def _words(cell: str) -> str:
    for sign, plain in _SIGNS.items():
        cell = cell.replace(sign, plain)
    # Of thousands, `1\,000`, a space is no gap; arguments of a command that is not known here, `{1}{2}`, are no number.
    cell = re.sub(r"(?<=\d)\}\s*\{(?=\d)", " ", re.sub(r"(?<=\d)\\,(?=\d{3}(?!\d))", "", cell))
    cell = re.sub(r"\\[a-zA-Z]+\*?|\\[,;:! ]", " ", cell)
    return " ".join(re.sub(r"[{}$^]|(?<![\w])_|_(?=\{)", "", cell).split())
