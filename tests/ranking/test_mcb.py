from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from raystilts.ranking.mcb import compare_with_best, critical

NAN = float("nan")


def dunnett(comparisons: int, df: float) -> float:
    """The constant for equal run counts, whose correlation is one half."""
    return critical((0.5**0.5,) * comparisons, df)


# Dunnett (1955), one-sided 5 % points, table 1a
@pytest.mark.parametrize(
    ("comparisons", "df", "expected"),
    [(1, 10, 1.81), (3, 10, 2.34), (2, 20, 2.03), (9, 20, 2.60), (2, np.inf, 1.92)],
)
def test_dunnett_table(comparisons: int, df: float, expected: float) -> None:
    assert dunnett(comparisons, df) == pytest.approx(expected, abs=0.01)


def test_dunnett_inverts_the_multivariate_t() -> None:
    shape = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    inside = stats.multivariate_t(shape=shape, df=8, seed=0).cdf([dunnett(4, 8)] * 4)
    assert inside == pytest.approx(0.95, abs=1e-3)


@pytest.mark.parametrize(("seeds", "expected"), [(3, 2.2), (5, 1.6), (8, 1.3)])
def test_smallest_separable_gap_of_13_arms(seeds: int, expected: float) -> None:
    gap = dunnett(12, 12 * (seeds - 1)) * (2.0 / seeds) ** 0.5
    assert gap == pytest.approx(expected, abs=0.06)


def test_a_clear_best_and_its_bounds() -> None:
    noise = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]) * 0.01
    answer = compare_with_best(np.array([[0.0], [5.0], [1.0], [4.99]]) + noise)
    assert answer.best_set == (1, 3)
    assert [arm.may_be_best for arm in answer.arms] == [False, True, False, True]
    allowance = dunnett(3, 3) * (2.0 / 2 * (8e-4 / 3)) ** 0.5
    assert answer.arms[1].high == pytest.approx(0.01 + allowance, abs=1e-6)
    assert answer.arms[1].low == pytest.approx(0.01 - allowance, abs=1e-6)
    assert answer.arms[0].high == 0.0


def test_exact_scores_and_ties() -> None:
    answer = compare_with_best([[0.1], [0.4], [0.4]], deterministic=[True] * 3)
    assert set(answer.best_set) == {1, 2}


def test_one_seed_rules_nothing_out() -> None:
    answer = compare_with_best([[0.1], [0.4]])
    assert answer.best_set == (1, 0)
    assert answer.arms == ()
    assert answer.note is not None


def test_absent_and_ineligible_arms_do_not_compete() -> None:
    scores = np.random.default_rng(0).normal(size=(4, 3))
    scores[1] = NAN
    answer = compare_with_best(scores, eligible=[True, True, False, True])
    assert [arm.arm for arm in answer.arms] == [0, 3]


def test_joint_coverage_at_equal_means() -> None:
    rng = np.random.default_rng(1)
    kept = [0 in compare_with_best(rng.normal(size=(5, 3))).best_set for _ in range(300)]
    assert 0.92 <= np.mean(kept) <= 0.98

