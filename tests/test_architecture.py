"""The rooms in docs/explanation/architecture.md are what the code does: imports point one way, never in a circle."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\w+) \| [^|]+ \| ([^|]*)\|$", re.MULTILINE)


def _house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", ROOT / "scripts" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOUSE = _house()
IMPORTS = HOUSE.room_imports(ROOT)
TEXT = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
ALLOWED = {
    name: set(re.findall(r"\w+", others))
    for name, others in ROW.findall(TEXT.split("## Rooms")[1].split("## Where")[0])
    if name != "room"
}


def test_every_room_is_in_the_table() -> None:
    rooms = {HOUSE.room(HOUSE.module_name(path, ROOT)) for path in HOUSE.trees(ROOT)} - {"raystilts", "encoders"}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_what_the_table_allows(room: str) -> None:
    assert IMPORTS.get(room, set()) <= ALLOWED[room]


def test_the_table_points_one_way() -> None:
    below: dict[str, set[str]] = {}
    left = dict(ALLOWED)
    while left:
        ready = {room for room, others in left.items() if others <= below.keys()}
        assert ready, f"a circle among {sorted(left)}"
        for room in ready:
            below[room] = left.pop(room)


def test_no_modules_import_each_other() -> None:
    assert HOUSE.circles(ROOT) == []


def test_no_file_is_too_long() -> None:
    long = {path.name: HOUSE.lines_of(path) for path in HOUSE.trees(ROOT) if HOUSE.lines_of(path) > 450}
    assert long == {}
