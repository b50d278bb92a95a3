"""What the ledger says of how a training went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from raystilts.planning.stages import plan
from raystilts.results.schema import RunRow
from raystilts.scheduling.record import SHORTEST, Attempt
from raystilts.tasks.check import constant_score
from raystilts.training.result import Score, StageResult

from .examples import study

FALLING = [1.0 - 0.02 * i for i in range(SHORTEST)]


def recorded(folder: Path, dev: float, losses: Sequence[float] = FALLING, paused_at: float | None = None) -> RunRow:
    """The row of a target stage on 400 dev examples."""
    one = plan(study(folder, evaluation={"max_dev_samples": 400, "max_test_samples": 4}))
    [stage] = [s for s in one.stages.values() if s.target == "cldr_units" and s.intermediate.is_none]
    attempt = Attempt(stage, one.study, one.encoder, 1, datetime.now(UTC), 1.0)
    final = paused_at is None
    result = StageResult(
        scores=(Score("cldr_units", "dev", "en", "accuracy", dev, 4, 400, True, final),), dev_score=dev,
        losses=tuple(losses), steps_done=4, steps_planned=4, best_step=4, examples=16, tokens=40, micro_batch=4,
        train_seconds=1.0, eval_seconds=1.0, threads=1, device="cpu", precision="fp32", trained=True, checkpoint=None,
        paused_at=paused_at,
    )  # fmt: skip
    return attempt.finished(result)[0]


@pytest.mark.parametrize(
    ("dev", "losses", "rule"),
    [
        (0.9, FALLING, None),
        (0.9, [1.0] * SHORTEST, "loss"),
        (0.9, [1.0] * (SHORTEST - 1), None),  # too short to show a trend
        (0.01, FALLING, "chance"),
        (float("nan"), FALLING, "nan"),
    ],
)
def test_how_a_training_went(tmp_path: Path, dev: float, losses: list[float], rule: str | None) -> None:
    row = recorded(tmp_path, dev, losses)
    assert (row.degenerate, row.degenerate_rule) == (rule is not None, rule)


def test_chance_is_the_best_constant_answer(tmp_path: Path) -> None:
    chance = constant_score("cldr_units", "en", 400, None)
    assert 0.05 < chance < 0.6
    assert recorded(tmp_path, chance + 0.01).degenerate_rule == "chance"  # four more of 400
    assert recorded(tmp_path, chance + 0.1).degenerate_rule is None


def test_nothing_is_said_of_a_training_that_goes_on(tmp_path: Path) -> None:
    row = recorded(tmp_path, 0.01, [1.0] * SHORTEST, paused_at=0.5)
    assert (row.degenerate, row.degenerate_rule) == (None, None)
