from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.analysis.curves import (
    ALPHAS,
    UNIDENTIFIED,
    SizeMeans,
    fit_power_law,
    hold_out,
    isotonic,
    judge_curve,
    monotonicity_p,
)

SIZES = np.array([250.0, 500, 1000, 2000, 4000, 8000])


def curve(alpha: float, limit: float = 0.05, amplitude: float = 3.0) -> np.ndarray:
    return limit - amplitude * SIZES**-alpha


def means(values: np.ndarray, variance: float = 1e-6, df: float = 24) -> SizeMeans:
    return SizeMeans(SIZES, values, np.full(len(values), 5.0), variance, df)


def test_an_exact_curve_is_found_again() -> None:
    alpha = float(ALPHAS[80])
    fit = fit_power_law(means(curve(alpha)))
    assert fit.alpha.value == alpha
    assert fit.amplitude == pytest.approx(3.0)
    assert fit.asymptote.value == pytest.approx(0.05)
    assert fit.predict(80_000).value == pytest.approx(0.05 - 3 * 80_000**-alpha)
    assert fit.lack_of_fit_p == pytest.approx(1.0)
    assert not fit.at_bound


def test_falling_curves_have_a_negative_amplitude() -> None:
    fit = fit_power_law(means(curve(float(ALPHAS[80]), amplitude=-2.0)))
    assert fit.amplitude == pytest.approx(-2.0)


def test_profile_interval_is_where_the_squares_stay_below_the_threshold() -> None:
    """Against a search over all three parameters by brute force."""
    from scipy.stats import f as fisher

    rng = np.random.default_rng(5)
    values = curve(0.5, amplitude=0.5) + rng.normal(0, 0.001, len(SIZES))
    points = means(values, variance=5e-6, df=24)
    fit = fit_power_law(points)
    squares = []
    for alpha in ALPHAS:
        design = np.stack([np.ones(len(SIZES)), -(SIZES**-alpha)], axis=1)
        rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        squares.append(float(5.0 * rest @ rest))
    inside = ALPHAS[np.array(squares) <= min(squares) + 5e-6 * fisher.ppf(0.95, 1, 24)]
    assert (fit.alpha.low, fit.alpha.high) == (inside[0], inside[-1])
    far = fit.predict(80_000)
    for edge in (far.low, far.high):  # fixing the prediction at an end of its interval costs just the threshold
        best = np.inf
        for alpha in ALPHAS:
            # g(D) = edge + A * (d0 ** -alpha - D ** -alpha): one linear parameter left
            column = 80_000**-alpha - SIZES**-alpha
            slope = float(column @ (values - edge)) / float(column @ column)
            rest = values - edge - slope * column
            best = min(best, float(5.0 * rest @ rest))
        assert best == pytest.approx(min(squares) + 5e-6 * float(fisher.ppf(0.95, 1, 24)), rel=1e-6)


def test_other_units_of_size_change_only_the_amplitude() -> None:
    values = curve(0.5, amplitude=0.5) + np.array([1, -1, 1, -1, 1, -1]) * 2e-4
    one = fit_power_law(means(values))
    other = fit_power_law(SizeMeans(SIZES / 8000, values, np.full(6, 5.0), 1e-6, 24))
    assert one.alpha.value == other.alpha.value
    assert one.asymptote.value == pytest.approx(other.asymptote.value)
    assert one.predict(16_000).high == pytest.approx(other.predict(2.0).high)


def test_three_sizes_are_too_few() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        fit_power_law(means(curve(0.5)).first(3))


def test_a_good_curve_is_shown_and_beats_the_last_value() -> None:
    points = means(curve(0.5, amplitude=0.5))
    assert judge_curve(points).refused is None
    held = hold_out(points)
    assert held is not None
    assert held.sizes == 2
    assert held.better
    assert held.power_law < 1e-4


def test_four_sizes_are_refused() -> None:
    judged = judge_curve(means(curve(0.5)).first(4))
    assert judged.refused == "4 sizes; a curve needs at least 5"
    assert hold_out(means(curve(0.5)).first(4)) is None


def test_a_flat_curve_does_not_identify_alpha() -> None:
    noise = np.random.default_rng(0).normal(0, 0.004, 6)
    assert judge_curve(means(0.02 + noise, variance=8e-5)).refused == UNIDENTIFIED


def test_a_straight_line_in_log_size_does_not_identify_alpha() -> None:
    assert judge_curve(means(0.01 * np.log(SIZES), variance=1e-4)).refused == UNIDENTIFIED


def test_a_hump_is_refused() -> None:
    refused = judge_curve(means(np.array([0.0, 0.02, 0.04, 0.03, 0.01, 0.0]))).refused
    assert refused is not None
    assert refused.startswith("not monotone (p = ")


def test_a_step_is_no_power_law() -> None:
    refused = judge_curve(means(np.array([0.0, 0.001, 0.002, 0.04, 0.041, 0.042]))).refused
    assert refused is not None
    assert refused.startswith("no power law")


def test_without_repeated_runs_any_reversal_refuses() -> None:
    values = curve(0.5, amplitude=0.5)
    unknown = {"variance": float("nan"), "df": 0}
    assert judge_curve(means(values, **unknown)).refused is None
    values[3] = values[2] - 1e-4
    assert judge_curve(means(values, **unknown)).refused == "not monotone, with one run a size"


Numbers = st.lists(st.floats(-5, 5), min_size=2, max_size=9)


def test_pools_neighbours_that_are_out_of_order() -> None:
    assert isotonic([1.0, 3.0, 2.0, 4.0], [1, 1, 1, 1]).tolist() == [1.0, 2.5, 2.5, 4.0]
    assert isotonic([1.0, 3.0, 2.0, 4.0], [1, 3, 1, 1]).tolist() == [1.0, 2.75, 2.75, 4.0]


@given(Numbers, st.data())
def test_is_the_nearest_rising_sequence(values: list[float], data: st.DataObject) -> None:
    weights = np.array(data.draw(st.lists(st.integers(1, 5), min_size=len(values), max_size=len(values))), dtype=float)
    y = np.array(values)
    fitted = isotonic(y, weights)
    assert (np.diff(fitted) >= -1e-12).all()
    other = np.sort(data.draw(st.lists(st.floats(-5, 5), min_size=len(values), max_size=len(values))))
    assert np.sum(weights * (y - fitted) ** 2) <= np.sum(weights * (y - other) ** 2) + 1e-9


def test_many_rows_at_once_are_each_alone() -> None:
    rows = np.random.default_rng(1).normal(size=(20, 6))
    alone = np.array([isotonic(row, np.ones(6)) for row in rows])
    assert np.allclose(isotonic(rows, np.ones(6)), alone)


def test_monotone_curves_in_either_direction_are_not_rejected() -> None:
    rising = np.arange(6.0)
    assert monotonicity_p(rising, np.full(6, 3.0), 0.01, 12) == 1.0
    assert monotonicity_p(-rising, np.full(6, 3.0), 0.01, 12) == 1.0


def test_a_hump_beyond_the_noise_is_rejected_and_one_within_is_not() -> None:
    hump = np.array([0.0, 1.0, 2.0, 1.0, 0.0])
    counts = np.full(5, 3.0)
    small = monotonicity_p(hump, counts, 0.05, 10)
    large = monotonicity_p(hump, counts, 50.0, 10)
    assert small is not None
    assert large is not None
    assert small < 0.001
    assert large > 0.5


@pytest.mark.parametrize(("points", "variance", "df"), [(2, 1.0, 5), (5, float("nan"), 0), (5, 0.0, 5)])
def test_nothing_is_said_where_nothing_can_be(points: int, variance: float, df: float) -> None:
    assert monotonicity_p(np.arange(points), np.ones(points), variance, df) is None
