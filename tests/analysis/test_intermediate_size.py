from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.intermediate_size import size_curves
from raystilts.analysis.slopes import compare_slopes, t_power, visible_effect
from raystilts.errors import UserError
from raystilts.results.stratum import Stratum

from .strata import never, stratum

FRACTIONS = (0.03, 0.07, 0.18, 0.42, 1.0)
ROWS = 10_000


def size_of(name: str, fraction: float) -> float:
    return ROWS * fraction


def grown(gains: np.ndarray, noise: float, target: str = "pawsx", seeds: int = 4, start: int = 0) -> Stratum:
    """`none` at .6, and one arm at each fraction; English and German are each half of the noise apart."""
    rng = np.random.default_rng(start)
    shared = rng.normal(0, 0.05, (1, seeds, 1))
    table = 0.6 + np.concatenate([[0.0], gains])[:, None, None] + shared
    table = table + rng.normal(0, noise, (len(gains) + 1, seeds, 2))
    arms = [("none", None), *(("mnli", fraction) for fraction in FRACTIONS)]
    return stratum(arms, table, target=target)


def law(alpha: float = 0.6) -> np.ndarray:
    return 0.08 - 0.6 * (ROWS * np.array(FRACTIONS)) ** -alpha


def test_a_power_law_is_found_and_covers_the_truth() -> None:
    [curve] = size_curves([grown(law(), 0.001)], [None], size_of, never)
    assert (curve.target, curve.intermediate, curve.language, curve.refused) == ("pawsx", "mnli", None, None)
    assert curve.alpha is not None
    assert curve.asymptote is not None
    assert curve.at_ten_times is not None
    assert curve.alpha.low < 0.6 < curve.alpha.high
    assert curve.asymptote.low < 0.08 < curve.asymptote.high
    assert curve.at_ten_times.low < 0.08 - 0.6 * 100_000**-0.6 < curve.at_ten_times.high
    assert [point.size for point in curve.points] == pytest.approx([300, 700, 1800, 4200, 10_000])
    assert curve.held_out is not None
    assert curve.held_out.sizes == 1
    assert curve.slope.low > 0


def test_exact_slope() -> None:
    """A line in log size, without noise but for one common shift a seed."""
    gains = 0.02 * np.log10(np.array(FRACTIONS))
    [curve] = size_curves([grown(gains, 0.0)], [None], size_of, never)
    assert curve.slope.value == pytest.approx(0.02)


def test_languages_have_curves_of_their_own() -> None:
    found = size_curves([grown(law(), 0.001)], [None, "en", "de", "zh"], size_of, never)
    assert [curve.language for curve in found] == [None, "en", "de"]


def test_few_sizes_are_refused_and_noise_is_not_identified() -> None:
    full = grown(np.zeros(5), 0.01)
    [flat] = size_curves([full], [None], size_of, never)
    assert flat.refused == "alpha not identified"
    assert (flat.alpha, flat.asymptote, flat.at_ten_times) == (None, None, None)
    few = stratum([("none", None), ("mnli", 0.1), ("mnli", 1.0)], np.random.default_rng(0).normal(0.6, 0.01, (3, 3, 2)))
    [short] = size_curves([few], [None], size_of, never)
    assert short.refused == "2 sizes; a curve needs at least 5"
    assert short.held_out is None


def test_one_seed_has_no_intervals() -> None:
    [curve] = size_curves([grown(law(), 0.001, seeds=1)], [None], size_of, never)
    assert {(point.low, point.high) for point in curve.points} == {(None, None)}
    assert curve.monotone_p is None
    assert np.isnan(curve.slope.low)


def test_no_curve_without_a_baseline() -> None:
    table = np.random.default_rng(0).normal(0.6, 0.01, (3, 3, 2))
    table[0] = np.nan
    none = stratum([("none", None), ("mnli", 0.1), ("mnli", 1.0)], table)
    assert size_curves([none], [None], size_of, never) == []


def test_slopes_of_two_groups_against_a_t_test_by_hand() -> None:
    from scipy.stats import ttest_rel

    steep, flat = 0.03 * np.log10(np.array(FRACTIONS)), np.zeros(5)
    one, other = grown(steep, 0.004, "xnli", start=1), grown(flat, 0.004, "pawsx", start=2)
    found = compare_slopes([one, other], ["pawsx"], size_of, never)
    assert found is not None
    x = np.log10(ROWS * np.array(FRACTIONS))
    by_seed = [np.polyfit(x, s.scores[1:], 1)[0] for s in (one, other)]
    assert (found.first, found.second, found.seeds) == (("xnli",), ("pawsx",), (0, 1, 2, 3))
    assert (found.first_slope, found.second_slope) == pytest.approx([float(s.mean()) for s in by_seed])
    assert found.p == pytest.approx(ttest_rel(*by_seed).pvalue)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.03 < found.high


def test_overlapping_pairs_have_no_say_in_the_slopes() -> None:
    steep = 0.03 * np.log10(np.array(FRACTIONS))
    strata = [grown(steep, 0.001, "xnli"), grown(steep, 0.001, "udpos", start=1), grown(steep, 0.001, start=2)]
    found = compare_slopes(strata, ["pawsx"], size_of, lambda arm, target: target == "xnli")
    assert found is not None
    assert found.first == ("udpos",)


def test_only_seeds_with_every_run_count() -> None:
    table = np.random.default_rng(0).normal(0.6, 0.01, (6, 3, 2))
    holed = table.copy()
    holed[2, 1] = np.nan
    arms = [("none", None), *(("mnli", fraction) for fraction in FRACTIONS)]
    found = compare_slopes([stratum(arms, table), stratum(arms, holed, target="xnli")], ["pawsx"], size_of, never)
    assert found is not None
    assert found.seeds == (0, 2)


def test_one_seed_has_no_test_and_unknown_targets_are_named() -> None:
    strata = [grown(law(), 0.001, "xnli", seeds=1), grown(law(), 0.001, seeds=1)]
    found = compare_slopes(strata, ["pawsx"], size_of, never)
    assert found is not None
    assert (found.p, found.low, found.power) == (None, None, None)
    with pytest.raises(UserError, match=r"--against pawx: .*did you mean 'pawsx'"):
        compare_slopes(strata, ["pawx"], size_of, never)


def test_power_of_the_t_test() -> None:
    from scipy.stats import nct, t

    bound = t.ppf(0.975, 4)
    expected = 1 - nct.cdf(bound, 4, 2 * 5**0.5) + nct.cdf(-bound, 4, 2 * 5**0.5)
    assert t_power(2.0, 1.0, 5) == pytest.approx(expected)
    assert t_power(1e-9, 1.0, 5) == pytest.approx(0.05, abs=1e-6)
    assert t_power(visible_effect(0.7, 5), 0.7, 5) == pytest.approx(0.8)
