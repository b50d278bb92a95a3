from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import rankdata, spearmanr

from raystilts.analysis.inference import (
    LEAST_INTERMEDIATES,
    bonett_wright,
    holm,
    partial_spearman,
    qap,
    spearman,
    within_target_rho,
)


def test_rho_and_p_agree_with_scipy() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=30)
    y = np.round(0.4 * x + rng.normal(size=30), 1)  # with ties
    found = spearman(x, y)
    theirs = stats.spearmanr(x, y)
    assert found.rho == pytest.approx(theirs.statistic)
    assert found.p == pytest.approx(theirs.pvalue, abs=0.01)
    assert spearman(x, y) == found  # the same random numbers each time


def test_exact_permutations_of_few_items() -> None:
    """With five items in order, 2 of 120 orders are as extreme."""
    assert spearman(range(5), range(5)).p == pytest.approx(2 / 120, abs=0.003)


def test_a_constant_has_no_correlation() -> None:
    found = spearman(np.ones(12), np.arange(12.0))
    assert (found.rho, found.p) == (0.0, 1.0)


def test_interval_is_fishers_z_with_a_wider_variance() -> None:
    low, high = bonett_wright(-0.5, 37)
    half = stats.norm.ppf(0.975) * np.sqrt((1 + 0.125) / 34)
    assert (np.arctanh(low), np.arctanh(high)) == pytest.approx((np.arctanh(-0.5) - half, np.arctanh(-0.5) + half))


def test_what_a_control_explains_is_gone() -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(size=400)
    x, y = size + rng.normal(size=400), size + rng.normal(size=400)
    assert spearman(x, y).rho > 0.4
    found = partial_spearman(x, y, size)
    assert abs(found.rho) < 0.1
    assert (found.number, found.controls) == (400, 1)


def test_partial_agrees_with_the_three_correlations() -> None:
    rng = np.random.default_rng(1)
    x, y, z = rng.normal(size=(3, 25))
    xy, xz, yz = (stats.spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial_spearman(x, y, z).rho == pytest.approx(expected)


def matrices(seed: int, rows: int = 8, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)), rng.normal(size=(rows, columns))


def test_with_one_target_it_is_spearmans_rho() -> None:
    one, other = matrices(0, columns=1)
    assert within_target_rho(one, other) == pytest.approx(spearmanr(one[:, 0], other[:, 0]).statistic)


def test_levels_of_targets_do_not_count() -> None:
    one, other = matrices(1)
    rho = within_target_rho(one, other)
    levels = np.array([0, 100, 200])
    assert within_target_rho(one + levels, other * np.array([1, 5, 25]) + levels) == pytest.approx(rho)
    # Raw, the levels alone would make a perfect relation.
    assert np.corrcoef((one + levels).ravel(), (other + levels).ravel())[0, 1] > 0.99


def test_an_entry_that_is_missing_counts_for_neither_side() -> None:
    one, other = matrices(2, columns=1)
    one[3] = np.nan
    kept = [i for i in range(8) if i != 3]
    assert within_target_rho(one, other) == pytest.approx(spearmanr(one[kept, 0], other[kept, 0]).statistic)
    assert within_target_rho(np.ones((8, 2)), other[:, [0, 0]]) == 0


def test_p_is_the_share_of_permutations_of_whole_rows() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(size=(8, 2))
    other = one + rng.normal(size=(8, 2))
    found = qap(one, other, permutations=20_000)
    a, b = (rankdata(x, axis=0) - 4.5 for x in (one, other))
    chance = np.array([(a[list(order)] * b).sum() for order in permutations(range(8))])
    exact = (np.abs(chance) >= abs((a * b).sum()) - 1e-9).mean()
    assert found.p == pytest.approx(exact, abs=0.01)
    assert 0 < exact < 0.2
    assert (found.intermediates, found.pairs) == (8, 16)
    assert found.rho == pytest.approx((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def test_permutations_of_matrices_with_gaps() -> None:
    one, other = matrices(4, rows=9)
    other[0, 0] = one[4, 2] = np.nan
    found = qap(one, other, permutations=500)
    assert found.pairs == 25
    assert 0.05 < found.p <= 1
    assert qap(one, one, permutations=500).p == 1 / 501


def test_it_is_refused_below_eight_intermediates() -> None:
    one, other = matrices(5)
    one[2] = np.nan
    with pytest.raises(ValueError, match="7 intermediates; a relation over pairs needs 8"):
        qap(one, other)
    assert LEAST_INTERMEDIATES == 8


def test_steps_down_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_tests_that_were_not_made_are_no_members() -> None:
    adjusted = holm([0.02, float("nan"), 0.6])
    assert adjusted[[0, 2]].tolist() == pytest.approx([0.04, 0.6])
    assert np.isnan(adjusted[1])


def test_never_above_one() -> None:
    assert holm([0.7, 0.9]).tolist() == [1.0, 1.0]
