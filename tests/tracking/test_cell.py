from __future__ import annotations

from dataclasses import replace

from raystilts.tracking.cell import POINTS, Point, loss_points, points_of, summary_of
from raystilts.training.result import Score, StageResult


def result(losses: tuple[float, ...]) -> StageResult:
    """A stage that was evaluated twice in two languages."""
    scores = tuple(
        Score("t", split, language, "f1", value, step, 10, True, step == 4)
        for split, language, value, step in (
            ("dev", "en", 0.5, 2), ("dev", "de", 0.3, 2), ("dev", "en", 0.75, 4), ("dev", "de", 0.25, 4),
            ("test", "en", 0.5, 4), ("test", "de", 0.25, 4),
        )
    )  # fmt: skip
    return StageResult(
        scores=scores, dev_score=0.5, losses=losses, steps_done=len(losses), steps_planned=4, best_step=4, examples=32,
        tokens=100, micro_batch=8, train_seconds=1.5, eval_seconds=1.0, threads=1, device="cpu", precision="fp32",
        trained=True, checkpoint=None,
    )  # fmt: skip


def test_points() -> None:
    assert points_of(result((4.0, 3.0, 2.0, 1.0))) == [
        ("train/loss", 1, 4.0), ("train/loss", 2, 3.0), ("train/loss", 3, 2.0), ("train/loss", 4, 1.0),
        ("dev/en/f1", 2, 0.5), ("dev/de/f1", 2, 0.3), ("dev/en/f1", 4, 0.75), ("dev/de/f1", 4, 0.25),
        ("dev/mean", 2, 0.4), ("dev/mean", 4, 0.5),
    ]  # fmt: skip
    assert points_of(replace(result(()), scores=())) == []


def test_scores_of_several_tasks_have_tags_of_their_own() -> None:
    one = result(())
    both = replace(one, scores=(*one.scores, *(replace(s, task="u", value=s.value / 2) for s in one.scores)))
    points, summary = points_of(both, mixed=True), summary_of(both, mixed=True)
    assert len({(tag, step) for tag, step, _ in points}) == len(points)
    assert ("dev/t/en/f1", 4, 0.75) in points
    assert ("dev/u/en/f1", 4, 0.375) in points
    assert (summary["final/dev/t/en/f1"], summary["final/dev/u/en/f1"]) == (0.75, 0.375)
    assert summary["final/dev/mean"] == 0.375


def test_a_report_goes_on_where_the_last_one_ended() -> None:
    assert loss_points([2.0, 1.0], first=7) == [Point("train/loss", 8, 2.0), Point("train/loss", 9, 1.0)]


def test_long_curves_are_means_of_parts() -> None:
    found = [(step, value) for _, step, value in loss_points(tuple(map(float, range(3 * POINTS))))]
    assert len(found) == POINTS
    assert found[:2] == [(3, 1.0), (6, 4.0)]
    assert found[-1][0] == 3 * POINTS


def test_the_last_numbers() -> None:
    assert summary_of(result((1.0,))) == {
        "final/dev/en/f1": 0.75, "final/dev/de/f1": 0.25, "final/test/en/f1": 0.5, "final/test/de/f1": 0.25,
        "final/dev/mean": 0.5, "final/test/mean": 0.375, "dev_score": 0.5, "best_step": 4.0, "train_seconds": 1.5,
        "eval_seconds": 1.0,
    }  # fmt: skip
