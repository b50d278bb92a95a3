"""Files as they come from pandas, from other countries and from the hub: what they hold is what is read."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts.errors import UserError
from raystilts.tasks import files
from raystilts.tasks.converters import CONVERTERS, converter_identity, register_converter
from raystilts.tasks.folder import has_data_set, split_files
from raystilts.tasks.hub import card_configs
from raystilts.tasks.source import Source
from raystilts.tasks.types.columns import column, index_labels, label_faults, label_table, versioned


@pytest.mark.parametrize(
    ("names", "values", "classes"),
    [
        (("1.0", "2.0", "3.0"), [1.0, 2.0, 3.0, "1.0", 2], [0, 1, 2, 0, 1]),
        (("0.5", "1.0", "1.5"), [0.5, 1.0, 1.5, "1.5", "1"], [0, 1, 2, 2, 1]),
        (("0.50", "-1.0"), [0.5, -1, "-1.0"], [0, 1, 1]),
        (("1", "2"), [1.0, "2", 2], [0, 1, 1]),
        (("no", "yes"), [0, 1.0, "yes"], [0, 1, 1]),
        (("False", "True"), [True, False, "True"], [1, 0, 1]),
        (("2.1", "2.10"), ["2.1", "2.10", 2.1], [0, 1, 0]),
    ],
)
def test_labels_that_are_numbers(names: tuple[str, ...], values: list[object], classes: list[int]) -> None:
    table = label_table(names)
    assert index_labels(values, table, "label", "") == classes
    assert label_faults(values, table, "") == []


def test_labels_that_are_no_labels() -> None:
    [fault] = label_faults([0.7, 1.0], label_table(("0.5", "1.0")), "0.5, 1.0")
    assert (fault.rows, fault.found) == ((0,), "0.7")
    [fault] = label_faults([float("nan")], label_table(("a", "b")), "a, b")
    assert fault.rows == (0,)
    [fault] = label_faults([True], label_table(("no", "yes")), "no, yes")
    assert fault.found == "True"


def test_which_types_have_another_version() -> None:
    assert [versioned(names) for names in (("a", "b"), ("0", "1"), ("0.0", "1.0"), ("1", "2"), ("1.0", "2.0"))] == [
        1, 1, 1, 2, 2,
    ]  # fmt: skip


def test_nulls_of_structs_are_nulls_of_their_fields() -> None:
    rows = pa.table({"answer": [None, {"text": "Bob", "start": 0}], "all": [[None, {"text": "a"}], None]})
    assert column(rows, "answer.text") == [None, "Bob"]
    assert column(rows, "answer.start") == [None, 0]
    assert column(rows, "all.text") == [[None, "a"], None]
    assert column(rows.slice(1), "answer.text") == ["Bob"]


def test_a_word_with_a_space_that_does_not_break(tmp_path: Path) -> None:
    path = tmp_path / "test.conll"
    path.write_text("10\u00a0000  O \nParis B-LOC\n\n1\u2009000 O\nx O\n", encoding="utf-8")
    found = files.read(path)
    assert found.column("tokens").to_pylist() == [["10\u00a0000", "Paris"], ["1\u2009000", "x"]]
    assert found.column("tags").to_pylist() == [["O", "B-LOC"], ["O", "O"]]


def test_parquet_behind_gzip(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "label": [0, 1]})
    whole = io.BytesIO()
    pq.write_table(table, whole)
    path = tmp_path / "train.parquet.gz"
    path.write_bytes(gzip.compress(whole.getvalue()))
    assert files.read(path).equals(table)
    assert files.read(path, limit=1).num_rows == 1


def test_numbers_beyond_64_bits(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"text": "a", "id": 2**70}) + "\n")
    with pytest.raises(UserError, match="column 'id' holds a whole number of more than 64 bits; write it as a text"):
        files.read(path)


def test_all_files_that_a_card_lists() -> None:
    card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - data/a.csv\n  - data/b.csv\n---\n"
    assert card_configs(card) == {"default": {"train": ["data/a.csv", "data/b.csv"]}}
    card = ("---\nconfigs:\n- data_dir: d\n  data_files:\n  - split: test\n    path: [a, b]\n  - split: test\n"
            "    path: c\n---\n")  # fmt: skip
    assert card_configs(card) == {"default": {"test": ["d/a", "d/b", "d/c"]}}


@pytest.mark.parametrize(
    "pattern", ["{language}/{split}.csv", "exports/{language}-{split}.csv", "exports/{language}/{split}.csv"]
)
def test_a_missing_part_of_files_elsewhere(tmp_path: Path, pattern: str) -> None:
    source = Source(dataset="mine", files=pattern, split="test")
    there = tmp_path / pattern.format(language="en", split="test")
    there.parent.mkdir(parents=True)
    there.write_text("text\na\n")
    assert split_files(tmp_path, source, "en") == [there]
    assert has_data_set(tmp_path, source)
    wanted = tmp_path / pattern.format(language="de", split="test")
    with pytest.raises(UserError) as error:
        split_files(tmp_path, source, "de")
    assert str(error.value).startswith(f"{wanted}: no such file, which files={pattern!r} names for de, test.")
    assert ".parquet" not in str(error.value)


TASK = '''
from raystilts.tasks.source import Source
NAMES = {"1": "bad", "2": "good"}
OTHER = 1
PATTERN: str = "x"

def helper(value):
    return NAMES[value] if PATTERN else value

def my_rows(rows, language):
    return rows.append_column("label", [[helper(value) for value in rows.column("stars").to_pylist()]])

def plain_rows(rows, language):
    return rows
'''


def identity(folder: Path, text: str, name: str) -> str:
    """What stands for a converter of a file with this text."""
    folder.mkdir(parents=True)
    (folder / "own_task.py").write_text(text)
    scope: dict[str, object] = {"__name__": f"own_{folder.name}"}
    exec(compile(text, str(folder / "own_task.py"), "exec"), scope)
    CONVERTERS.pop(name, None)
    try:
        return converter_identity(register_converter(scope[name]))  # type: ignore[arg-type]
    finally:
        CONVERTERS.pop(name, None)


def test_what_a_converter_uses_of_its_file_is_a_part_of_it(tmp_path: Path) -> None:
    first = identity(tmp_path / "a", TASK, "my_rows")
    assert identity(tmp_path / "b", TASK, "my_rows") == first
    for old, new in (('"1": "bad"', '"1": "good"'), ("if PATTERN", "if not PATTERN"), ('str = "x"', 'str = "y"')):
        assert identity(tmp_path / new.strip('"')[:3].strip(), TASK.replace(old, new), "my_rows") != first
    assert identity(tmp_path / "c", TASK.replace("OTHER = 1", "OTHER = 2"), "my_rows") == first


def test_a_converter_that_uses_nothing_is_what_it_was(tmp_path: Path) -> None:
    """As it was hashed before: its own code."""
    first = identity(tmp_path / "a", TASK, "plain_rows")
    assert identity(tmp_path / "b", TASK.replace('"bad"', '"worse"'), "plain_rows") == first
