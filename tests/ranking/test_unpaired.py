"""Arms with seeds of their own: no two share one, as where runs are numbered by ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from raystilts.ranking.contrasts import Contrasts
from raystilts.ranking.intervals import decompose, gain_variance
from raystilts.ranking.mcb import compare_with_best
from raystilts.ranking.posterior import NO_REPEATS, UNPAIRED, rank_arms

NONE, MNLI = np.array([0.601, 0.605, 0.603, 0.599]), np.array([0.712, 0.716, 0.709])


def apart(*arms: np.ndarray) -> np.ndarray:
    """``[arms, seeds]``, each arm under seeds of its own."""
    table = np.full((len(arms), sum(map(len, arms))), np.nan)
    start = 0
    for row, runs in enumerate(arms):
        table[row, start : start + len(runs)] = runs
        start += len(runs)
    return table


def test_one_way_analysis_of_variance() -> None:
    fit = decompose(apart(NONE, MNLI))
    squares = NONE.var() * 4 + MNLI.var() * 3
    assert fit.df == 5
    assert fit.effects == pytest.approx([NONE.mean(), MNLI.mean()])
    assert fit.variance == pytest.approx(squares / 5)
    variance, df = gain_variance(fit, 1)
    assert variance == pytest.approx(squares / 5 * (1 / 4 + 1 / 3))
    assert df == 5.0
    assert not fit.split
    assert not fit.paired


def test_what_is_said_of_them() -> None:
    found = rank_arms(apart(NONE, MNLI), stream="unpaired")
    assert found.notes == (UNPAIRED,)
    assert found.best_set == (1,)
    gain, low, high = (values[1] for values in found.gains)
    half = student.ppf(0.975, 5) * (decompose(apart(NONE, MNLI)).variance * (1 / 4 + 1 / 3)) ** 0.5
    assert gain == pytest.approx(MNLI.mean() - NONE.mean(), abs=0.002)
    assert (high - low) / 2 == pytest.approx(half, rel=0.35)
    assert compare_with_best(apart(NONE, MNLI)).best_set == (1,)


def test_a_difference_over_targets() -> None:
    shifted = [apart(NONE, MNLI), apart(NONE[::-1], MNLI + 0.1)]
    found = Contrasts(np.stack(shifted)).difference([1, 1], [0, 0], [0.5, 0.5])
    assert found.value == pytest.approx(MNLI.mean() + 0.05 - NONE.mean())
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0.1 < found.low < found.value < found.high < 0.25


@given(st.permutations(range(7)))
def test_the_names_of_the_seeds_tell_nothing(order: list[int]) -> None:
    plain, other = rank_arms(apart(NONE, MNLI)), rank_arms(apart(NONE, MNLI)[:, order])
    assert other.gains[0] == pytest.approx(plain.gains[0], abs=1e-9)
    assert other.p_best == pytest.approx(plain.p_best)


def test_arms_of_one_run_each_stay_unknown() -> None:
    assert rank_arms(apart(NONE[:1], MNLI[:1])).notes == (NO_REPEATS,)
    assert decompose(apart(NONE)).paired, "one arm has nothing to be compared with"
    assert decompose(np.stack([NONE[:3], MNLI])).paired


def test_one_arm_beside_a_baseline_that_no_seed_changes() -> None:
    table = np.stack([np.full(3, 0.603), MNLI])
    fit = decompose(table, deterministic=[True, False])
    assert fit.df == 2
    assert fit.variance == pytest.approx(MNLI.var(ddof=1))
    assert gain_variance(fit, 1) == pytest.approx((MNLI.var(ddof=1) / 3, 2.0))
    found = rank_arms(table, deterministic=[True, False])
    assert found.notes == (UNPAIRED,)
    assert found.best_set == (1,)
    assert found.gains[1][1] > 0.08
