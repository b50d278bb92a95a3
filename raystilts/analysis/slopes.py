"""Does the gain grow faster with the data on some targets than on others? A test, and what it could have seen.

For each seed the slope of each target is a least-squares line on log10 of the size; the difference between the two
groups' mean slopes is one number a seed, and seeds are the replicates: a t test over them. Targets and intermediates
are a fixed set. Runs of one seed share an intermediate checkpoint in every target, so neither targets nor
intermediates may be counted as replicates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from raystilts.analysis.presentation import (
    bounds,
    count,
    p_text,
    points,
    wrap,
)
from raystilts.analysis.reading import Overlaps, SizeOf, rows_by_intermediate
from raystilts.errors import UserError, did_you_mean
from raystilts.ranking.intervals import FloatArray
from raystilts.results.stratum import Stratum

#: The power that "could have seen" and "seeds needed" stand for.
POWER = 0.8
#: Level of the test.
ALPHA = 0.05
MOST_SEEDS = 100
_FAR = 20.0


@dataclass(frozen=True, slots=True)
class SlopeComparison:
    """The difference of two groups' mean slopes; slopes are gains (shares) for each tenfold of the data.

    Attributes:
        first: Targets of the first group; likewise `second`, and the intermediates that both were run with.
        seeds: Seeds that have every size of every target.
        first_slope: Mean slope; likewise `second_slope`.
        low: Lower end of the difference's 95 % t interval over seeds; None with fewer than two seeds.
        p: Two-sided.
        visible: The difference that the test sees with probability 0.8 at this spread and number of seeds.
        effect: The difference that `power` and `seeds_needed` are for.
        power: Probability of seeing `effect`.
        seeds_needed: Seeds for a power of 0.8; None beyond 100.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    intermediates: tuple[str, ...]
    seeds: tuple[int, ...]
    first_slope: float
    second_slope: float
    low: float | None
    high: float | None
    p: float | None
    visible: float | None
    effect: float
    power: float | None
    seeds_needed: int | None

    @property
    def difference(self) -> float:
        """First minus second."""
        return self.first_slope - self.second_slope


def compare_slopes(
    strata: Iterable[Stratum],
    against: Collection[str],
    size_of: SizeOf,
    overlaps: Overlaps,
    effect: float = 0.01,
) -> SlopeComparison | None:
    """Compares the targets of a group with all others, by their scores' means over languages.

    Args:
        strata: One a target (of several target fractions the largest counts).
        against: Targets of the second group.
        size_of: Size of an intermediate's data at a fraction.
        overlaps: Pairs that are left out.
        effect: The difference whose power is wanted, a share for each tenfold.

    Returns:
        None where a group has no curve, or no seed has every run.

    Raises:
        UserError: `against` names a target that is not there.
    """
    slopes = _slopes(strata, size_of, overlaps)
    targets = sorted({target for target, _ in slopes})
    for name in against:
        if name not in targets:
            raise UserError(f"--against {name}: no curve of that target here; {did_you_mean(name, targets)}")
    second = tuple(name for name in targets if name in against)
    first = tuple(name for name in targets if name not in against)
    of = [{i for target, i in slopes if target in group} for group in (first, second)]
    shared = tuple(sorted(of[0] & of[1]))
    used = {key: value for key, value in slopes.items() if key[1] in shared}
    seeds = tuple(sorted(set.intersection(*(set(value) for value in used.values())))) if used else ()
    if not seeds:
        return None
    means = [_group_mean(used, group, shared, seeds) for group in (first, second)]
    return _test(first, second, shared, seeds, means[0], means[1], effect)


def _slopes(strata: Iterable[Stratum], size_of: SizeOf, overlaps: Overlaps) -> dict[tuple[str, str], dict[int, float]]:
    """The slope of each seed that has every size, by target and intermediate."""
    largest: dict[str, Stratum] = {}
    for stratum in strata:
        known = largest.get(stratum.target)
        if known is None or (stratum.target_fraction or 0.0) > (known.target_fraction or 0.0):
            largest[stratum.target] = stratum
    found = {}
    for target, stratum in largest.items():
        present = [bool(np.isfinite(scores).any()) for scores in stratum.scores]
        for (name, _), rows in rows_by_intermediate(stratum, present).items():
            if overlaps(name, target) or (target, name) in found:
                continue
            x = np.log10([size_of(name, stratum.arms[row].intermediate_fraction or 1.0) for row in rows])
            centred = x - x.mean()
            values = centred @ stratum.scores[rows] / float(centred @ centred)
            found[target, name] = {
                seed: float(value)
                for seed, value in zip(stratum.seeds, values, strict=True)
                if seed is not None and np.isfinite(value)
            }
    return found


def _group_mean(
    slopes: dict[tuple[str, str], dict[int, float]],
    targets: tuple[str, ...],
    intermediates: tuple[str, ...],
    seeds: tuple[int, ...],
) -> FloatArray:
    """``[seeds]``: mean over intermediates of the mean over the targets that each was run with."""
    rows = []
    for name in intermediates:
        mine = [slopes[target, name] for target in targets if (target, name) in slopes]
        rows.append(np.mean([[one[seed] for seed in seeds] for one in mine], axis=0))
    return np.asarray(np.mean(rows, axis=0))


def _test(
    first: tuple[str, ...],
    second: tuple[str, ...],
    shared: tuple[str, ...],
    seeds: tuple[int, ...],
    ones: FloatArray,
    others: FloatArray,
    effect: float,
) -> SlopeComparison:
    gaps = ones - others
    n, spread = len(gaps), float(np.std(gaps, ddof=1)) if len(gaps) > 1 else 0.0
    low = high = p = visible = power = None
    needed = None
    if n > 1 and spread > 0.0:
        from scipy.stats import t as student  # here: loading it is slow

        error, value = spread / n**0.5, float(gaps.mean())
        half = float(student.ppf(1 - ALPHA / 2, n - 1)) * error
        low, high = value - half, value + half
        p = float(2 * student.sf(abs(value) / error, n - 1))
        visible = visible_effect(spread, n)
        power = t_power(effect, spread, n)
        needed = next((k for k in range(2, MOST_SEEDS + 1) if t_power(effect, spread, k) >= POWER), None)
    return SlopeComparison(
        first=first,
        second=second,
        intermediates=shared,
        seeds=seeds,
        first_slope=float(ones.mean()),
        second_slope=float(others.mean()),
        low=low,
        high=high,
        p=p,
        visible=visible,
        effect=effect,
        power=power,
        seeds_needed=needed,
    )


def t_power(effect: float, spread: float, number: int) -> float:
    """Probability that a two-sided t test over `number` values with standard deviation `spread` sees `effect`."""
    from scipy.stats import nct
    from scipy.stats import t as student

    bound = float(student.ppf(1 - ALPHA / 2, number - 1))
    shift = abs(effect) / (spread / number**0.5)
    if shift > bound + _FAR:  # scipy has no value far out, where the power is one
        return 1.0
    return float(nct.sf(bound, number - 1, shift) + np.nan_to_num(nct.cdf(-bound, number - 1, shift)))


def visible_effect(spread: float, number: int) -> float:
    """The effect that such a test sees with probability 0.8."""
    from scipy.optimize import brentq

    high = spread
    while t_power(high, spread, number) < POWER:
        high *= 2.0
    return float(brentq(lambda size: t_power(size, spread, number) - POWER, 0.0, high))


def comparison_lines(found: SlopeComparison) -> list[str]:
    """The two groups' slopes, the test, and what it could have seen."""
    lines = wrap(
        f"slope for each tenfold of the data of {', '.join(found.intermediates)}, mean over targets, x 100, over "
        f"{count(len(found.seeds), 'seed')}:"
    )
    lines.append(f"  {points(found.first_slope, 6)}  {_names(found.first)}")
    lines.append(f"  {points(found.second_slope, 6)}  {_names(found.second)}")
    if found.p is None:
        return lines + wrap("one seed cannot say whether they differ: run more seeds", "  ")
    lines += wrap(
        f"difference {points(found.difference)} {bounds(found.low, found.high)}, p = {p_text(found.p)} (t over seeds)",
        "  ",
    )
    needed = f"{found.seeds_needed} seeds" if found.seeds_needed else "more than 100 seeds"
    return lines + wrap(
        f"with these seeds the test sees a difference of {100 * (found.visible or 0):.1f} with probability 0.80, and "
        f"one of {100 * found.effect:.1f} with probability {found.power or 0:.2f}; for that one 0.80 takes {needed}",
        "  ",
    )


def _names(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 68 else f"{text[:65]}..."
