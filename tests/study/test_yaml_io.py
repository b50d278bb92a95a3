from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from raystilts.errors import UserError
from raystilts.study.base import parse_yaml, read_yaml, set_key


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("2E3", 2000.0),
        ("5.e-4", 5e-4),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("012", 12),
        ("-7", -7),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("12:30:45", "12:30:45"),
        ("2026-11-21", "2026-11-21"),
        ("1_000", "1_000"),
        ("'1e-5'", "1e-5"),
        ("[en, no, 1.0]", ["en", "no", 1.0]),
    ],
)
def test_plain_values(text: str, value: Any) -> None:
    found = parse_yaml(text, "here")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds: [0]\nname: a\nseeds: [1]\n", "f.yaml, line 3: 'seeds' is given twice; keep one"),
        ("a:\n  b: {c: 1, c: 2}\n", "f.yaml, line 2: 'c' is given twice; keep one"),
        ("a: 1\n\tb: 2", "f.yaml, line 2: .*cannot start any token"),
        ("a: {[1]: 2}", "f.yaml, line 1: a key must be a plain word"),
        ("a: [1", "f.yaml, line 1: "),
        ("!!python/object/apply:os.getcwd []", "f.yaml, line 1: the tag !!python/object/apply:os.getcwd means nothing here"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        parse_yaml(text, "f.yaml")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nope\.yaml: no such study file"):
        read_yaml(tmp_path / "nope.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes\.yaml: cannot be read as a text file"):
        read_yaml(tmp_path / "bytes.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)


def test_set_key() -> None:
    data: dict[str, Any] = {"seeds": [0], "encoder": {"pooling": "mean"}}
    set_key(data, "seeds=[1, 2]")
    set_key(data, "encoder.revision=main")
    set_key(data, "hyperparameters.tasks.mnli.learning_rate=1e-5")
    set_key(data, "name=a=b")
    assert data == {
        "seeds": [1, 2],
        "encoder": {"pooling": "mean", "revision": "main"},
        "hyperparameters": {"tasks": {"mnli": {"learning_rate": 1e-5}}},
        "name": "a=b",
    }


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seeds", "--set seeds: expected key.path=value"),
        ("=3", "expected key.path=value"),
        ("a..b=3", "expected key.path=value"),
        ("seeds.0=1", "--set seeds.0=1: 'seeds' is a list, not a mapping"),
        ("seeds=[1", r"--set seeds=\[1, line 1: "),
    ],
)
def test_set_key_errors(assignment: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        set_key({"seeds": [0]}, assignment)
