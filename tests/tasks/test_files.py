"""Files as people have them say the same rows, or are refused with the place."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts import Study
from raystilts.errors import UserError
from raystilts.planning.data import data_folder
from raystilts.tasks.files import read
from raystilts.tasks.folder import joined_dirs
from raystilts.tasks.loading import fingerprint, is_here, load
from raystilts.tasks.registry import get_task
from raystilts.tasks.source import Source
from raystilts.tasks.tags import iob2
from raystilts.tasks.types.tagging import Tagging

SOURCE = Source(dataset="mine", split="train")
ROWS = [
    {"text": "a, b \"c\"", "label": "1"}, {"text": "2020-01-01", "label": "0"}, {"text": "NA", "label": "0"},
    {"text": "\u00e4\n", "label": "1"},
]  # fmt: skip
PLAIN = ROWS[:3]


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / "mine" / "en" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def jsonl(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


CSV = 'text,label\n"a, b ""c""",1\n2020-01-01,0\nNA,0\n"\u00e4\n",1\n'
TSV = 'text\tlabel\na, b "c"\t1\n2020-01-01\t0\nNA\t0\n'


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("train.csv", CSV, ROWS),
        ("train.csv", "\ufeff" + CSV, ROWS),
        ("train.tsv", TSV, PLAIN),
        ("train.jsonl", jsonl(ROWS), ROWS),
        ("train.json", json.dumps(ROWS), ROWS),
        ("train.json", jsonl(ROWS), ROWS),
        ("train.jsonl.gz", gzip.compress(jsonl(ROWS).encode()), ROWS),
        ("train.csv.gz", gzip.compress(CSV.encode()), ROWS),
    ],
    ids=["csv", "csv with a mark", "tsv", "jsonl", "json", "json lines", "jsonl.gz", "csv.gz"],
)
def test_text_files(tmp_path: Path, name: str, content: str | bytes, rows: list[dict[str, str]]) -> None:
    put(tmp_path, name, content)
    assert load(SOURCE, "en", tmp_path).to_pylist() == rows
    assert fingerprint(SOURCE, "en", tmp_path).rows == len(rows)
    assert is_here(SOURCE, "en", tmp_path)
    assert not is_here(SOURCE, "de", tmp_path)


def test_a_hash_is_a_word_in_a_file_of_columns_and_begins_a_comment_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, "train.conll", "# O\nrain O\n# O\n\n# from Espoo , in May\nAda B-PER\n\n# O\n")
    assert load(SOURCE, "en", tmp_path)["tokens"].to_pylist() == [["#", "rain", "#"], ["Ada"], ["#"]]
    columns = "_\t_\t_\t_\t_\t_"
    text = f"# text = a dog barks at the big cat .\n#\n#\tnone\n1\t#\t#\tSYM\t{columns}\n2\tdog\tdog\tNOUN\t{columns}\n"
    put(tmp_path, "test.conllu", text)
    assert load(SOURCE.other("test"), "en", tmp_path)["tokens"].to_pylist() == [["#", "dog"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# id 5f3a\tdomain=train\nAda _ _ B-PER\nran _ _ O\n", [["Ada", "ran"]]),
        ("# id = 12\n\n# id = 13\nAda _ _ B-PER\n", [["Ada"]]),
        ("# sentence\nAda B-PER\n# O\n", [["Ada", "#"]]),
        ("#id sentence\nAda B-PER\n", [["Ada"]]),
        ("#\nAda B-PER\n", [["Ada"]]),
        ("# sentence\n# O\nAda B-PER\nran O\n", [["#", "Ada", "ran"]]),
        ("# O\n\nran O\n", [["#"], ["ran"]]),
        ("#Ada B-PER\nran O\n#BLM B-MISC\n", [["#Ada", "ran", "#BLM"]]),
        ("#\tO\nran\tO\n", [["#", "ran"]]),
        ("#\tsentence\nran\tO\n", [["ran"]]),
    ],
)
def test_comments_at_a_sentences_start_are_no_words(tmp_path: Path, text: str, words: list[list[str]]) -> None:
    put(tmp_path, "train.conll", text)
    assert load(SOURCE, "en", tmp_path)["tokens"].to_pylist() == words


def test_damaged_compression_names_the_file(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(jsonl(ROWS).encode()))
    content[10:20] = b"\xff" * 10
    path = put(tmp_path, "train.jsonl.gz", bytes(content))
    with pytest.raises(UserError, match=r"train.jsonl.gz: not a readable file \(.*\); copy it again"):
        read(path)


def archive(*names: str) -> bytes:
    """A .tar.gz whose files all hold the same rows, beside a folder and what a system adds."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as made:
        for name in ("._hidden.jsonl", *names):
            entry = tarfile.TarInfo(name)
            entry.size = len(jsonl(ROWS).encode())
            made.addfile(entry, io.BytesIO(jsonl(ROWS).encode()))
    return content.getvalue()


def test_an_archive_of_one_file(tmp_path: Path) -> None:
    path = put(tmp_path, "train.jsonl.tar.gz", archive("data/rows.jsonl"))
    assert read(path).to_pylist() == ROWS
    assert read(path, limit=2).to_pylist() == ROWS[:2]
    several = put(tmp_path, "test.jsonl.tar.gz", archive("a.jsonl", "b.jsonl"))
    with pytest.raises(UserError, match=r"test.jsonl.tar.gz: an archive must hold one file of rows, and it has 2 \(a"):
        read(several)


def test_a_name_that_says_nothing_is_read_as_the_source_says(tmp_path: Path) -> None:
    path = put(tmp_path, "SICK.txt", TSV)
    with pytest.raises(UserError, match=r"SICK.txt: no file of rows; its name must end in one of .parquet"):
        read(path)
    source = SOURCE.model_copy(update={"files": "mine/{language}/SICK.txt", "file_type": ".tsv"})
    assert load(source, "en", tmp_path).to_pylist() == PLAIN
    assert fingerprint(source, "en", tmp_path).rows == len(PLAIN)
    with pytest.raises(ValueError, match=r"'.xls' is no kind of file that is read; one of .parquet, .csv"):
        Source(dataset="mine", split="train", file_type=".xls")


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["b", "a"])})
    saved = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [0, 1]}, features=features)
    datasets.DatasetDict({"train": saved}).save_to_disk(tmp_path / "mine" / "en")
    assert load(SOURCE, "en", tmp_path).to_pylist() == [{"text": "x", "label": "b"}, {"text": "y", "label": "a"}]
    before = fingerprint(SOURCE, "en", tmp_path)
    assert (before.rows, before.verified) == (2, True)


def test_parquet_is_taken_before_others(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", CSV)
    pq.write_table(pa.table({"text": ["p"]}), tmp_path / "mine" / "en" / "train.parquet")
    assert load(SOURCE, "en", tmp_path)["text"].to_pylist() == ["p"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.csv", "text,label\na\n", r"train.csv: not a readable file \(.*Expected 2 columns, got 1"),
        ("train.csv", b"text,label\n\xff,1\n", r"train.csv: not a readable file \(.*UTF8|not in UTF-8"),
        ("train.jsonl", '{"text": "a"}\n{"text": \n', r"train.jsonl: line 2: no JSON"),
        ("train.jsonl", '["a"]\n', r"""train.jsonl: line 1: '\["a"\]' is no object"""),
        ("train.jsonl", '{"a": 1}\n{"a": "b"}\n', r"column 'a' holds different types: int \(row 0\), str \(row 1\)"),
        ("train.conll", "a\n", r"train.conll: line 1: 'a' has one column; expected a word and its tag"),
        ("train.conllu", "1\ta\n", r"train.conllu: line 1: fewer than 4 columns"),
    ],
)
def test_broken_files_name_the_place(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    put(tmp_path, name, content)
    with pytest.raises(UserError, match=said) as error:
        load(SOURCE, "en", tmp_path)
    assert len(str(error.value).splitlines()) == 1


SCHEMES = {
    "IOB2": ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "B-PER"],
    "IOB1": ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"],
    "IOBES": ["B-PER", "E-PER", "O", "S-LOC", "S-LOC", "S-PER"],
    "BILOU": ["B-PER", "L-PER", "O", "U-LOC", "U-LOC", "U-PER"],
    "BMES": ["B-PER", "E-PER", "O", "S-LOC", "S-LOC", "S-PER"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_of_entity_tags_is_read_as_iob2(tmp_path: Path, scheme: str) -> None:
    lines = [f"w{i} NN {tag}" for i, tag in enumerate(SCHEMES[scheme])]
    put(tmp_path, "train.conll", "-DOCSTART- -X- O\n\n" + "\n".join(lines) + "\n\nx NN O\n")
    rows = load(SOURCE, "en", tmp_path)
    assert rows["ner_tags"].to_pylist() == [SCHEMES["IOB2"], ["O"]]
    assert rows["tokens"].to_pylist()[0] == [f"w{i}" for i in range(6)]
    assert iob2(SCHEMES["IOB2"]) == SCHEMES["IOB2"]
    assert iob2(["B-A", "M-A", "E-A", "I-A", "I-B"]) == ["B-A", "I-A", "I-A", "B-A", "B-B"]


@pytest.mark.parametrize("scheme", ["IOBES", "BILOU"])
def test_other_schemes_in_parquet_too(scheme: str) -> None:
    ner = Tagging(tags="tags", labels=("O", "B-PER", "I-PER", "B-LOC", "I-LOC"), scores="entities")
    rows = ner.normal(pa.table({"tokens": [list("abcdef")], "tags": [SCHEMES[scheme]]}))
    assert ner.gold(rows) == [SCHEMES["IOB2"]]
    assert ner.check(rows, "en") == []


def test_universal_dependencies(tmp_path: Path) -> None:
    lines = ["# text = vámonos", "1-2\tvámonos\t_\t_", "1\tvamos\tir\tVERB", "2\tnos\tnos\tPRON", "2.1\te\te\tX"]
    put(tmp_path, "test.conllu", "\n".join(lines) + "\n")
    rows = load(SOURCE.other("test"), "en", tmp_path)
    assert rows.to_pylist()[0]["tokens"] == ["vamos", "nos"]
    assert rows.to_pylist()[0]["pos_tags"] == ["VERB", "PRON"]
    assert get_task("udpos").type.check(rows, "en") == []


def test_several_folders_in_order(tmp_path: Path) -> None:
    for name, language, text in (("a", "en", "first"), ("b", "en", "second"), ("b", "de", "zweite")):
        path = tmp_path / name / "mine" / language / "train.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"text\n{text}\n")
    both = Path(joined_dirs([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert load(SOURCE, "en", both)["text"].to_pylist() == ["first"]
    assert load(SOURCE, "de", both)["text"].to_pylist() == ["zweite"]
    assert [code for code in ("de", "en", "fr") if is_here(SOURCE, code, both)] == ["de", "en"]
    with pytest.raises(UserError, match=r"a/mine/fr/train.parquet or .*b/mine/fr/train.parquet: no such file"):
        load(SOURCE, "fr", both)
    given = {"name": "s", "intermediates": ["none"], "targets": ["cldr_units"], "seeds": [0]}
    study = Study.model_validate({**given, "data_dir": [str(tmp_path / "a"), str(tmp_path / "b")]})
    assert data_folder(study) == both
    with pytest.raises(UserError, match=r"data_dir: .*c: no such folder"):
        data_folder(Study.model_validate({**given, "data_dir": [str(tmp_path / "a"), str(tmp_path / "c")]}))


def test_a_folder_beside_the_hub(tmp_path: Path) -> None:
    """What the folder has is read from it, and the rest is what the hub alone gives."""
    path = tmp_path / "mine" / "en" / "train.csv"
    path.parent.mkdir(parents=True)
    path.write_text("text\nours\n")
    given = {"name": "s", "intermediates": ["none"], "targets": ["cldr_units"], "seeds": [0]}
    both = data_folder(Study.model_validate({**given, "data_dir": [str(tmp_path), "hub"]}))
    assert both == Path(joined_dirs([str(tmp_path), "hub"]))
    assert load(SOURCE, "en", both)["text"].to_pylist() == ["ours"]
    assert fingerprint(SOURCE, "en", both) == fingerprint(SOURCE, "en", tmp_path)
    theirs = SOURCE.model_copy(update={"dataset": "theirs", "path": "some/theirs", "revision": "0" * 40})
    assert fingerprint(theirs, "en", both) == fingerprint(theirs, "en", None)
    assert is_here(theirs, "en", both)
    assert not is_here(SOURCE, "de", both)  # is on no hub
    with pytest.raises(UserError, match=r"mine/de/train.parquet: no such file .*data_dir: \[FOLDER, hub\]"):
        load(SOURCE, "de", both)
    with pytest.raises(UserError, match=r"data_dir: .*nowhere: no such folder"):
        data_folder(Study.model_validate({**given, "data_dir": [str(tmp_path / "nowhere"), "hub"]}))


def test_a_source_may_have_its_own_path(tmp_path: Path) -> None:
    path = tmp_path / "exports" / "en-train.csv"
    path.parent.mkdir()
    path.write_text(CSV)
    own = f"{path.parent}/{{language}}-train.csv"
    for files in ("exports/{language}-{split}", "exports/{language}-{split}.csv", own):
        assert load(SOURCE.model_copy(update={"files": files}), "en", tmp_path).num_rows == 4


def upper(rows: pa.Table, language: str) -> pa.Table:
    """A converter of a user's own."""
    texts = [f"{language} {text}".upper() for text in rows["text"].to_pylist()]
    return rows.set_column(0, "text", pa.array(texts))


def test_a_converter_of_ones_own_is_a_function(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", CSV)
    source = Source(dataset="mine", split="train", converter=upper)
    assert source.converter == "upper"
    assert load(source, "en", tmp_path)["text"].to_pylist()[1] == "EN 2020-01-01"
    assert Source.model_validate_json(source.model_dump_json()) == source
    assert fingerprint(source, "en", tmp_path).value != fingerprint(SOURCE, "en", tmp_path).value


def test_dev_data_of_a_language_may_be_another_data_set(tmp_path: Path) -> None:
    dev = Source(
        dataset="mine", split="validation",
        by_language={"sw": Source(dataset="theirs", split="test", converter=upper)},
    )  # fmt: skip
    there = {"mine/en/validation": "a,x\n", "mine/sw/validation": "not this,x\n", "theirs/sw/test": "b,x\nc,x\n"}
    for place, text in there.items():
        path = tmp_path / f"{place}.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"text,label\n{text}")
    assert load(dev, "en", tmp_path)["text"].to_pylist() == ["a"]
    assert load(dev, "sw", tmp_path)["text"].to_pylist() == ["SW B", "SW C"]
    assert fingerprint(dev, "sw", tmp_path).value == fingerprint(dev.by_language["sw"], "sw", tmp_path).value
    assert fingerprint(dev, "sw", tmp_path).rows == 2
    assert is_here(dev, "en", tmp_path)
    assert is_here(dev, "sw", tmp_path)
    assert Source.model_validate_json(dev.model_dump_json()) == dev
    assert dev.other("train").of("sw").split == "train"
    (tmp_path / "theirs" / "sw" / "test.csv").unlink()
    assert not is_here(dev, "sw", tmp_path)
