from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from raystilts.analysis.inference import LEAST_INTERMEDIATES, qap, within_target_rho


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
