"""Scores of single items: written, merged, read, and what they make of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from raystilts.errors import StorageError
from raystilts.filesystem import open_folder
from raystilts.importing.items import write_items as write_imported
from raystilts.importing.state import Source
from raystilts.ranking.items import SEEN, UNSEEN
from raystilts.results.answers import TargetAnswer
from raystilts.results.items import copy_items, has_items, merge_items, read_item_sets, write_items
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results

from .rows import run_row, score_rows

ARMS = ("none", "mnli", "squad")
ITEMS = 300


@dataclass
class Scored:
    task: str
    split: str
    language: str
    values: list[float]
    metric: str = "accuracy"
    data: str = "same"


def grid(folder: Path, *, luck: float, items: bool = True, number: int = ITEMS, languages: tuple[str, ...] = ("en",),
         data: str = "same", counted: bool = True) -> Path:  # fmt: skip
    """Arms of equal worth: each has items that it answers by luck, with every seed alike (the more, the larger)."""
    rng = np.random.default_rng(0)
    for arm in ARMS:
        own = {(split, lang): rng.normal(0, luck, number) for split in ("dev", "test") for lang in languages}
        for seed in range(3):
            stage = f"{arm}-{seed}"
            right = {key: (rng.normal(0, 1, number) + mine > -0.5).astype(float) for key, mine in own.items()}
            fraction = None if arm == "none" else 1.0
            run = run_row(stage, intermediate=arm, intermediate_fraction=fraction, seed=seed)
            examples = number if counted else 0
            rows = [row for (split, lang), hits in right.items()
                    for row in score_rows(run, {lang: float(hits.mean())}, split=split, examples=examples)]  # fmt: skip
            if items:
                write_items(folder, stage, [Scored("xnli", split, lang, values.tolist(), data=data)
                                            for (split, lang), values in right.items()])  # fmt: skip
            write_attempt(folder, run, rows)
    return folder


def width(answer: TargetAnswer) -> float:
    return max((arm.gain_high or 0.0) - (arm.gain_low or 0.0) for arm in answer.arms)


def answer(folder: Path, language: str | None = None) -> TargetAnswer:
    [found] = Results(folder).answers(language=language)
    return found


def test_what_was_written_is_read_merged_or_not(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    assert not has_items(folder)
    write_items(folder, "a", [Scored("xnli", "dev", "en", [1.0, 0.0]), Scored("xnli", "test", "de", [0.5])])
    write_items(folder, "b", [Scored("squad", "dev", "en", [0.25])])
    write_items(folder, "c", [])

    def seen(target: str | None = None, split: str | None = None) -> list[tuple[str, str, str, list[float]]]:
        sets = read_item_sets(folder, target, split)
        return sorted((one.stage, one.target, one.split, one.values.tolist()) for one in sets)

    before = seen()
    assert before == [("a", "xnli", "dev", [1, 0]), ("a", "xnli", "test", [0.5]), ("b", "squad", "dev", [0.25])]
    assert seen("xnli", "dev") == before[:1]
    assert merge_items(folder, many=5) == 0
    assert merge_items(folder) == 2
    assert seen() == before
    assert len(folder.names("items")) == 1
    assert merge_items(folder) == 0
    write_items(folder, "a", [Scored("xnli", "dev", "en", [1.0, 0.0])])
    write_items(folder, "d", [Scored("xnli", "dev", "en", [0.0, 1.0])])
    assert seen() == sorted([*before, ("d", "xnli", "dev", [0, 1])])
    assert merge_items(folder) == 3
    assert seen() == sorted([*before, ("d", "xnli", "dev", [0, 1])])
    copy_items(folder, tmp_path / "other", {"d", "b"})
    assert {one.stage for one in read_item_sets(tmp_path / "other")} == {"b", "d"}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = grid(tmp_path, luck=1.0)
    (folder / "items" / "mnli-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(StorageError, match=r"mnli-0\.parquet cannot be read"):
        Results(folder).answers()


def test_arms_that_agree_by_luck_are_not_told_apart(tmp_path: Path) -> None:
    with_items, without = grid(tmp_path / "a", luck=3.0), grid(tmp_path / "b", luck=3.0, items=False)
    known, unknown = answer(with_items), answer(without)
    assert width(known) > 1.3 * width(unknown)
    assert set(known.best) >= set(unknown.best)
    assert [note for note in known.notes if "measured item by item" in note]
    assert [note for note in unknown.notes if "estimated from their number" in note]


def test_items_that_cost_nothing_widen_nothing(tmp_path: Path) -> None:
    """Where runs agree on nothing but chance, seeds see all of the noise."""
    known, unknown = answer(grid(tmp_path / "a", luck=0.0)), answer(grid(tmp_path / "b", luck=0.0, items=False))
    assert width(unknown) == pytest.approx(width(known), rel=0.35)


@pytest.mark.parametrize("number", [25, 400, 5000])
def test_items_without_their_scores_widen_by_the_share_that_was_measured(tmp_path: Path, number: int) -> None:
    """However many there are: at 25 items of a score of .6 it is 4 points for an arm, at 400 1 point."""
    found = answer(grid(tmp_path, luck=1.0, items=False, number=number))
    assert found.gains is not None
    assert found.gains.items is not None
    means = np.array([arm.mean for arm in sorted(found.arms, key=lambda arm: ARMS.index(arm.intermediate))])
    assert found.gains.items == pytest.approx(SEEN * means * (1 - means) / number, rel=0.01)
    assert width(found) > 2 * 1.96 * (2 * found.gains.items.min()) ** 0.5
    [dev, test] = [note for note in found.notes if "the luck of the" in note]
    said = "points for an arm, is in the answer: estimated from their number; predictions:"
    assert f"the {number} dev items, " in dev
    assert f"{said} dev in the study measures it" in dev
    assert f"the {number} test items, " in test
    assert f"{said} all in the study measures it" in test


def test_tables_that_do_not_say_how_many_items_they_have_are_answered_as_they_are(tmp_path: Path) -> None:
    found = answer(grid(tmp_path, luck=1.0, items=False, counted=False))
    assert found.gains is not None
    assert found.gains.items is None
    assert not [note for note in found.notes if "the luck of" in note]


def test_arms_without_seeds_are_compared_with_the_luck_of_their_items(tmp_path: Path) -> None:
    """One item of 400 more is no certain gain, although neither score varies with a seed."""
    for name, right in (("none", 300), ("mnli", 301)):
        run = run_row(name, kind="retrieval", intermediate=name, intermediate_fraction=None, seed=None)
        write_attempt(tmp_path, run, score_rows(run, {"en": right / 400}, split="test", examples=400))
    found = answer(tmp_path)
    [arm] = [one for one in found.arms if one.intermediate == "mnli"]
    assert arm.gain_low is not None
    assert arm.gain_high is not None
    half = 1.96 * (2 * UNSEEN * 0.75 * 0.25 / 400) ** 0.5
    assert arm.gain_low == pytest.approx(0.0025 - half, abs=0.002)
    assert arm.gain_high == pytest.approx(0.0025 + half, abs=0.002)
    assert [note for note in found.notes if "400 test items" in note and "estimated from their number" in note]


def test_luck_is_told_of_where_there_are_intervals(tmp_path: Path) -> None:
    for name, right in (("none", 300), ("mnli", 301)):
        run = run_row(name, intermediate=name, intermediate_fraction=None if name == "none" else 1.0, seed=0)
        write_attempt(tmp_path, run, score_rows(run, {"en": right / 400}, split="test", examples=400))
    found = answer(tmp_path)
    assert [note for note in found.notes if "no repeated seeds" in note]
    assert not [note for note in found.notes if "the luck of" in note]


def test_arms_of_a_target_that_is_not_trained_are_taken_to_agree_by_luck(tmp_path: Path) -> None:
    """Their seeds are those of the intermediates alone."""
    for arm, rights in (("none", {None: 300}), ("mnli", {0: 320, 1: 321, 2: 322}), ("squad", {0: 310, 1: 313, 2: 310})):
        for seed, right in rights.items():
            run = run_row(f"{arm}-{seed}", kind="retrieval", intermediate=arm,
                          intermediate_fraction=None if arm == "none" else 1.0, seed=seed)  # fmt: skip
            write_attempt(tmp_path, run, score_rows(run, {"en": right / 400}, split="test", examples=400))
    found = answer(tmp_path)
    assert found.gains is not None
    assert found.gains.items is not None
    means = np.array([300, 321, 311]) / 400
    assert found.gains.items == pytest.approx(UNSEEN * means * (1 - means) / 400)


def test_languages_have_items_of_their_own(tmp_path: Path) -> None:
    folder = grid(tmp_path, luck=3.0, languages=("en", "de"))
    both, german = answer(folder), answer(folder, "de")
    assert [note for note in both.notes if "600 test items" in note]
    assert [note for note in german.notes if "300 test items" in note]
    assert german.gains is not None
    assert german.gains.items is not None
    assert both.gains is not None
    assert both.gains.items is not None
    assert german.gains.items.mean() > both.gains.items.mean() > 0


def test_runs_on_other_items_are_not_mixed(tmp_path: Path) -> None:
    folder = grid(tmp_path, luck=3.0)
    write_items(folder, "mnli-0", [Scored("xnli", s, "en", [0.0] * ITEMS, data="other") for s in ("dev", "test")])
    assert answer(folder).gains is not None
    for stage in ("mnli-0", "mnli-1", "mnli-2", "squad-0", "squad-1", "squad-2"):
        write_items(folder, stage, [Scored("xnli", s, "en", [0.0] * 9, data="other") for s in ("dev", "test")])
    assert answer(folder).arms, "six runs of nine share the other items"


def test_the_documents_query(tmp_path: Path) -> None:
    """The SQL of docs/explanation/items.md, on merged files and others."""
    folder = open_folder(tmp_path)
    for stage in ("a", "b"):
        write_items(folder, stage, [Scored("xnli", "dev", "en", [1.0, 0.0]), Scored("squad", "dev", "en", [0.5])])
    merge_items(folder)
    write_items(folder, "c", [Scored("xnli", "dev", "en", [0.0, 1.0])])
    text = (Path(__file__).parents[2] / "docs" / "explanation" / "items.md").read_text(encoding="utf-8")
    query = text.split("```sql\n")[1].split("```")[0].replace("RESULTS", str(tmp_path))
    rows = duckdb.connect().execute(f"select * from ({query}) order by all").fetchall()
    assert [row[0] + str(row[2]) for row in rows] == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert [row[3] for row in rows] == [1, 0, 1, 0, 0, 1]


def test_imported_scores_of_items_count_too(tmp_path: Path) -> None:
    """The same scores of items, written by a run and imported: the same answer."""
    ours = grid(tmp_path / "ours", luck=3.0)
    theirs = grid(tmp_path / "theirs", luck=3.0, items=False)
    rows = [
        {"intermediate": one.stage[:-2], "target": "xnli", "language": "en", "split": one.split, "metric": "accuracy",
         "item": f"{item:03}", "seed": int(one.stage[-1]), "value": value}
        for one in read_item_sets(ours) for item, value in enumerate(one.values.tolist())
    ]  # fmt: skip
    write_imported(open_folder(theirs), pd.DataFrame(rows), Source("samples", "", "", "", "", ""))
    mine, other = answer(ours), answer(theirs)
    assert [arm.to_json() for arm in mine.arms] == [arm.to_json() for arm in other.arms]
    assert mine.notes == other.notes


def test_items_are_counted_of_the_runs_that_are_asked_for(tmp_path: Path) -> None:
    """Another encoder with few items, and an attempt that was done again, say nothing of these scores."""
    grid(tmp_path, luck=0.0, items=False)
    few = run_row("few", encoder="other")
    failed = run_row("mnli-0", intermediate="mnli", intermediate_fraction=1.0, status="failed", stop_reason="error",
                     attempt=2)  # fmt: skip
    for run, items in ((few, 20), (failed, 9)):
        write_attempt(tmp_path, run, score_rows(run, {"en": 0.5}, split="dev", examples=items))
    [answer] = Results(tmp_path, encoder="encoder").answers("xnli")
    assert [note for note in answer.notes if f"the {ITEMS} dev items" in note]
