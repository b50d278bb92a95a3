"""`raystilts tasks`: what it says of the registered tasks and of a user's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts.cli import main
from raystilts.errors import UserError
from raystilts.planning.resolve import load_study
from raystilts.planning.stages import plan
from raystilts.tasks import registry
from raystilts.tasks.registry import all_tasks

FILE = """
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(dataset="reviews", split="train")
TASK = Task(
    name="reviews", type=SequenceClassification(text="review", label="stars", labels=("bad", "good")),
    train=TRAIN, dev=TRAIN.other("validation"), test=TRAIN.other("test"), languages=("en", "de"),
    dev_languages=("en",), main_score="accuracy", description="d", licence="l", citation="c", url="https://example.org",
)
"""

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Calls the command line in a folder with reviews.py and its data; exit code, standard output and error."""
    all_tasks()
    before = dict(registry._TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSTILTS_DATA_DIR", "data")
    Path("reviews.py").write_text(FILE)
    for name, texts, stars in (
        ("en/train", ["fine", "awful", "fine too"], [1, 0, 1]),
        ("en/validation", ["so so", "fine"], [0, 1]),
        ("en/test", ["", "nice"], [0, 2]),
        ("de/test", ["gut", "schlecht"], [1, 0]),
    ):
        path = Path("data/reviews") / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"review": texts, "stars": stars}), path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raystilts", "tasks", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    yield run
    registry._TASKS.clear()
    registry._TASKS.update(before)


def test_check_says_exactly_what_is_wrong(call: Call) -> None:
    code, out, err = call("check", "reviews.py")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "reviews          3 faults             9 rows, 4 of 4 parts",
        "  dev en: in the training data too: 1 row (1)",
        "  test en: data/reviews/en/test.parquet: empty 'review' in 1 row (0)",
        "  test en: data/reviews/en/test.parquet: unknown label in 1 row (1): 2; allowed: bad, good, or 0 to 1. "
        "Numbers count the task's labels from 0; or name its labels by the file's numbers: labels=(\"1\", ...)",
    ]


def test_check_for_programs(call: Call) -> None:
    Path("data/reviews/de/test.parquet").unlink()
    code, out, err = call("check", "reviews.py", "--json")
    [report] = json.loads(out)
    assert code == 2
    assert "data/reviews/de/test.parquet: no such file (splits there: )" in err
    assert report["task"] == "reviews"
    assert report["parts"][0] == {"split": "train", "language": "en", "rows": 3, "absent": False, "faults": []}
    assert report["parts"][-1]["absent"] is True


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("en/validation", "not here: dev en"),
        ("en/train", "not here: train en"),
        ("de/test", "not here: test de"),
    ],
)
def test_check_refuses_what_a_study_is_refused_with(call: Call, lost: str, said: str) -> None:
    rows = pa.table({"review": ["new", "nice"], "stars": [0, 1]})
    for split in ("en/validation", "en/test"):
        pq.write_table(rows, f"data/reviews/{split}.parquet")
    Path(f"data/reviews/{lost}.parquet").rename(f"data/reviews/{lost}_.parquet")
    code, out, err = call("check", "reviews.py")
    assert code == 2
    assert "incomplete" in out
    assert said in out
    assert f"data/reviews/{lost}.parquet: no such file (splits there:" in err
    Path("study.yaml").write_text(
        "name: mine\nencoder: {model_name_or_path: raystilts-mini}\ntask_files: [reviews.py]\ndata_dir: data\n"
        "intermediates: [none, reviews]\ntargets: [reviews]\nseeds: [0]\nstorage_path: results\n"
    )
    with pytest.raises(UserError) as refused:
        plan(load_study(Path("study.yaml")))
    assert err.removeprefix("raystilts: ").strip() in str(refused.value)


def test_check_of_data_under_names_of_their_own(call: Call) -> None:
    text = FILE.replace('split="train"', 'split="train", files="exports/{language}-{split}.csv"')
    Path("reviews.py").write_text(text.replace('name="reviews"', 'name="exported"'))
    assert call("check", "reviews.py")[0] == 1  # nothing of it is here
    Path("data/exports").mkdir()
    for name in ("en-train", "en-validation", "en-test"):
        Path(f"data/exports/{name}.csv").write_text(f"review,stars\n{name},0\n")
    code, _, err = call("check", "reviews.py")
    assert (code, "data/exports/de-test.csv" in err) == (2, True)


def test_check_of_the_catalogue_takes_what_is_here(call: Call) -> None:
    rows = {"premise": ["a"], "hypothesis": ["b"], "label": [0]}
    Path("data/xnli/de").mkdir(parents=True)
    pq.write_table(pa.table(rows), "data/xnli/de/test.parquet")
    code, out, err = call("check", "xnli")
    assert (code, err, "xnli             ok" in out) == (0, "", True)


def test_check_passes_what_is_in_order(call: Call) -> None:
    rows = pa.table({"review": ["new", "nice"], "stars": [0, 1]})
    for split in ("validation", "test"):
        pq.write_table(rows, f"data/reviews/en/{split}.parquet")
    assert call("check", "reviews.py")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "give one task or file, or --all"),
        (("mnli", "--all"), 2, "give one task or file, or --all"),
        (("mnil",), 2, "task 'mnil' is unknown; did you mean 'mnli'"),
        (("none.py",), 2, "is not a Python file"),
        (("mnli", "--data-dir", "nowhere"), 2, "--data-dir: nowhere: no such folder"),
        (("mnli",), 1, "mnli             no data here"),
    ],
)
def test_mistakes_end_in_a_line(call: Call, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, out, err = call("check", *arguments)
    assert (found, "Traceback" in out + err) == (code, False)
    assert said in (err if code == 2 else out)


def test_show_tells_the_source_and_what_is_not_here(call: Call) -> None:
    _, out, _ = call("show", "squad_v2")
    facts = {line[:12].strip(): line[13:] for line in out.splitlines()}
    pinned = "hub rajpurkar/squad_v2 (default) at 3ffb306f725f7d2ce8394bc1873b24868140c412; folder"
    assert facts["train"].startswith(pinned)
    assert "SQuAD v2.0" in facts["compared"]
    assert out.count("not here") == 3
    assert "never compared here" in call("show", "mewsli_x")[1]
    shown = call("show", "panx")[1]
    assert "B-PER" in shown
    assert "(else validation)" in shown
    assert "made by raystilts.tasks.cldr.units:rows" in call("show", "cldr_units")[1]
