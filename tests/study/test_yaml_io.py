from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from raystilts.errors import UserError
from raystilts.study.base import parse_yaml, read_yaml, set_key

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


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
        ("!!python/object/apply:os.getcwd []", "f.yaml, line 1: the tag !!python/object/apply:os.getcwd means"),
        ("a: !!binary aGVsbG8=", "f.yaml, line 1: the tag !!binary means nothing here; leave it out"),
        ("a: !!set {b, c}", "f.yaml, line 1: the tag !!set means nothing here; leave it out"),
        ("a: !!timestamp abc", "f.yaml, line 1: the tag !!timestamp means nothing here; leave it out"),
        ("a: !mine b", "f.yaml, line 1: the tag !mine means nothing here; leave it out"),
        ("a: !!int abc", "f.yaml, line 1: 'abc' is not a whole number"),
        ("a: !!int 0x10", "f.yaml, line 1: '0x10' is not a whole number"),
        ("a: !!int [1]", "f.yaml, line 1: .* is not a whole number"),
        ("a: !!float abc", "f.yaml, line 1: 'abc' is not a number"),
        ("a: !!bool abc", "f.yaml, line 1: 'abc' is not true or false"),
        ("a: " + "9" * 6000, "f.yaml, line 1: '9+...9+' is not a whole number"),
        ("a: " + "[" * 3000 + "]" * 3000, "f.yaml: lists or mappings are nested too deeply"),
        ("a: &a [*a]", "f.yaml: its aliases stand for more than 1,000,000 values"),
        (LAUGHS, "f.yaml: its aliases stand for more than 1,000,000 values; write them out"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        parse_yaml(text, "f.yaml")


def test_explicit_tags_and_aliases_that_mean_something() -> None:
    assert parse_yaml("a: !!str 12\nb: !!int '7'\nc: !!float 1\nd: !!bool true", "here") == {
        "a": "12", "b": 7, "c": 1.0, "d": True,
    }  # fmt: skip
    assert parse_yaml("a: &x [1, 2]\nb: *x", "here") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~nosuchuser/s.yaml", "there is no such home folder"),
        ("x" * 400, "this cannot be used as a path .File name too long."),
        ("a\0b", "it holds a NUL"),
        ("/dev/zero", "more than 10,000,000 characters"),
    ],
)
def test_what_is_no_file(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_yaml(Path(path))
    assert len(str(error.value)) < 300


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
