"""Answers, keys and sides in forms that JSON, CSV and pandas give them: read right, or refused before a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.check import check_task
from raystilts.tasks.converters import CONVERTERS, bucc_sides
from raystilts.tasks.source import Source
from raystilts.tasks.task import AnyType, Task
from raystilts.tasks.types.mining import Mining
from raystilts.tasks.types.retrieval import AnswerRetrieval
from raystilts.tasks.types.span_qa import SpanQA

from .true_rows import TRUE_ROWS

MAYBE = SpanQA(no_answer=True)
RIGHT = {"text": ["Bob"], "answer_start": [9]}
NONE: dict[str, list[Any]] = {"text": [], "answer_start": []}
CONTEXT = "Who led? Bob did."


def task(kind: AnyType) -> Task:
    return Task(
        name="mine", type=kind, test=Source(dataset="mine", split="test"), languages=("en",),
        main_score=kind.metrics[0], description="d", licence="l", citation="c", url="https://example.org",
    )  # fmt: skip


def write(folder: Path, text: str, ending: str = "jsonl") -> Path:
    path = folder / "mine" / "en" / f"test.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def lines(folder: Path, *rows: dict[str, Any]) -> Path:
    return write(folder, "".join(f"{json.dumps(row)}\n" for row in rows))


def asked(*answers: Any) -> list[dict[str, Any]]:
    return [{"question": f"who {i}?", "context": CONTEXT, "answers": answer} for i, answer in enumerate(answers)]


def refused(kind: AnyType, folder: Path, path: Path) -> str:
    """What a run refuses a file with; `tasks check` says the same first."""
    with pytest.raises(UserError) as error:
        task(kind).load_test("en", folder)
    assert check_task(task(kind), folder).faults[0] == f"test en: {error.value}"
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value).removeprefix(f"{path}: ")


def test_answers_are_moved_in_any_of_their_forms() -> None:
    rows = pa.table({"context": ["a b", "a b", "a b"], "answers": [None, {"text": "b", "answer_start": 1.0}, None]})
    found = CONVERTERS["answers_in_place"](rows, "en")
    assert found["answers"].to_pylist() == [NONE, {"text": ["b"], "answer_start": [2]}, NONE]
    assert found["moved"].to_pylist() == [0, 1, 0]


NULLS: dict[str, Any] = {
    "answers": None,
    "lists": {"text": None, "answer_start": None},
    "texts": {"text": None, "answer_start": []},
    "starts": {"text": [], "answer_start": None},
}


@pytest.mark.parametrize("form", NULLS)
def test_a_null_is_no_answer(tmp_path: Path, tiny_tokenizer: Any, form: str) -> None:
    lines(tmp_path, *asked(RIGHT, NULLS[form]))
    assert check_task(task(MAYBE), tmp_path).faults == ()
    rows = task(MAYBE).load_test("en", tmp_path)
    assert rows["answers"].to_pylist() == [RIGHT, NONE]
    features = MAYBE.encode(rows, tiny_tokenizer, max_length=32, training=True)
    assert features.labels is not None
    assert features.labels[0].all()
    assert not features.labels[1].any()
    assert MAYBE.gold(rows) == ["Bob", ""]
    assert MAYBE.score(["Bob", ""], rows, "en")["NoAns_exact"] == 1.0
    assert MAYBE.item_scores(["Bob", "Bob"], rows, "en", "f1") == [1.0, 0.0]


@pytest.mark.parametrize("form", NULLS)
def test_a_null_is_refused_where_every_row_needs_an_answer(tmp_path: Path, form: str) -> None:
    path = lines(tmp_path, *asked(RIGHT, NULLS[form]))
    for kind in (SpanQA(), SpanQA(spanless=True)):
        said = refused(kind, tmp_path, path)
        assert said == "no answer in 1 row (1): []; allowed: an answer in every row, or SpanQA(no_answer=True)"


@pytest.mark.parametrize("empty", [None, [], NULLS["lists"]])
def test_a_file_in_which_no_row_has_an_answer(tmp_path: Path, empty: Any) -> None:
    path = lines(tmp_path, *asked(empty, empty))
    rows = task(MAYBE).load_test("en", tmp_path)
    assert rows["answers"].to_pylist() == [NONE, NONE]
    assert MAYBE.score(["", "Bob"], rows, "en")["NoAns_exact"] == 0.5
    assert refused(SpanQA(), tmp_path, path).startswith("no answer in 2 rows (0, 1): []; allowed: ")


@pytest.mark.parametrize("given", [RIGHT | {"answer_start": [9.0]}, {"text": "Bob", "answer_start": 9.0},
                                   [{"text": "Bob", "answer_start": 9.0}]])  # fmt: skip
def test_a_start_of_pandas_is_a_whole_number(tmp_path: Path, tiny_tokenizer: Any, given: Any) -> None:
    lines(tmp_path, *asked(given))
    assert check_task(task(SpanQA()), tmp_path).faults == ()
    rows = task(SpanQA()).load_test("en", tmp_path)
    assert rows["answers"].to_pylist() == [RIGHT]
    assert type(rows["answers"].to_pylist()[0]["answer_start"][0]) is int
    labels = [SpanQA().encode(table, tiny_tokenizer, max_length=32, training=True).labels
              for table in (rows, pa.Table.from_pylist(asked(given)), pa.Table.from_pylist(asked(RIGHT)))]  # fmt: skip
    np.testing.assert_equal(labels[:2], labels[2:] * 2)
    lines(tmp_path, *asked(given, None))
    assert task(MAYBE).load_test("en", tmp_path)["answers"].to_pylist() == [RIGHT, NONE]
    lines(tmp_path, *asked({"text": ["yes"], "answer_start": [-1.0]}))
    assert task(SpanQA(spanless=True)).load_test("en", tmp_path)["answers"].to_pylist()[0]["answer_start"] == [-1]


@pytest.mark.parametrize(("given", "said"), [
    ({"text": ["Bob"], "answer_start": [9.5]},
     "no whole number in 'answers.answer_start' in 1 row (1): [9.5]; allowed: the place of the answer's first "
     "character, from 0"),
    ({"text": ["Bob"], "answer_start": [float("nan")]},
     "no whole number in 'answers.answer_start' in 1 row (1): [nan]; allowed: the place of the answer's first "
     "character, from 0"),
    ({"text": ["Bob"], "answer_start": ["9"]},
     "column 'answers.answer_start' holds string; allowed: a list of whole numbers (integer). Write numbers without "
     "quotes, such as [9]"),
    ({"text": "Bob", "answer_start": "9"},
     "column 'answers.answer_start' holds string; allowed: a list of whole numbers (integer). Write numbers without "
     "quotes, such as [9]"),
    ({"text": ["Bob"], "answer_start": [True]},
     "column 'answers.answer_start' holds bool; allowed: a list of whole numbers (integer)"),
    ({"text": [42], "answer_start": [9]},
     "column 'answers.text' holds int64; allowed: a list of texts (string)"),
    ([{"text": ["Bob"], "answer_start": 9}],
     "column 'answers.text' holds list<item: string>; allowed: a list of texts (string)"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [SpanQA(), MAYBE, SpanQA(spanless=True)])
def test_answers_of_another_type(tmp_path: Path, kind: SpanQA, given: Any, said: str) -> None:
    first = json.loads(json.dumps(given).replace("9.5", "9.0").replace("NaN", "9.0"))
    assert refused(kind, tmp_path, lines(tmp_path, *asked(first, given))) == said


def test_a_context_that_need_not_hold_the_answer_is_a_text_all_the_same(tmp_path: Path) -> None:
    kind, answer = SpanQA(spanless=True), {"text": ["Bob"], "answer_start": [-1]}
    rows = asked(answer, answer)
    path = lines(tmp_path, rows[0], rows[1] | {"context": None})
    assert refused(kind, tmp_path, path) == "no text in 'context' in 1 row (1): null; allowed: a text in every row"
    path = lines(tmp_path, rows[0] | {"context": 3})
    assert refused(kind, tmp_path, path) == "column 'context' holds int64; allowed: text (string)"
    lines(tmp_path, rows[0] | {"context": ""})
    assert check_task(task(kind), tmp_path).faults == ()


def test_answers_in_form_stay_the_very_same_table() -> None:
    for answers in ([RIGHT], [RIGHT, NONE], [NONE]):
        rows = pa.Table.from_pylist(asked(*answers))
        assert MAYBE.normal(rows) is rows
    assert SpanQA().version == MAYBE.version == 2


QUESTION: dict[str, Any] = {"question": "who?", "key": "k1", "candidate": None, "keys": None}
OTHER = QUESTION | {"question": "where?", "key": "k2"}


def candidate(text: Any, keys: Any) -> dict[str, Any]:
    return {"question": None, "key": None, "candidate": text, "keys": keys}


def searched(folder: Path, tokenizer: Any, *vectors: list[float]) -> tuple[dict[str, float], list[Any]]:
    kind = AnswerRetrieval()
    assert check_task(task(kind), folder).faults == ()
    rows = task(kind).load_test("en", folder)
    features = kind.encode(rows, tokenizer, max_length=16, training=False)
    found = kind.predict(np.array(vectors, dtype=np.float32), features, rows)
    return kind.score(found, rows, "en"), kind.gold(rows)


def test_a_candidate_needs_no_keys(tmp_path: Path, tiny_tokenizer: Any) -> None:
    lines(tmp_path, QUESTION, candidate("Bob", ["k1"]), {"candidate": "distractor"})
    assert searched(tmp_path, tiny_tokenizer, [1, 0], [1, 0], [0, 1]) == ({"map": 1.0}, [[1]])
    listed = [candidate(text, keys) for text, keys in (("a", ["k1"]), ("b", ["k2"]), ("c", None), ("d", None))]
    sampled = AnswerRetrieval().sample(pa.Table.from_pylist([QUESTION, OTHER, *listed]), 1)
    assert sampled.num_rows == 1 + 1 + 2  # half of the three other candidates, rounded


def test_a_key_that_stands_twice_counts_once(tmp_path: Path, tiny_tokenizer: Any) -> None:
    lines(tmp_path, QUESTION, candidate("Bob", ["k1", "k1"]), candidate("Al", []))
    assert searched(tmp_path, tiny_tokenizer, [1, 0], [1, 0], [0, 1]) == ({"map": 1.0}, [[1]])


def test_keys_may_be_numbers(tmp_path: Path, tiny_tokenizer: Any) -> None:
    lines(tmp_path, QUESTION | {"key": 0}, QUESTION | {"question": "where?", "key": 11},
          candidate("Bob", [0]), candidate("there", [11]))  # fmt: skip
    found = searched(tmp_path, tiny_tokenizer, [1, 0], [0, 1], [1, 0], [0, 1])
    assert found == ({"map": 1.0}, [[1], [1]])


@pytest.mark.parametrize(("rows", "said"), [
    ([QUESTION, candidate("Bob", "k1")],
     "column 'keys' holds string; allowed: a list for each candidate, as [\"k1\"]; [] or null where it answers no "
     "question. CSV and TSV have no lists: write JSON Lines or Parquet"),
    ([QUESTION, candidate("Bob", 1)],
     "column 'keys' holds int64; allowed: a list for each candidate, as [\"k1\"]; [] or null where it answers no "
     "question"),
    ([QUESTION, candidate("Bob", [["k1"]])],
     "column 'keys' holds list<item: list<item: string>>; allowed: a list of keys, as [\"k1\"]"),
    ([QUESTION | {"key": ["k1"]}, candidate("Bob", ["k1"])],
     "column 'key' holds list<item: string>; allowed: one key for each question"),
    ([QUESTION | {"key": 1}, candidate("Bob", ["1"])],
     "column 'keys' holds lists of string, and 'key' holds int64; allowed: keys of one type, or no question finds its "
     "candidates"),
    ([QUESTION | {"question": 7}, candidate("Bob", ["k1"])], "column 'question' holds int64; allowed: text (string)"),
    ([QUESTION, candidate(7, ["k1"])], "column 'candidate' holds int64; allowed: text (string)"),
])  # fmt: skip
def test_questions_and_candidates_of_another_type(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    assert refused(AnswerRetrieval(), tmp_path, lines(tmp_path, *rows)) == said


def test_keys_of_a_csv_file_are_not_read_letter_by_letter(tmp_path: Path) -> None:
    path = write(tmp_path, "question,key,candidate,keys\nwho?,11,,\n,,Bob,11\n", "csv")
    assert refused(AnswerRetrieval(), tmp_path, path).startswith("column 'keys' holds string; allowed: a list for each")


def test_keys_of_a_pool_are_of_the_questions_type(tiny_tokenizer: Any) -> None:
    kind = AnswerRetrieval()
    tables = [pa.Table.from_pylist([QUESTION | {"key": 1}]), pa.Table.from_pylist([candidate("Bob", ["1"])])]
    features = [kind.encode(table, tiny_tokenizer, max_length=16, training=False) for table in tables]
    vectors = [np.ones((1, 2), dtype=np.float32)] * 2
    with pytest.raises(UserError, match="texts in one file and numbers in another; allowed: one type in all"):
        kind.predict_together(vectors, features, tables)
    # Two languages with keys of their own kind each find their own.
    tables = [pa.Table.from_pylist([QUESTION | {"key": key}, candidate("Bob", [key])]) for key in ("a", 1)]
    features = [kind.encode(table, tiny_tokenizer, max_length=16, training=False) for table in tables]
    vectors = [np.eye(2, dtype=np.float32)[[0, 0]], np.eye(2, dtype=np.float32)[[1, 1]]]
    assert kind.predict_together(vectors, features, tables) == [[[1]], [[1]]]


def test_a_text_that_is_not_utf8_is_told_with_its_row() -> None:
    bad = pa.array([None, b"\xff"]).view(pa.string())
    rows = pa.table({"question": ["who?", None], "key": ["k1", None], "candidate": bad, "keys": [None, ["k1"]]})
    [fault] = AnswerRetrieval().check(rows, "en")
    assert str(fault).startswith("'candidate' is not UTF-8 in 1 row (1): b'\\xff'; allowed: text in UTF-8")


BUCC = bucc_sides(TRUE_ROWS["bucc2018"]["dev"], "de").to_pylist()


@pytest.mark.parametrize("side", ["Source", "src", " source", None])
def test_a_side_of_another_name_is_refused(tmp_path: Path, side: str | None) -> None:
    path = lines(tmp_path, *[BUCC[0] | {"side": side}, *BUCC[1:]])
    found = "null" if side is None else repr(side)
    said = f"unknown 'side' in 1 row (0): {found}; allowed: 'source', 'target', 'pair'"
    assert refused(Mining(), tmp_path, path) == said


def test_sentences_and_ids_of_mining_have_their_type(tmp_path: Path) -> None:
    path = lines(tmp_path, *[row | {"sentence": 7} for row in BUCC])
    assert refused(Mining(), tmp_path, path) == "column 'sentence' holds int64; allowed: text (string)"
    path = lines(tmp_path, *[row | {"id": ["a"]} for row in BUCC])
    assert refused(Mining(), tmp_path, path) == "column 'id' holds list<item: string>; allowed: one id a row"
    lines(tmp_path, *BUCC)
    assert check_task(task(Mining()), tmp_path).faults == ()
