"""Results as lines of text, ``f1 = 0.79``: `test_results.txt`, `eval_results.txt`, `test_result3.txt` and the like.

So wrote the example scripts of transformers before version 4, and what is made from them still does. The split and the
number of the run stand in the name of the file; which model and task it was, in the names of the folders (--path).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from raystilts.importing.kinds import direction, split_name
from raystilts.importing.trees.layout import Found, Layout, Record

_NAME = re.compile(r"(?P<split>eval|dev|validation|test|predict)_results?[_-]?(?P<run>\d*)(_.*)?\.txt")
_LINE = re.compile(r"\s*(?P<key>[\w/.-]+)\s*=\s*(?P<value>[-+]?\d+(\.\d+)?([eE][-+]?\d+)?)\s*")


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    for path in marks:
        name = _NAME.fullmatch(path.name)
        assert name is not None
        about: Record = {"split": split_name(name["split"])} | ({"seed": int(name["run"])} if name["run"] else {})
        scores = _scores(path)
        if not scores:
            found.leave_out("no line such as 'f1 = 0.79'", path)
            continue
        found.files.append(path)
        for metric, value in scores.items():
            found.add(path, {**about, "metric": metric, "value": value})


def _scores(path: Path) -> dict[str, float]:
    """Metrics and values of a file; tables between the lines, and costs, are left out."""
    lines = path.read_text("utf-8-sig", errors="replace").splitlines()
    pairs = [found for line in lines if (found := _LINE.fullmatch(line)) is not None]
    return {pair["key"]: float(pair["value"]) for pair in pairs if direction(pair["key"]) != "cost"}


LAYOUT = Layout("results as text (f1 = 0.79)", lambda path: _NAME.fullmatch(path.name) is not None, _read)
