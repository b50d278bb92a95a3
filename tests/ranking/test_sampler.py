from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from raystilts.ranking.noise import Readings
from raystilts.ranking.sampler import draw_effects, generator, noise, variance_factors


def sound(effects: np.ndarray, variances: np.ndarray, like: float = 1e9, runs: float = 1.0) -> Readings:
    """Arms with one reading each, and variances that are known (or less so with a small `like`)."""
    arms = np.arange(len(effects))
    return Readings(
        arm=arms, first=arms, single=len(arms), effects=effects, runs=np.full(len(arms), runs),
        squares=np.zeros(len(arms)) + (variances - variances[0]) * like, shares=np.ones(len(arms)),
        df=np.zeros(len(arms)), like=np.array([like]), level=variances[:1], weights=np.ones(1),
        lost=np.full(len(arms), -1),
    )  # fmt: skip


def test_generator_is_fixed_by_its_parts() -> None:
    assert generator("a", 1).integers(2**40) == generator("a", 1).integers(2**40)
    assert generator("a", 1).integers(2**40) != generator("a", 2).integers(2**40)


def test_variance_factors_have_the_inverse_chi_square_mean() -> None:
    factors = variance_factors(10, 200_000, generator("f"))
    assert factors.mean() == pytest.approx(10 / 8, rel=0.01)
    assert variance_factors(np.inf, 3, generator("f")).tolist() == [1.0, 1.0, 1.0]


def test_variances_are_inverse_chi_square() -> None:
    readings = sound(np.linspace(-1.0, 1.0, 9), np.full(9, 0.04), like=3.0)
    _, variance, _ = draw_effects(readings, np.zeros(0), 20_000, generator("v"))
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    exact = 3.0 * 0.04 / stats.chi2.ppf(1.0 - np.array(shares), 3.0)
    assert np.quantile(variance, shares) == pytest.approx(exact, rel=0.08)


def test_exact_scores_take_part_in_the_prior() -> None:
    alone, _, _ = draw_effects(sound(np.zeros(1), np.full(1, 0.5)), np.zeros(0), 2000, generator("e"))
    among, _, _ = draw_effects(sound(np.zeros(1), np.full(1, 0.5)), np.full(6, 5.0), 2000, generator("e"))
    assert among.mean() > alone.mean() + 0.3


def test_wide_spread_keeps_effects_and_their_error() -> None:
    effects = np.linspace(-50.0, 50.0, 9)
    draws, variance, _ = draw_effects(sound(effects, np.full(9, 0.04)), np.zeros(0), 20_000, generator("w"))
    assert draws.mean(axis=1) == pytest.approx(effects, abs=0.02)
    assert draws.std(axis=1) == pytest.approx(np.full(9, 0.2), rel=0.03)
    assert variance == pytest.approx(np.full(variance.shape, 0.04), rel=1e-3)


def test_the_crowd_decides_between_two_readings_of_an_arm() -> None:
    # nine arms near 0, and one that is at 0 or at -6, as likely beforehand
    effects = np.append(np.linspace(-0.2, 0.2, 9), [0.0, -6.0])
    one = sound(effects, np.full(11, 0.01))
    arms = np.arange(10)
    both = Readings(
        arm=np.append(arms, 9), first=arms, single=9, effects=effects, runs=one.runs, squares=one.squares,
        shares=np.append(np.ones(9), [0.5, 0.5]), df=one.df, like=one.like, level=one.level, weights=one.weights,
        lost=one.lost,
    )  # fmt: skip
    draws, _, _ = draw_effects(both, np.zeros(0), 2000, generator("r"))
    near = draws[9] > -3.0
    assert near.mean() > 0.95
    assert draws[9, near].mean() == pytest.approx(0.0, abs=0.05)


def test_noise_rows_hold_evenly_spaced_quantiles_in_orders_of_their_own() -> None:
    normals, uniforms = noise(generator("a"), 5, 200)
    assert normals.shape == uniforms.shape == (5, 200)
    assert np.sort(uniforms, axis=1) == pytest.approx(np.tile((np.arange(200) + 0.5) / 200, (5, 1)))
    assert normals.mean(axis=1) == pytest.approx(np.zeros(5), abs=1e-9)
    assert normals.std(axis=1) == pytest.approx(np.ones(5), abs=0.01)
    assert np.abs(np.corrcoef(normals) - np.eye(5)).max() < 0.3
    again, _ = noise(generator("a"), 5, 200)
    other, _ = noise(generator("b"), 5, 200)
    assert np.array_equal(normals, again)
    assert not np.array_equal(normals, other)
    assert noise(generator("a"), 300, 100)[0].shape == (300, 100)  # more arms than the pool has rows


def test_draws_follow_the_prior_grid() -> None:
    # two tight groups: every draw of an arm lies near its own group, whatever m and t are
    effects = np.array([0.0, 0.1, 10.0, 10.1])
    draws, _, _ = draw_effects(sound(effects, np.full(4, 0.01)), np.zeros(0), 2000, generator("g"))
    assert draws.mean(axis=1) == pytest.approx(effects, abs=0.05)
    assert draws.std(axis=1) == pytest.approx(np.full(4, 0.1), rel=0.1)
