"""One posterior of all targets in place of one a target: what it decides, and who may be the best."""

from __future__ import annotations

import numpy as np

from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.together import TargetTable, rank_together

ARMS = ["none", *(f"a{i}" for i in range(6))]


def tables(seed: int, seeds: int = 3) -> tuple[FloatArray, list[TargetTable]]:
    """``[8, 7]`` true scores on targets that mostly agree, and their runs: two seeds of few arms, one of the others."""
    rng = np.random.default_rng(seed)
    truth = 60 + rng.normal(0.0, 2.0, len(ARMS)) + rng.normal(0.0, 0.7, (8, len(ARMS)))
    runs = truth[:, :, None] + rng.normal(0.0, 1.0, (*truth.shape, seeds))
    for target in range(8):
        runs[target, rng.permutation(len(ARMS))[:5], 1:] = np.nan
    return truth, [TargetTable(ARMS, one, np.ones(len(ARMS), dtype=np.bool_), {}) for one in runs]


def test_the_leader_has_the_least_regret_and_probabilities_sum_to_one() -> None:
    _, targets = tables(0)
    found = rank_together(targets)
    assert found is not None
    for one in found:
        assert one.draws.shape == (7, 2000)
        assert one.p_best.sum() == np.float64(1.0) or abs(one.p_best.sum() - 1) < 1e-9
        assert one.leader == int(one.regret.argmin()) == int(one.draws.mean(axis=1).argmax())
        assert one.determined


def test_what_is_said_is_true_as_often() -> None:
    said, true = [], []
    for seed in range(12):
        truth, targets = tables(seed)
        found = rank_together(targets)
        assert found is not None
        for one, scores in zip(found, truth, strict=True):
            assert one.leader is not None
            said.append(one.p_best[one.leader])
            true.append(one.leader == scores.argmax())
    assert abs(np.mean(said) - np.mean(true)) < 0.1  # 96 targets: standard error .05


def test_an_arm_without_a_run_may_be_the_best_and_is_not_taken() -> None:
    truth, targets = tables(1)
    best = int(np.bincount(truth.argmax(axis=1)).argmax())
    row = int(np.flatnonzero(truth.argmax(axis=1) == best)[0])
    hidden = targets[row].scores.copy()
    hidden[best] = np.nan
    targets[row] = TargetTable(ARMS, hidden, targets[row].competes, {})
    found = rank_together(targets)
    assert found is not None
    one = found[row]
    assert one.p_best[best] > 0.1
    assert best in one.best_set
    assert one.leader != best


def test_a_prior_tells_of_arms_without_a_run() -> None:
    _, targets = tables(2)
    scores = targets[0].scores.copy()
    scores[3] = np.nan

    def said(expected: float) -> float:
        prior = {"a2": expected}
        mine = [TargetTable(ARMS, scores, targets[0].competes, prior)]
        others = [TargetTable(ARMS, one.scores, one.competes, dict(zip(ARMS, one.scores[:, 0] - 60, strict=True)))
                  for one in targets[1:]]  # fmt: skip
        found = rank_together([*mine, *others])
        assert found is not None
        return float(found[0].p_best[3])

    assert said(3.0) > said(-3.0)


def test_an_arm_that_may_not_be_the_best_tells_nothing() -> None:
    _, targets = tables(3)
    barred = [one.competes.copy() for one in targets]
    for mask in barred:
        mask[2] = False
    found = rank_together([TargetTable(ARMS, one.scores, mask, {}) for one, mask in zip(targets, barred, strict=True)])
    changed = []
    for one, mask in zip(targets, barred, strict=True):
        scores = one.scores.copy()
        scores[2] += 30.0
        changed.append(TargetTable(ARMS, scores, mask, {}))
    again = rank_together(changed)
    assert found is not None
    assert again is not None
    for mine, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(mine.p_best, other.p_best)
        assert np.isnan(mine.p_best[2])
        assert 2 not in mine.best_set


def test_without_a_second_seed_anywhere_nothing_is_said() -> None:
    scores = np.random.default_rng(0).normal(60, 3, (5, 7, 1))
    assert rank_together([TargetTable(ARMS, one, np.ones(7, dtype=np.bool_), {}) for one in scores]) is None
