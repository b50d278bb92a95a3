from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from raystilts.errors import UserError
from raystilts.tasks.loading import fingerprint, is_here, load, resolve_data_dir
from raystilts.tasks.source import Generated, Source
from raystilts.tasks.splits import Carve, item_hashes

SOURCE = Source(dataset="set", split="train", path="owner/set")
CALLS: list[tuple[str, str]] = []


def made(language: str, split: str) -> pa.Table:
    """The generator that tests name."""
    CALLS.append((language, split))
    return pa.table({"text": [f"{language} {split}"] * 3})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "set/en/train.parquet", [f"text {i % 50}" for i in range(100)])
    write(tmp_path / "set/de/validation.parquet", ["eins"])
    write(tmp_path / "set/fr/train.parquet", [])
    return tmp_path


def write(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": pa.array([str(i) for i in range(len(texts))], pa.string()),
                      "text": pa.array(texts, pa.string())})  # fmt: skip
    pq.write_table(table, path)


def test_reads_a_file(folder: Path) -> None:
    assert load(SOURCE, "en", folder).num_rows == 100


def test_environment_names_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSTILTS_DATA_DIR", str(folder))
    assert resolve_data_dir(None) == folder
    assert load(SOURCE, "en", None).num_rows == 100
    assert resolve_data_dir(Path("/other")) == Path("/other")


@pytest.mark.parametrize(
    ("source", "language", "said"),
    [
        (SOURCE, "sw", r"set/sw/train.parquet: no such file \(languages there: de, en, fr\)"),
        (SOURCE, "de", r"set/de/train.parquet: no such file \(splits there: validation\)"),
        (Source(dataset="sets", split="train"), "en", r"did you mean 'set'\?"),
        (SOURCE, "fr", r"set/fr/train.parquet: no rows for language 'fr'"),
    ],
)
def test_missing_data_says_what_is_there(folder: Path, source: Source, language: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(source, language, folder)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere is not a folder.*RAYSTILTS_DATA_DIR"):
        load(SOURCE, "en", tmp_path / "nowhere")


def test_missing_columns(folder: Path) -> None:
    with pytest.raises(UserError, match=r"train.parquet: column 'texts' is missing \(did you mean 'text'\?\)"):
        load(SOURCE, "en", folder, columns=("id", "texts"))


def test_broken_file(folder: Path) -> None:
    (folder / "set/en/train.parquet").write_bytes(b"not parquet")
    with pytest.raises(UserError, match=r"not a readable Parquet file"):
        load(SOURCE, "en", folder)
    with pytest.raises(UserError, match=r"not a readable Parquet file"):
        fingerprint(SOURCE, "en", folder)


def test_carve_keeps_equal_values_together_and_nothing_twice(folder: Path) -> None:
    parts = [load(SOURCE.carved(part, share=0.3, by=("text",)), "en", folder) for part in ("train", "dev")]
    train, dev = (set(part["text"].to_pylist()) for part in parts)
    assert not train & dev
    assert len(train | dev) == 50
    assert sum(part.num_rows for part in parts) == 100
    assert 5 <= len(dev) <= 25


def test_carve_does_not_depend_on_other_rows(folder: Path) -> None:
    carved = SOURCE.carved("dev", share=0.3, by=("text",))
    before = set(load(carved, "en", folder)["text"].to_pylist())
    write(folder / "set/en/train.parquet", [f"text {i}" for i in range(500)])
    after = set(load(carved, "en", folder)["text"].to_pylist())
    assert before == after & {f"text {i}" for i in range(50)}


def test_item_hashes_are_sha256_of_the_columns() -> None:
    import hashlib

    hashes = item_hashes(pa.table({"a": ["x", "y", "x"], "b": [["ä"], [], ["ä"]]}), ("a", "b"))
    expected = hashlib.sha256(json.dumps(["x", ["ä"]], ensure_ascii=False).encode()).digest()[:8]
    assert int(hashes[0]) == int.from_bytes(expected, "big")
    assert hashes[0] == hashes[2] != hashes[1]


def test_several_splits_are_joined(folder: Path) -> None:
    write(folder / "set/en/more.parquet", ["one more"])
    both = Source(dataset="set", split="train+more")
    assert load(both, "en", folder)["text"].to_pylist()[-1] == "one more"
    assert fingerprint(both, "en", folder).rows == 101


def test_fallback_split(folder: Path) -> None:
    source = Source(dataset="set", split="test", fallback_splits=("validation",))
    assert load(source, "de", folder)["text"].to_pylist() == ["eins"]
    before = fingerprint(source, "de", folder)
    assert before == fingerprint(source.other("validation"), "de", folder)
    write(folder / "set/de/test.parquet", ["eins"])
    assert fingerprint(source, "de", folder).value != before.value
    assert [code for code in ("de", "en", "fr") if is_here(source, code, folder)] == ["de"]
    assert [code for code in ("de", "en", "fr") if is_here(SOURCE, code, folder)] == ["en", "fr"]


def test_fingerprint_is_of_the_bytes(folder: Path) -> None:
    first = fingerprint(SOURCE, "en", folder)
    assert (first.rows, first.verified) == (100, True)
    moved = SOURCE.model_copy(update={"path": "other/set", "revision": "abc", "rows": 7})
    assert fingerprint(moved, "en", folder) == first
    write(folder / "set/en/train.parquet", ["other"] * 100)
    assert fingerprint(SOURCE, "en", folder).value != first.value


def test_fingerprint_holds_the_treatment(folder: Path) -> None:
    carved = SOURCE.carved("dev", share=0.3, by=("text",))
    assert fingerprint(carved, "en", folder).rows == load(carved, "en", folder).num_rows
    prints = {
        fingerprint(s, "en", folder).value for s in (SOURCE, carved, SOURCE.carved("train", share=0.3, by=("text",)))
    }
    assert len(prints) == 3


def test_fingerprint_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    source = Source(dataset="set", split="train", path="owner/never-there", revision="abc", rows=12)
    declared = fingerprint(source, "en", None)
    assert (declared.rows, declared.verified) == (12, False)
    assert fingerprint(source.model_copy(update={"revision": "abd"}), "en", None).value != declared.value


@pytest.mark.parametrize("revision", ["main", "master", ""])
def test_moving_revisions_are_refused(revision: str) -> None:
    with pytest.raises(ValidationError, match="moves; give the commit's hash"):
        Source(dataset="set", split="train", path="owner/set", revision=revision)


def test_generated_rows() -> None:
    source = Generated(generator=f"{__name__}:made", version="1", split="dev", rows=3)
    assert load(source, "sw", None).num_rows == 3
    assert CALLS[-1] == ("sw", "dev")
    first = fingerprint(source, "sw", None)
    assert (first.rows, first.verified) == (3, True)
    assert fingerprint(source, "hi", None).value != first.value
    assert fingerprint(source.model_copy(update={"version": "2"}), "sw", None).value != first.value
    assert fingerprint(source.model_copy(update={"rows": None}), "sw", None) == first


def test_unknown_generator() -> None:
    with pytest.raises(UserError, match=r"'raystilts.tasks.nothing:rows' cannot be imported"):
        load(Generated(generator="raystilts.tasks.nothing:rows", version="1", split="dev"), "sw", None)


def test_carve_by_a_missing_column_is_refused(folder: Path) -> None:
    source = SOURCE.model_copy(update={"carve": Carve(part="dev", share=0.5, by=("context",))})
    with pytest.raises(UserError, match="column 'context' is missing"):
        load(source, "en", folder)
