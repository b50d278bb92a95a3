from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts.tasks.check import Checked, check_task
from raystilts.tasks.registry import get_task
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

HINT = "; allowed: text == context[start:start + len(text)]; a source's converter answers_in_place moves them"
TRAIN = Source(dataset="mine", split="train")
TASK = Task(
    name="mine", type=SpanQA(), train=TRAIN, dev=TRAIN.other("validation"), test=TRAIN.other("test"),
    languages=("en", "de", "fr"), dev_languages=("en",), main_score="em_f1",
    description="d", licence="l", citation="c", url="https://example.org",
)  # fmt: skip


def write(folder: Path, name: str, *rows: tuple[str, str, str, int]) -> None:
    path = folder / "mine" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = [{"question": q, "context": c, "answers": {"text": [a], "answer_start": [s]}} for q, c, a, s in rows]
    pq.write_table(pa.Table.from_pylist(table), path)


def test_every_fault_is_told_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "en/train", ("who?", "Rollo led.", "Rollo", 0), ("when?", "In 911.", "911", 3))
    write(tmp_path, "en/validation", ("who?", "Rollo led.", "Rollo", 0), ("", "In 912.", "912", 3))
    write(tmp_path, "en/test", ("who?", "Rollo led.", "led", 0))
    write(tmp_path, "de/test", ("who?", "Rollo led.", "Rollo", 0), ("wann?", "Im Jahr 911.", "911", 8))
    report = check_task(TASK, tmp_path)
    assert report.faults == (
        f"dev en: {tmp_path}/mine/en/validation.parquet: empty 'question' in 1 row (1)",
        "dev en: in the training data too: 1 row (0)",
        f"test en: {tmp_path}/mine/en/test.parquet: answer not at its place in 1 row (0): "
        f"'led' at 0, where 'Rol' is{HINT}",
        "test en: in the training data too: 1 row (0)",
    )
    assert report.parts[0] == Checked("train", "en", 2)
    assert report.parts[-2:] == (Checked("test", "de", 2), Checked("test", "fr", absent=True))
    assert len(report.here) == 4


def test_what_cannot_be_read_is_a_fault_and_no_error(tmp_path: Path) -> None:
    write(tmp_path, "en/train", ("who?", "Rollo led.", "Rollo", 0))
    (tmp_path / "mine" / "en" / "validation.parquet").write_bytes(b"PAR1 no")
    pq.write_table(pa.table({"question": ["a"], "context": ["b"]}), tmp_path / "mine" / "en" / "test.parquet")
    odd = pa.table({"question": ["a"], "context": [3], "answers": ["b"]})
    (tmp_path / "mine" / "de").mkdir()
    pq.write_table(odd, tmp_path / "mine" / "de" / "test.parquet")
    faults = check_task(TASK, tmp_path).faults
    assert len(faults) == 3
    assert "not a readable Parquet file" in faults[0]
    assert "column 'answers' is missing" in faults[1]
    assert "column 'answers' holds string; allowed: a struct of the lists text and answer_start" in faults[2]


def test_a_few_test_items_in_dev_data_are_noted(tmp_path: Path) -> None:
    write(tmp_path, "en/train", ("where?", "In Rouen.", "Rouen", 3))
    write(tmp_path, "en/validation", ("who?", "Rollo led.", "Rollo", 0), ("when?", "In 911.", "911", 3))
    write(tmp_path, "en/test", ("when?", "In 911.", "911", 3), ("when?", "In 912.", "912", 3))
    report = check_task(TASK, tmp_path)
    assert report.faults == ()
    assert report.notes == ("test en: 1 of 2 rows are in the dev data too",)


def test_a_converter_that_fails_says_which_columns_it_got(tmp_path: Path) -> None:
    path = tmp_path / "xquad_r" / "de" / "test.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"question": ["a"]}), path)
    [fault] = check_task(get_task("lareqa"), tmp_path).faults
    assert fault.startswith("test de: xquad_r: the conversion 'lareqa_sentences' fails (KeyError")
    assert "on columns question" in fault


@pytest.mark.parametrize("name", ["mnli", "mrpc", "sick", "xcopa", "bucc2018_sample", "afriqa", "squad_v2", "pawsx"])
def test_the_data_at_hand_is_in_order(name: str, data_dir: Path) -> None:
    report = check_task(get_task(name), data_dir)
    assert report.faults == ()
    assert report.here


def test_a_translated_task_is_looked_for_in_its_language(tmp_path: Path) -> None:
    write(tmp_path, "de/train", ("wer?", "Rollo.", "Rollo", 0))
    report = check_task(TASK.in_language("de"), tmp_path)
    assert report.parts[0] == Checked("train", "de", 1)


def test_generated_tasks_have_no_faults() -> None:
    task = get_task("cldr_names")
    small = task.model_copy(update={"languages": ("en", "de"), "dev_languages": ("en", "de")})
    assert check_task(small, None).faults == ()


def test_sentences_that_come_again_in_other_pairs_are_counted(data_dir: Path) -> None:
    """PAWS-X is made of few sentences: what is new in a test pair is often only the company."""
    report = check_task(get_task("pawsx"), data_dir)
    assert report.faults == ()
    assert report.notes == (
        "dev en: 220 of 400 rows hold a 'sentence1' or 'sentence2' of the training data",
        "test en: 523 of 1,000 rows hold a 'sentence1' or 'sentence2' of the training data",
    )
