from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.curves import falling_zero, interval_end, size_reaching
from raystilts.analysis.target_size import target_curves
from raystilts.results.stratum import Stratum

from .strata import never, stratum

SIZES = np.array([100.0, 200, 400, 800, 1600])
FRACTIONS = SIZES / 1600


def size_of(name: str, fraction: float) -> float:
    return 1600 * fraction


def strata(none: np.ndarray, arm: np.ndarray, noise: float = 0.0, seeds: int = 4) -> list[Stratum]:
    rng = np.random.default_rng(0)
    return [
        stratum(
            [("none", None), ("snli", 1.0)],
            np.array([low, high])[:, None, None] + rng.normal(0, noise, (2, seeds, 2)) if noise else
            np.tile(np.array([low, high])[:, None, None], (1, seeds, 2)) + 1e-9 * rng.normal(size=(2, seeds, 2)),
            target="xnli", target_fraction=float(fraction),
        )
        for low, high, fraction in zip(none, arm, FRACTIONS, strict=True)
    ]  # fmt: skip


def test_inverting_a_rising_curve() -> None:
    curve = np.array([[0.1, 0.2, 0.3]])
    sizes = np.array([100.0, 1000.0, 10_000.0])
    found = size_reaching(sizes, curve, np.array([0.1, 0.15, 0.3, 0.05, 0.31]))
    assert found.tolist() == pytest.approx([100, 10**2.5, 10_000, -np.inf, np.inf])


def test_reversals_are_pooled_before_inverting() -> None:
    sizes = np.array([100.0, 1000.0, 10_000.0, 100_000.0])
    found = size_reaching(sizes, np.array([[0.1, 0.3, 0.2, 0.4]]), np.array([0.175, 0.325]))
    assert found.tolist() == pytest.approx([10**2.5, 10**4.5])


def test_where_a_gain_falls_through_zero() -> None:
    sizes = np.array([100.0, 1000.0, 10_000.0])
    gains = np.array([[0.2, 0.1, -0.1], [0.3, 0.2, 0.1], [-0.1, -0.2, -0.3], [-0.1, 0.0, 0.2]])
    found = falling_zero(sizes, gains)
    assert found[:3].tolist() == pytest.approx([10**3.5, np.inf, -np.inf])
    assert found[3] == np.inf  # rises: nowhere falls through zero, and is positive on average


def test_ends_beyond_the_measured_sizes_are_open() -> None:
    drawn = np.array([-np.inf, 1.0, 2.0, 3.0, np.inf])
    assert [interval_end(drawn, share) for share in (0.0, 0.5, 1.0)] == [None, 2.0, None]
    assert interval_end(np.array([np.nan, 1.0]), 0.5) is None


def test_worth_is_the_size_that_none_needs_for_the_same_score() -> None:
    """The arm is at every size where `none` is at twice that size."""
    none = 0.4 + 0.1 * np.log2(SIZES / 100)
    [curve] = target_curves(strata(none, none + 0.1), None, size_of, never)
    assert [point.size for point in curve.points] == SIZES.tolist()
    assert [point.worth for point in curve.points[:4]] == pytest.approx(SIZES[:4].tolist(), rel=1e-3)
    assert curve.points[4].range == "above"
    assert curve.points[4].worth is None
    assert curve.still_helps
    assert curve.crossing.size is None


def test_the_crossing_and_where_it_stops_helping() -> None:
    none = 0.4 + 0.1 * np.log2(SIZES / 100)
    arm = none + np.array([0.2, 0.1, 0.05, -0.05, -0.1])
    [curve] = target_curves(strata(none, arm, noise=0.004), None, size_of, never)
    assert curve.crossing.size == pytest.approx(400 * 2**0.5, rel=0.1)
    assert curve.crossing.low is not None
    assert curve.crossing.high is not None
    assert curve.crossing.low < 400 * 2**0.5 < curve.crossing.high
    assert curve.crossing.probability == 1.0
    assert curve.stops_at == 800
    assert not curve.still_helps


def test_worth_below_the_measured_sizes() -> None:
    none = 0.4 + 0.1 * np.log2(SIZES / 100)
    [curve] = target_curves(strata(none, none - 0.2), None, size_of, never)
    assert [point.range for point in curve.points] == ["below", "below", "within", "within", "within"]
    assert curve.points[2].worth == pytest.approx(-300, rel=1e-3)


def test_overlap_is_left_out_and_one_size_is_no_curve() -> None:
    none = np.full(5, 0.5)
    found = strata(none, none + 0.1, noise=0.01)
    assert target_curves(found, None, size_of, lambda arm, target: arm == "snli") == []
    assert target_curves(found[:1], None, size_of, never) == []


def test_one_seed_has_values_and_no_intervals() -> None:
    none = 0.4 + 0.1 * np.log2(SIZES / 100)
    [curve] = target_curves(strata(none, none + 0.1, noise=0.001, seeds=1), None, size_of, never)
    assert curve.points[0].worth is not None
    assert (curve.points[0].low, curve.points[0].worth_low, curve.crossing.probability) == (None, None, None)
    assert curve.still_helps is None


def test_one_language() -> None:
    none = 0.4 + 0.1 * np.log2(SIZES / 100)
    found = target_curves(strata(none, none + 0.1, noise=0.001), "de", size_of, never)
    assert [curve.language for curve in found] == ["de"]
    assert target_curves(strata(none, none + 0.1), "zh", size_of, never) == []
