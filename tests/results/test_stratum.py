from __future__ import annotations

import numpy as np

from raystilts.results.stratum import Arm, Final, Place, Unfinished, build_stratum

PLACE = Place(
    target="xnli", target_fraction=1.0, split="test", language=None, languages=("de", "en"), metric="accuracy"
)
NONE, MNLI, SQUAD = (Arm(name, fraction, "{}") for name, fraction in (("none", None), ("mnli", 1.0), ("squad", 1.0)))


def finals(rules: dict[Arm, list[str | None]]) -> list[Final]:
    return [Final(arm, seed, 0.5 + seed / 10, rule, (0.5, 0.6)) for arm, own in rules.items()
            for seed, rule in enumerate(own)]  # fmt: skip


def test_degenerate_runs_are_counted_and_in_no_score() -> None:
    found = build_stratum(PLACE, finals({NONE: [None] * 3, MNLI: ["chance", None, "loss"], SQUAD: [None] * 3}), [])
    assert found.degenerate.tolist() == [0, 2, 0]
    assert np.isnan(found.scores[1]).tolist() == [True, False, True]
    assert np.isnan(found.by_language[1, :, 0]).tolist() == [True, False, True]
    assert found.at_chance == 0


def test_an_arm_at_chance_in_every_run_is_at_its_level() -> None:
    found = build_stratum(PLACE, finals({NONE: [None] * 3, MNLI: ["chance"] * 3, SQUAD: ["chance", None, None]}), [])
    assert found.degenerate.tolist() == [0, 0, 1]
    assert np.isfinite(found.scores[1]).all()
    assert found.at_chance == 3


def test_a_target_that_is_not_learnt_drops_nothing() -> None:
    rules: dict[Arm, list[str | None]] = {NONE: ["chance", None], MNLI: ["chance", None], SQUAD: ["chance", "nan"]}
    found = build_stratum(PLACE, finals(rules), [])
    assert found.at_chance == 3
    assert found.degenerate.tolist() == [0, 0, 1]


def test_how_far_stopped_runs_came() -> None:
    ended = [Unfinished(SQUAD, "stopped", 1 / 3), Unfinished(SQUAD, "stopped", 0.5), Unfinished(MNLI, "failed", None)]
    found = build_stratum(PLACE, finals({NONE: [None] * 2}), ended)
    assert found.arms == [NONE, MNLI, SQUAD]
    assert found.stopped_at == (None, None, 0.5)
    assert (found.stopped.tolist(), found.failed.tolist()) == ([0, 0, 2], [0, 1, 0])
