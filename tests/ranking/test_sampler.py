from __future__ import annotations

import numpy as np
import pytest

from raystilts.ranking.sampler import draw_effects, generator, noise, variance_factors


def test_generator_is_fixed_by_its_parts() -> None:
    assert generator("a", 1).integers(2**40) == generator("a", 1).integers(2**40)
    assert generator("a", 1).integers(2**40) != generator("a", 2).integers(2**40)


def test_variance_factors_have_the_inverse_chi_square_mean() -> None:
    factors = variance_factors(10, 200_000, generator("f"))
    assert factors.mean() == pytest.approx(10 / 8, rel=0.01)
    assert variance_factors(np.inf, 3, generator("f")).tolist() == [1.0, 1.0, 1.0]


def test_exact_arms_are_not_drawn() -> None:
    factors = np.ones(200)
    draws = draw_effects(
        np.array([1.0, 5.0, 2.0]), np.array([0.0, 0.5, 0.0]), factors, generator()
    )
    assert (np.unique(draws[0]).tolist(), np.unique(draws[2]).tolist()) == ([1.0], [2.0])
    assert draws[1].std() > 0.1


def test_wide_spread_keeps_effects_and_their_error() -> None:
    effects, variances = np.linspace(-50.0, 50.0, 9), np.full(9, 0.04)
    draws = draw_effects(effects, variances, np.ones(20_000), generator("w"))
    assert draws.mean(axis=1) == pytest.approx(effects, abs=0.02)
    assert draws.std(axis=1) == pytest.approx(np.full(9, 0.2), rel=0.03)


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
    draws = draw_effects(effects, np.full(4, 0.01), np.ones(2000), generator("g"))
    assert draws.mean(axis=1) == pytest.approx(effects, abs=0.05)
    assert draws.std(axis=1) == pytest.approx(np.full(4, 0.1), rel=0.1)
