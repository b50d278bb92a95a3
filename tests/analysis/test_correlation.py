from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from raystilts.analysis.inference import bonett_wright, partial_spearman, spearman


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
