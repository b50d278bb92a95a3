"""The posterior that all targets share: what it must recover, and what must not mislead it."""

from __future__ import annotations

import numpy as np
import pytest

from raystilts.errors import UserError
from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.joint import joint_posterior, prior_features, units


def matrix(seed: int, seeds: int, noise: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """``[12, 10]`` true scores whose targets mostly agree on the arms, and ``[12, 10, seeds]`` runs."""
    rng = np.random.default_rng(seed)
    strength = rng.normal(0.0, 2.0, 10)
    truth = 60 + rng.normal(0, 5, (12, 1)) + rng.uniform(0.6, 1.4, (12, 1)) * strength + rng.normal(0, 0.7, (12, 10))
    return truth, truth[:, :, None] + rng.normal(0.0, noise, (12, 10, seeds))


def error(found: FloatArray, truth: FloatArray) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))


def test_targets_that_agree_lend_each_other_strength() -> None:
    truth, runs = matrix(0, 1, noise=2.0)
    shared = joint_posterior(runs).theta.mean(axis=2)
    assert error(shared, truth) < 0.8 * error(runs[:, :, 0], truth)


def test_arms_without_a_run_are_foretold_by_the_other_targets() -> None:
    truth, runs = matrix(1, 2)
    runs[0, 5:] = np.nan
    unseen = joint_posterior(runs)
    found = unseen.theta[0, 5:].mean(axis=1)
    assert np.corrcoef(found, truth[0, 5:])[0, 1] > 0.8
    assert (unseen.theta[0, 5:].std(axis=1) > unseen.theta[1, 5:].std(axis=1)).all(), "and they are less sure"


def test_intervals_hold_what_they_say() -> None:
    inside = []
    for seed in range(20):
        truth, runs = matrix(seed, 2)
        low, high = np.quantile(joint_posterior(runs, burn=50, draws=200).theta, [0.1, 0.9], axis=2)
        inside.append(np.mean((low < truth) & (truth < high)))
    assert 0.72 < np.mean(inside) < 0.88  # 20 matrices of 120 cells: .80 nominal, .79 measured


def test_a_prior_counts_where_there_is_little_else() -> None:
    truth, runs = matrix(2, 1, noise=2.0)
    standing = truth - truth.mean(axis=1, keepdims=True)
    prior = standing / standing.std(axis=1, keepdims=True)
    runs[:, 4:] = np.nan
    informed, alone = (error(joint_posterior(runs, x).theta.mean(axis=2)[:, 4:], truth[:, 4:]) for x in (prior, None))
    assert informed < 0.7 * alone


def test_a_collapsed_run_does_not_drag_its_arm_down() -> None:
    truth, runs = matrix(3, 3)
    runs[4, 2, 0] -= 40
    found = joint_posterior(runs)
    assert abs(found.theta[4, 2].mean() - truth[4, 2]) < 2.0
    assert runs[4, 2].mean() < truth[4, 2] - 10
    lucky = runs.copy()
    lucky[4, 2, 0] = truth[4, 2] + 40
    assert joint_posterior(lucky).theta[4, 2].mean() > truth[4, 2] + 2, "a high score is no collapse"


def test_noisy_arms_are_told_from_quiet_ones() -> None:
    rng = np.random.default_rng(0)
    truth, runs = matrix(4, 6)
    runs[:, 0] = truth[:, 0, None] + rng.normal(0, 6, (12, 6))
    sigma = joint_posterior(runs).sigma
    assert (sigma[:, 0] > 1.5 * np.median(sigma[:, 1:], axis=1)).mean() > 0.8


def test_the_same_scores_give_the_same_draws() -> None:
    _, runs = matrix(5, 2)
    one, again = (joint_posterior(runs, burn=5, draws=5).theta for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(joint_posterior(runs, stream="other", burn=5, draws=5).theta, one)


def test_a_target_without_a_run_and_a_study_with_one() -> None:
    _, runs = matrix(6, 2)
    runs[3] = np.nan
    assert np.isfinite(joint_posterior(runs, burn=10, draws=10).theta).all()
    runs[:] = np.nan
    runs[0, 0, 0] = 50.0
    assert np.isfinite(joint_posterior(runs, burn=10, draws=10).theta).all()
    runs[:] = 50.0
    assert joint_posterior(runs, burn=10, draws=10).theta == pytest.approx(50.0, abs=5)


def test_units_are_robust() -> None:
    rows = np.array([[1.0, 2, 3, 4, -20], [7, 7, 7, 7, 9], [np.nan] * 5, [5, 5, 5, 5, 5]])[:, :, None]
    middle, spread = units(rows)
    assert middle.tolist() == [2, 7, 0, 5]
    assert spread[0] == pytest.approx(1.4826)
    assert spread[1] == pytest.approx(np.std([7, 7, 7, 7, 9], ddof=1)), "most are equal"
    assert spread[2] == spread[3] == pytest.approx((spread[0] + spread[1]) / 2), "the usual one"


def test_what_an_earlier_study_expects_by_hand() -> None:
    """Means 1, 2, 3 of two runs each, variances .5: spread 1.4826, noise .5 / (7/9)^3."""
    earlier = {"t": {"a": [0.5, 1.5], "b": [1.5, 2.5], "c": [2.5, 3.5]}, "few": {"a": [1.0], "b": [2.0]}}
    features, known = prior_features([earlier], ["t", "few", "new"], ["c", "a", "x"])
    noise2 = 0.5 / (7 / 9) ** 3 / 2
    true2 = 1.4826**2 - noise2
    step = true2**0.5 / (true2 + noise2)
    assert features.tolist() == [[pytest.approx(step), pytest.approx(-step), 0.0], [0.0] * 3, [0.0] * 3]
    assert known.tolist() == [[True, True, False], [False] * 3, [False] * 3]


def test_earlier_studies_are_averaged_where_they_know_the_cell() -> None:
    one = {"t": {"a": [1.0, 1.2], "b": [2.0, 2.2], "c": [3.0, 3.2]}}
    other = {"t": {"a": [30.0, 32.0], "b": [20.0, 22.0], "d": [10.0, 12.0]}}
    both, _ = prior_features([one, other], ["t"], ["a", "b", "c", "d"])
    alone = [prior_features([study], ["t"], ["a", "b", "c", "d"])[0] for study in (one, other)]
    assert both[0, :2] == pytest.approx((alone[0] + alone[1])[0, :2] / 2)
    assert (both[0, 2], both[0, 3]) == (alone[0][0, 2], alone[1][0, 3])


def test_noise_alone_says_little() -> None:
    rng = np.random.default_rng(0)
    arms, targets = [f"a{i}" for i in range(40)], [f"t{i}" for i in range(20)]
    noise = {t: {a: rng.normal(0, 1, 4).tolist() for a in arms} for t in targets}
    signal = {t: {a: (5 * rng.normal() + rng.normal(0, 1, 4)).tolist() for a in arms} for t in targets}
    spread = [prior_features([study], targets, arms)[0].std() for study in (noise, signal)]
    assert spread[0] < 0.5 < 0.8 < spread[1]  # .36 and .94 measured


def test_what_cannot_be_used() -> None:
    with pytest.raises(UserError, match=r"scores\[targets, arms, seeds\]"):
        joint_posterior(np.zeros((2, 3)))
    with pytest.raises(UserError, match=r"prior\[targets, arms\]"):
        joint_posterior(np.zeros((2, 3, 1)), np.zeros((3, 2)))
    with pytest.raises(UserError, match="at least 1 draw"):
        joint_posterior(np.zeros((2, 3, 1)), draws=0)
