"""Small sets with one fault each: refused with file, row, what was found and what is allowed, or read right."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from raystilts.cli import main
from raystilts.errors import UserError
from raystilts.tasks import registry
from raystilts.tasks.check import check_task
from raystilts.tasks.source import Source
from raystilts.tasks.task import AnyType, Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.multiple_choice import MultipleChoice
from raystilts.tasks.types.regression import Regression
from raystilts.tasks.types.retrieval import Retrieval
from raystilts.tasks.types.span_qa import SpanQA
from raystilts.tasks.types.tagging import Tagging

STARS = SequenceClassification(text="text", labels=("1", "2", "3"))
TOPIC = SequenceClassification(text="text", labels=("sport", "news"))
CHOICE = MultipleChoice(context="{ctx}", choices=("endings",), labels=("0", "1"))
NER = Tagging(tags="tags", labels=("O", "B-PER", "I-PER"), scores="entities")
PAIRS = Retrieval(query="a", candidate="b")
SCORE = Regression(text="text", high=5.0)
NAMES = '{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["news", "sport"]}}}}'
TASK_FILE = """
import json
from pathlib import Path

from raystilts.tasks.task import Task

TASKS = [Task.model_validate(one) for one in json.loads(Path(__file__).with_name("sets.json").read_text())]
"""
#: The rows and what the first of them holds, or what a whole column is, and what may stand there.
FOUND_AND_ALLOWED = (
    r"(in \d+ rows? \([\d, .]+\): .+|row \d+ holds .+|column \S+ holds .+|no rows .+); allowed: ."
    "|is missing .*; expected ."
)
IN_PLACE = r"text == context\[start:start \+ len\(text\)\]"


def task(kind: AnyType, split: str = "train") -> Task:
    return Task(
        name="mine", type=kind, train=Source(dataset="mine", split=split), main_score=kind.metrics[0],
        description="d", licence="l", citation="c", url="https://example.org",
    )  # fmt: skip


def write(folder: Path, table: pa.Table, split: str = "train") -> Path:
    path = folder / "mine" / "en" / f"{split}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def texts(number: int, label: object = "sport") -> dict[str, Any]:
    return {"text": [f"text {i}" for i in range(number)], "label": [label] * number}


def at(values: list[Any], row: int, value: object) -> list[Any]:
    return [*values[:row], value, *values[row + 1 :]]


def squad(answers: Any, **other: Any) -> pa.Table:
    rows = {"question": ["who?"], "context": ["Rollo led."], "answers": [answers], **other}
    return pa.table(rows)


def unreadable(name: str) -> pa.Table:
    """A text whose second row is not UTF-8."""
    bad = pa.array([b"a", b"\xff"]).view(pa.string())
    return pa.table({name: bad, "label": ["sport", "news"]})


T, L = texts(1000)["text"], texts(1000)["label"]
BROKEN: dict[str, tuple[AnyType, pa.Table, str]] = {
    "null text": (TOPIC, pa.table({"text": at(T, 999, None), "label": L}), r"no text in 'text' in 1 row \(999\): null"),
    "null label": (TOPIC, pa.table({"text": T, "label": at(L, 250, None)}), r"no label in 1 row \(250\): null; al"),
    "label -1": (TOPIC, pa.table({"text": T, "label": [0] * 700 + [-1] * 300}), r"no label in 300 rows \(700, .*: -1"),
    "label unknown": (TOPIC, pa.table({"text": T, "label": at(L, 998, "x")}), r"unknown label in 1 row \(998\): 'x'"),
    "label in capitals": (TOPIC, pa.table({"text": T[:2], "label": ["Sport ", "news"]}), r"\. The task has 'sport': "),
    "label a number too high": (TOPIC, pa.table({"text": T[:2], "label": ["1", "2"]}), r"\. Numbers count .* from 0"),
    "label with a fraction": (STARS, pa.table({"text": T[:2], "label": ["1", "2.0"]}), r"\. Write whole .* such as 2"),
    "no label": (TOPIC, pa.table({"text": T[:2], "label": ["news", None]}), r"\. Fill them in, or leave"),
    "label too high": (TOPIC, pa.table({"text": T[:2], "label": [0, 2]}), r"\(1\): 2; allowed: sport, news, or 0 to 1"),
    "label 0 of 1 to 3": (STARS, pa.table({"text": T[:2], "label": [1, 0]}), r"label .*\(1\): 0; allowed: 1, 2, 3$"),
    "label true": (TOPIC, pa.table({"text": T[:1], "label": [True]}), r"unknown label in 1 row \(0\): True"),
    "label a list": (TOPIC, pa.table({"text": T[:1], "label": [["sport"]]}), r"unknown label .*\(0\): \['sport'\]"),
    "class without a name": (
        TOPIC, pa.table({"text": T[:1], "label": [2]}).replace_schema_metadata({"huggingface": NAMES}),
        "column 'label': row 0 holds class 2; allowed: 0 to 1, as the file names"),
    "integer text": (TOPIC, pa.table({"text": [3], "label": ["news"]}), "column 'text' holds int64; allowed: text"),
    "list text": (TOPIC, pa.table({"text": [["a"]], "label": ["news"]}), r"'text' holds list<.*>; allowed: text"),
    "binary text": (TOPIC, pa.table({"text": [b"a"], "label": ["news"]}), "column 'text' holds binary; allowed: text"),
    "no text at all": (TOPIC, pa.table({"text": [None], "label": ["news"]}), r"no text in 'text' in 1 row \(0\)"),
    "not UTF-8": (TOPIC, unreadable("text"), r"'text' is not UTF-8 in 1 row \(1\): b'\\xff'; allowed: text in UTF"),
    "no rows": (TOPIC, pa.table({"text": T[:0], "label": L[:0]}), "no rows for language 'en'; allowed: at least one"),
    "column missing": (TOPIC, pa.table({"texts": T, "label": L}), r"column 'text' is missing \(did you mean 'texts'"),
    "null score": (SCORE, pa.table({"text": T[:2], "score": [1.5, None]}), r"no score in 1 row \(1\): null; allowed"),
    "score in words": (SCORE, pa.table({"text": T[:2], "score": ["1", "high"]}), r"no number in 1 row \(1\): 'high'"),
    "score not a number": (SCORE, pa.table({"text": T[:1], "score": [float("nan")]}), r"no number in 1 row \(0\): nan"),
    "score too high": (SCORE, pa.table({"text": T[:2], "score": [5.0, 5.1]}), r"\(1\): 5.1; allowed: a number from 0"),
    "null option": (
        CHOICE, pa.table({"ctx": T[:2], "endings": [["a", "b"], ["a", None]], "label": [0, 1]}),
        r"no choice in 1 row \(1\): \['a', None\]; allowed: a text for each choice"),
    "no options": (
        CHOICE, pa.table({"ctx": T[:2], "endings": [["a", "b"], None], "label": [0, 1]}), r"no choice in 1 row \(1\)"),
    "three options": (
        CHOICE, pa.table({"ctx": T[:1], "endings": [["a", "b", "c"]], "label": [0]}),
        r"not 2 choices .*\(0\): 3; allowed: 2$"),
    "options no list": (
        CHOICE, pa.table({"ctx": T[:1], "endings": ["ab"], "label": [0]}), r"no list in 'endings' .*\(0\): 'ab'"),
    "null context of options": (
        CHOICE, pa.table({"ctx": pa.array([None], pa.string()), "endings": [["a", "b"]], "label": [0]}),
        r"no text in 'ctx'"),
    "answer elsewhere": (
        SpanQA(), squad({"text": ["led"], "answer_start": [0]}),
        rf"\(0\): 'led' at 0, where 'Rol' is; allowed: {IN_PLACE}"),
    "no answer": (SpanQA(), squad({"text": pa.array([], pa.string()).to_pylist(), "answer_start": [0][:0]}),
                  "holds struct<text: list<.*null>|no answer in 1 row"),
    "empty answer": (SpanQA(), squad({"text": [""], "answer_start": [0]}), r"no answer in 1 row \(0\): \[''\]; allo"),
    "null answer": (SpanQA(), squad({"text": [None, "led"], "answer_start": [0, 6]}), r"\(0\): \[None, 'led'\]; allo"),
    "null context": (
        SpanQA(), squad({"text": ["a"], "answer_start": [0]}, context=pa.array([None], pa.string())),
        r"no text in 'context' in 1 row \(0\): null"),
    "answers as text": (SpanQA(), squad("Rollo"), "'answers' holds string; allowed: a struct of the lists text and"),
    "unknown tag": (NER, pa.table({"tokens": [["a"], ["b"]], "tags": [["O"], ["B-LOC"]]}),
                    r"unknown tag in 1 row \(1\): 'B-LOC'; allowed: O, B-PER, I-PER, or 0 to 2"),
    "null tag": (NER, pa.table({"tokens": [["a"]], "tags": [[None]]}), r"no tag in 1 row \(0\): null; allowed: O"),
    "null word": (NER, pa.table({"tokens": [["a", None]], "tags": [["O", "O"]]}), r"for a word .*\(0\): null; a"),
    "words and tags": (NER, pa.table({"tokens": [["a", "b"]], "tags": [["O"]]}), r"number in 1 row \(0\): 2 and 1; al"),
    "no words": (NER, pa.table({"tokens": [["a"], []], "tags": [["O"], []]}), r"no words in 1 row \(1\): \[\]; al"),
    "words as text": (NER, pa.table({"tokens": ["a b"], "tags": [["O"]]}), "'tokens' holds string; allowed: a list"),
    "null sentence": (PAIRS, pa.table({"a": ["x", None], "b": ["y", "z"]}), r"no text in 'a' in 1 row \(1\): null"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_check_and_loading_refuse_by_one_rule(tmp_path: Path, name: str, tiny_tokenizer: Any) -> None:
    kind, table, said = BROKEN[name]
    path = write(tmp_path, table)
    with pytest.raises(UserError, match=said) as error:
        task(kind).load_train(tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value).splitlines()) == 1
    assert re.search(FOUND_AND_ALLOWED, str(error.value))
    faults = check_task(task(kind), tmp_path).faults
    assert f"train en: {error.value}" in faults
    if table.num_rows and "missing" not in said and "as the file names" not in said:
        with pytest.raises(UserError, match=said):
            kind.encode(table, tiny_tokenizer, max_length=32, training=True)


def test_a_folder_of_broken_sets_is_refused_set_by_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user meets them: a file of tasks, a folder with their data, and one command."""
    tasks = []
    for number, (kind, table, _) in enumerate(BROKEN.values()):
        path = tmp_path / "data" / f"set{number}" / "en" / "train.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
        one = task(kind).model_copy(update={"name": f"set{number}"})
        source = Source(dataset=f"set{number}", split="train")
        tasks.append(one.model_copy(update={"train": source}).model_dump(mode="json"))
    (tmp_path / "sets.json").write_text(json.dumps(tasks))
    (tmp_path / "sets.py").write_text(TASK_FILE)
    before = dict(registry._TASKS)
    monkeypatch.setattr(sys, "argv", ["raystilts", "tasks", "check", str(tmp_path / "sets.py"), "--data-dir",
                                      str(tmp_path / "data"), "--json"])  # fmt: skip
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        registry._TASKS.clear()
        registry._TASKS.update(before)
    assert end.value.code == 1
    reports = json.loads(capsys.readouterr().out)
    assert len(reports) == len(BROKEN) >= 30
    for number, (report, (_, _, said)) in enumerate(zip(reports, BROKEN.values(), strict=True)):
        [part] = [part for part in report["parts"] if not part["absent"]]
        fault = part["faults"][0]
        assert fault.startswith(f"{tmp_path}/data/set{number}/en/train.parquet: ")
        assert re.search(said, fault)
        assert re.search(FOUND_AND_ALLOWED, fault)


def gold(kind: AnyType, folder: Path, split: str = "train") -> list[Any]:
    rows = task(kind, split).load_train(folder)
    return kind.gold(rows)


def test_numbers_are_read_by_the_names_in_the_file(tmp_path: Path) -> None:
    rows = pa.table({"text": T[:3], "label": pa.array([0, 1, 0], pa.int64())})
    write(tmp_path, rows.replace_schema_metadata({"huggingface": NAMES}))
    assert gold(TOPIC, tmp_path) == [1, 0, 1]  # the file's order is news, sport
    write(tmp_path, rows)
    assert gold(TOPIC, tmp_path) == [0, 1, 0]


def test_tags_are_read_by_the_names_in_the_file(tmp_path: Path) -> None:
    names = '{"_type": "ClassLabel", "names": ["B-PER", "O"]}'
    features = f'{{"info": {{"features": {{"tags": {{"_type": "List", "feature": {names}}}}}}}}}'
    for old in (features, features.replace('"List"', '"Sequence"')):
        table = pa.table({"tokens": [["a", "b"], ["c"]], "tags": [[1, 0], [1]]})
        write(tmp_path, table.replace_schema_metadata({"huggingface": old}))
        assert gold(NER, tmp_path) == [["O", "B-PER"], ["O"]]


def test_stars_of_the_readme_are_their_names(tmp_path: Path) -> None:
    for stars in ([1, 2, 3], ["1", "2", "3"], [1.0, 2.0, 3.0]):
        write(tmp_path, pa.table({"text": T[:3], "label": stars}))
        assert gold(STARS, tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_every_kind_of_string_is_text(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"text": T[:2], "label": pa.array(["news", "sport"])})
    write(tmp_path, table.cast(pa.schema([("text", kind), ("label", kind)])))
    rows = task(TOPIC).load_train(tmp_path)
    assert rows.schema.types == [pa.string(), pa.string()]
    assert TOPIC.gold(rows.take([1, 0])) == [0, 1]


def test_answers_as_a_list_of_structs_or_single(tmp_path: Path, tiny_tokenizer: Any) -> None:
    for answers in ([{"text": "led", "answer_start": 6}], {"text": "led", "answer_start": 6}):
        write(tmp_path, squad(answers))
        assert gold(SpanQA(), tmp_path) == ["led"]
        features = SpanQA().encode(squad(answers), tiny_tokenizer, max_length=32, training=True)
        assert features.labels is not None
        assert features.labels[0, 0] > 0


def test_options_as_a_list_of_structs(tmp_path: Path) -> None:
    kind = MultipleChoice(context="{ctx}", choices=("choices.text",), labels=("A", "B"))
    choices = [[{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]]
    write(tmp_path, pa.table({"ctx": ["a"], "choices": choices, "label": ["B"]}))
    assert gold(kind, tmp_path) == [1]


def test_joined_files_hold_one_type_or_are_refused_by_name(tmp_path: Path) -> None:
    wide = pa.array(T[:1], pa.large_string())
    one = write(tmp_path, pa.table({"text": wide, "label": pa.array([1], pa.int8())}), "a")
    two = write(tmp_path, pa.table({"text": T[:2], "label": pa.array([1, 0], pa.int64())}), "b")
    assert gold(TOPIC, tmp_path, "a+b") == [1, 1, 0]
    write(tmp_path, pa.table({"text": T[:2], "label": ["news", "sport"]}), "b")
    with pytest.raises(UserError, match=f"column 'label' holds int8 in {one} and string in {two}; write one type"):
        gold(TOPIC, tmp_path, "a+b")


def test_names_of_joined_files_may_be_in_another_order(tmp_path: Path) -> None:
    rows = pa.table({"text": T[:1], "label": [0]})
    write(tmp_path, rows.replace_schema_metadata({"huggingface": NAMES}), "a")
    other = NAMES.replace('"news", "sport"', '"sport", "news"')
    write(tmp_path, rows.replace_schema_metadata({"huggingface": other}), "b")
    assert gold(TOPIC, tmp_path, "a+b") == [1, 0]


def test_a_fault_in_the_second_of_two_files_is_told_with_its_own_row(tmp_path: Path) -> None:
    write(tmp_path, pa.table(texts(7)), "a")
    two = write(tmp_path, pa.table({"text": ["x", None], "label": ["news", "news"]}), "b")
    with pytest.raises(UserError, match=rf"^{two}: no text in 'text' in 1 row \(1\)"):
        gold(TOPIC, tmp_path, "a+b")


def test_rows_are_numbered_as_in_the_file_when_some_are_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table({"text": ["x", "y", None], "label": ["-1", "news", "news"]}))
    source = Source(dataset="mine", split="train", converter="labelled")
    with pytest.raises(UserError, match=rf"^{path}: no text in 'text' in 1 row \(2\)"):
        task(TOPIC).model_copy(update={"train": source}).load_train(tmp_path)


def test_a_column_that_stands_twice(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table([["a"], ["b"], ["news"]], names=["text", "text", "label"]))
    with pytest.raises(UserError, match=rf"^{path}: .*") as error:
        gold(TOPIC, tmp_path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("dataset", ["../elsewhere", "/etc", "a/../../b", "", "x" * 300, "a\0b"])
def test_a_data_set_is_a_folder_within_the_data_folder(dataset: str) -> None:
    with pytest.raises(ValidationError, match="is no folder within the data folder"):
        Source(dataset=dataset, split="train")
