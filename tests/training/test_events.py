from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raystilts.training.events import POINTS, points, write_events
from raystilts.training.result import Score, StageResult


def result(losses: tuple[float, ...]) -> StageResult:
    """A stage that was evaluated twice in two languages."""
    scores = tuple(
        Score("t", split, language, "f1", value, step, 10, True, step == 4)
        for split, language, value, step in (
            ("dev", "en", 0.5, 2), ("dev", "de", 0.3, 2), ("dev", "en", 0.75, 4), ("dev", "de", 0.25, 4),
            ("test", "de", 0.1, 4),
        )
    )  # fmt: skip
    return StageResult(
        scores=scores, dev_score=0.5, losses=losses, steps_done=len(losses), steps_planned=4, best_step=4, examples=32,
        tokens=100, micro_batch=8, train_seconds=1.0, eval_seconds=1.0, threads=1, device="cpu", precision="fp32",
        trained=True, checkpoint=None,
    )  # fmt: skip


def test_points() -> None:
    assert points(result((4.0, 3.0, 2.0, 1.0))) == [
        ("train/loss", 1, 4.0), ("train/loss", 2, 3.0), ("train/loss", 3, 2.0), ("train/loss", 4, 1.0),
        ("dev/en/f1", 2, 0.5), ("dev/de/f1", 2, 0.3), ("dev/en/f1", 4, 0.75), ("dev/de/f1", 4, 0.25),
        ("dev/mean", 2, 0.4), ("dev/mean", 4, 0.5),
    ]  # fmt: skip
    assert points(replace(result(()), scores=())) == []


def test_long_curves_are_means_of_parts() -> None:
    found = [(step, value) for tag, step, value in points(result(tuple(map(float, range(3 * POINTS)))))
             if tag == "train/loss"]  # fmt: skip
    assert len(found) == POINTS
    assert found[:2] == [(3, 1.0), (6, 4.0)]
    assert found[-1][0] == 3 * POINTS


def test_a_later_segment_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    name = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(name, reason="tensorboard is not installed")
    for losses in ((4.0, 3.0), (4.0, 3.0, 2.0, 1.0)):
        write_events(tmp_path, "none-cldr_units-seed0", result(losses))
    folder = tmp_path / "tensorboard" / "none-cldr_units-seed0"
    assert len(list(folder.iterdir())) == 1
    read = reader.EventAccumulator(str(folder)).Reload()
    assert [(event.step, event.value) for event in read.Scalars("train/loss")] == [
        (1, 4.0),
        (2, 3.0),
        (3, 2.0),
        (4, 1.0),
    ]
    assert [(event.step, event.value) for event in read.Scalars("dev/mean")] == [(2, pytest.approx(0.4)), (4, 0.5)]
