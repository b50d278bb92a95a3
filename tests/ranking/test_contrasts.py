from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from raystilts.errors import UserError
from raystilts.ranking.contrasts import Contrasts
from raystilts.ranking.intervals import decompose

from .t_intervals import gain_intervals

NAN = np.nan


def test_a_difference_of_averages_by_hand() -> None:
    found = Contrasts([[[0, 2], [3, 3]], [[1, 1], [1, 5]]]).difference([1, 1], [0, 0], [0.5, 0.5])
    # averages a seed: none .5 and 1.5, the arm 2 and 4: differences 1.5 and 2.5, standard error .5, df 1
    assert found.value == pytest.approx(2.0)
    assert found.high == pytest.approx(2 + 0.5 * 12.706205, rel=1e-6)
    assert found.low == pytest.approx(2 - 0.5 * 12.706205, rel=1e-6)
    assert found.note is None


def _tables() -> dict[str, tuple[np.ndarray, list[bool]]]:
    scores = np.random.default_rng(3).normal(size=(4, 5))
    missing, apart, fixed = scores.copy(), scores.copy(), scores.copy()
    missing[1, 2] = missing[3, 0] = missing[0, 4] = NAN
    apart[0, :3] = apart[1:, 3:] = NAN
    fixed[0] = 0.5
    no = [False] * 4
    return {
        "complete": (scores, no),
        "missing runs": (missing, no),
        "none has seeds of its own": (apart, no),
        "none depends on no seed": (fixed, [True, False, False, False]),
    }


@pytest.mark.parametrize("name", list(_tables()))
def test_one_target_is_the_gain_interval(name: str) -> None:
    scores, fixed = _tables()[name]
    contrasts = Contrasts(scores[None], [fixed])
    assert contrasts.effects[0] == pytest.approx(decompose(scores, deterministic=fixed).effects)
    for gain in gain_intervals(scores, deterministic=fixed):
        found = contrasts.difference([gain.arm], [0], [1.0])
        assert (found.value, found.low, found.high) == pytest.approx((gain.gain, gain.low, gain.high))


def test_one_arm_everywhere_is_the_gain_of_its_averages() -> None:
    scores = np.random.default_rng(4).normal(size=(3, 5, 4))
    contrasts = Contrasts(scores)
    for gain in gain_intervals(scores.mean(axis=0)):
        found = contrasts.difference([gain.arm] * 3, [0] * 3, [1 / 3] * 3)
        assert (found.value, found.low, found.high) == pytest.approx((gain.gain, gain.low, gain.high))


def test_a_target_where_none_is_taken_adds_nothing() -> None:
    scores = np.random.default_rng(5).normal(size=(2, 4, 3))
    both, one = Contrasts(scores), Contrasts(scores[:1])
    halved = both.difference([2, 0], [0, 0], [0.5, 0.5])
    alone = one.difference([2], [0], [0.5])
    assert (halved.value, halved.low, halved.high) == pytest.approx((alone.value, alone.low, alone.high))
    same = both.difference([0, 0], [0, 0], [0.5, 0.5])
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_two_arms_in_two_targets_that_move_together() -> None:
    scores = np.random.default_rng(6).normal(size=(4, 3))
    found = Contrasts([scores, scores]).difference([1, 2], [0, 0], [0.5, 0.5])
    fit = decompose(scores)
    # half of one arm, half of another, less all of none: variance (1/4 + 1/4 + 1) / 3 seeds
    half = student.ppf(0.975, fit.df) * (1.5 * fit.variance / 3) ** 0.5
    assert found.value == pytest.approx((fit.effects[1] + fit.effects[2]) / 2 - fit.effects[0])
    assert found.high == pytest.approx(found.value + half)


def test_runs_that_move_together_in_two_targets_widen_the_interval() -> None:
    noise = np.random.default_rng(7).normal(size=(3, 4))

    def width(second: np.ndarray) -> float:
        found = Contrasts([noise, second]).difference([1, 1], [0, 0], [0.5, 0.5])
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(noise) > width(np.roll(noise, 1, axis=0)) > width(-noise) == pytest.approx(0.0, abs=1e-12)


def test_an_untrained_baseline_and_one_arm() -> None:
    found = Contrasts([[[0, 0, 0], [1, 2, 3]]], [[True, False]]).difference([1], [0], [1.0])
    assert found.value == pytest.approx(2.0)
    assert found.high == pytest.approx(2 + 4.30265273 / 3**0.5)


def test_scores_without_seeds_have_no_width() -> None:
    found = Contrasts([[[0.1], [0.4]]], [[True, True]]).difference([1], [0], [1.0])
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))


def test_what_cannot_be_said() -> None:
    contrasts = Contrasts([[[0.1], [0.4]], [[NAN], [0.2]]])
    single = contrasts.difference([1, 1], [0, 0], [1.0, 0.0])
    assert single.value == pytest.approx(0.3)
    assert (single.low, single.high) == (None, None)
    assert "no repeated seeds" in (single.note or "")
    absent = contrasts.difference([1, 1], [0, 0], [0.5, 0.5])
    assert (absent.value, absent.low, absent.note) == (None, None, "an arm has no finished run")
    assert contrasts.difference([1, 1], [0, 0], [0.0, 0.0]).value is None


def test_wrong_shapes() -> None:
    with pytest.raises(UserError, match=r"scores has shape \(2, 2\), but must be \[targets, arms, seeds\]"):
        Contrasts([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(UserError, match=r"deterministic has shape \(1, 3\)"):
        Contrasts([[[1.0, 2.0], [3.0, 4.0]]], [[True, False, False]])


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6), st.integers(0, 2**16))
def test_what_a_seed_does_to_all_arms_changes_nothing(shifts: list[float], seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(2, 3, 3))
    moved = scores + np.array(shifts).reshape(2, 1, 3)
    before, after = (Contrasts(s).difference([1, 2], [0, 0], [0.5, 0.5]) for s in (scores, moved))
    assert (after.value, after.low, after.high) == pytest.approx((before.value, before.low, before.high), abs=1e-9)


def test_intervals_hold_what_they_promise() -> None:
    rng = np.random.default_rng(8)
    mix = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0.5, 0.3, 0.8]])  # correlated residuals
    worlds, hits = 600, 0
    for _ in range(worlds):
        noise = np.einsum("tu,uas->tas", mix, rng.normal(size=(3, 5, 3)))
        scores = noise + np.einsum("tu,us->ts", mix, rng.normal(size=(3, 3)))[:, None]
        found = Contrasts(scores).difference([1, 2, 0], [0, 0, 0], [1 / 3] * 3)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.0 <= found.high
    assert 0.93 <= hits / worlds <= 0.98
