from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.ranking.intervals import decompose
from raystilts.ranking.noise import Readings, readings
from raystilts.ranking.posterior import rank_arms

NAN = float("nan")


def read(scores: np.ndarray) -> Readings:
    fit = decompose(scores)
    return readings(scores, fit, np.flatnonzero(fit.present))


def by_arm(found: Readings, values: np.ndarray) -> np.ndarray:
    """Of the likeliest reading of each arm."""
    best = {arm: max(np.flatnonzero(found.arm == arm), key=lambda r: found.shares[r]) for arm in found.arm.tolist()}
    return np.array([values[best[arm]] for arm in sorted(best)])


def noisy(arms: int = 40, seeds: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(arms, 1)) + rng.normal(size=(arms, seeds))


def test_alike_arms_get_nearly_the_pooled_variance() -> None:
    scores = noisy(seed=1)
    found = read(scores)
    variances = by_arm(found, found.variances)
    own = scores.var(axis=1, ddof=1)
    assert np.log(variances).std() < 0.4 * np.log(own).std()
    assert np.exp(np.log(variances).mean()) == pytest.approx(1.0, rel=0.25)


def test_unequal_arms_keep_most_of_their_own_variance() -> None:
    scores = noisy(seed=2, seeds=5)
    scores[:20] = 0.05 * (scores[:20] - scores[:20].mean(axis=1, keepdims=True))
    found = read(scores)
    variances = by_arm(found, found.variances)
    assert variances[:20].max() < 0.1
    assert np.median(variances[20:]) > 0.3


def test_a_low_run_far_off_is_an_outlier_and_a_high_one_is_not() -> None:
    scores = noisy(seed=3) * 0.2
    scores[5, 1] -= 20.0
    scores[6, 1] += 20.0
    found = read(scores)
    effects, runs = by_arm(found, found.effects), by_arm(found, found.runs)
    rest = np.delete(scores[5], 1).mean()
    assert runs[5] == 3.0
    assert effects[5] == pytest.approx(rest, abs=0.1)
    assert runs[6] == 4.0


def test_the_collapsed_run_is_known_by_its_seed() -> None:
    scores = noisy(arms=6, seeds=6, seed=4)
    scores[2, 3] -= 9.0
    found = rank_arms(scores)
    assert found.lost is not None
    assert np.argwhere(found.lost > 0.9).tolist() == [[2, 3]]


def test_without_outliers_the_effects_are_the_means() -> None:
    scores = noisy(seed=4)
    found = read(scores)
    whole = found.runs == 4.0
    assert found.effects[whole] == pytest.approx(scores.mean(axis=1)[found.arm[whole]], abs=1e-12)
    assert set(found.arm.tolist()) == set(range(40))
    assert [found.shares[found.arm == arm].sum() for arm in range(40)] == pytest.approx(np.ones(40))


def test_noisy_arms_say_little_of_a_seed() -> None:
    # a run of arm 0 is missing: its seed's shift comes from the quiet arms, not from the noisy one
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(8, 4)) * np.array([0.01] * 7 + [30.0])[:, None]
    scores[0, 0] = NAN
    found = read(scores)
    effect = by_arm(found, found.effects)[0]
    assert abs(effect - np.nanmean(scores[0])) < 0.05
    assert abs(decompose(scores).effects[0] - np.nanmean(scores[0])) > 0.3


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), lost=st.integers(0, 5))
def test_shifts_of_seeds_move_all_effects_alike(seed: int, lost: int) -> None:
    rng = np.random.default_rng(seed)
    scores = noisy(8, 4, seed)
    scores.ravel()[rng.choice(32, lost, replace=False)] = NAN
    old, new = read(scores), read(scores + rng.normal(size=4))
    assert new.arm.tolist() == old.arm.tolist()
    assert np.ptp(new.effects - old.effects) == pytest.approx(0.0, abs=1e-9)
    for name in ("runs", "squares", "shares", "variances", "weights"):
        assert getattr(new, name) == pytest.approx(getattr(old, name), rel=1e-6, abs=1e-9)


def test_arms_that_share_no_seed() -> None:
    scores = np.full((4, 6), NAN)
    scores[:2, :3] = [[0.0, 1.0, 2.0], [5.0, 6.1, 6.9]]
    scores[2:, 3:] = [[0.0, -1.0, -2.0], [3.0, 2.1, 0.9]]
    found = read(scores)
    assert by_arm(found, found.effects) == pytest.approx([1.0, 6.0, -1.0, 2.0], abs=1e-9)
