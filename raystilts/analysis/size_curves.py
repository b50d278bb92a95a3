"""How the gain of an intermediate changes with the size of its data, for each target and language.

Sizes in training examples, where the study says of how much data a fraction is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from raystilts.analysis.curves import Estimate, HeldOut, SizeMeans, hold_out, judge_curve
from raystilts.analysis.reading import Overlaps, table_of
from raystilts.errors import UserError
from raystilts.planning.data import StudyData
from raystilts.planning.stages import fraction_rows
from raystilts.ranking.intervals import Decomposition, FloatArray, decompose, gain_variance
from raystilts.results.stratum import Stratum
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task

#: Training examples of an intermediate or a target at a fraction; the fraction itself where sizes are not known.
SizeOf = Callable[[str, float], float]


@dataclass(frozen=True, slots=True)
class SizePoint:
    """The gain at one size, as a share (0.01 is a point), with its own 95 % t interval (None without repeats)."""

    size: float
    gain: float
    low: float | None
    high: float | None
    runs: int


@dataclass(frozen=True, slots=True)
class SizeCurve:
    """The gains of one intermediate in one target and language.

    Attributes:
        language: None for the mean over the target's languages.
        overlap: Whether the intermediate trains on the target's own data.
        points: In order of size.
        slope: Gain for each tenfold of the data, least squares on log10 of the size.
        monotone_p: P-value of "the gain only rises, or only falls with size".
        refused: Why no power law is shown; None where it is.
        alpha: Exponent; likewise the asymptote (the gain without end of data).
        at_ten_times: The gain predicted at ten times the largest size.
        held_out: Errors on the largest sizes.
    """

    target: str
    target_fraction: float | None
    language: str | None
    metric: str
    intermediate: str
    overlap: bool
    points: tuple[SizePoint, ...]
    slope: Estimate
    monotone_p: float | None
    lack_of_fit_p: float | None
    refused: str | None
    alpha: Estimate | None
    asymptote: Estimate | None
    at_ten_times: Estimate | None
    held_out: HeldOut | None


def size_curves(
    strata: Iterable[Stratum], languages: Iterable[str | None], size_of: SizeOf, overlaps: Overlaps
) -> list[SizeCurve]:
    """The curve of every intermediate that was run at several fractions.

    Args:
        strata: With each language, as of `reading.read_strata`.
        languages: Those wanted, None for the mean; a stratum without one is left out of it.
        size_of: Size of an intermediate's data at a fraction.
        overlaps: Which intermediates train on a target's own data.
    """
    curves = []
    for stratum in strata:
        for language in languages:
            if language is None or language in stratum.languages:
                fit = decompose(table_of(stratum, language), deterministic=stratum.deterministic)
                curves += _curves(stratum, language, fit, size_of, overlaps)
    return curves


def rows_by_intermediate(stratum: Stratum, present: Iterable[bool]) -> dict[tuple[str, str], list[int]]:
    """Rows of a stratum's arms that have runs, in order of size, by intermediate and hyperparameters."""
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (arm, there) in enumerate(zip(stratum.arms, present, strict=True)):
        if there and arm.intermediate != "none" and arm.intermediate_fraction is not None:
            rows.setdefault((arm.intermediate, arm.hyperparameters), []).append(row)
    return {
        key: sorted(some, key=lambda row: stratum.arms[row].intermediate_fraction or 0.0)
        for key, some in rows.items()
        if len(some) > 1
    }


def _curves(
    stratum: Stratum, language: str | None, fit: Decomposition, size_of: SizeOf, overlaps: Overlaps
) -> list[SizeCurve]:
    if not fit.present[0]:
        return []
    found = []
    for (name, _), rows in rows_by_intermediate(stratum, fit.present).items():
        sizes = np.array([size_of(name, stratum.arms[row].intermediate_fraction or 1.0) for row in rows])
        found.append(_curve(stratum, language, fit, name, rows, sizes, overlaps(name, stratum.target)))
    return found


def _curve(
    stratum: Stratum,
    language: str | None,
    fit: Decomposition,
    name: str,
    rows: list[int],
    sizes: FloatArray,
    overlap: bool,
) -> SizeCurve:
    gains = fit.effects[rows] - fit.effects[0]
    means = SizeMeans(sizes, gains, fit.counts[rows].astype(float), fit.variance, fit.df)
    base = fit.variances[0] + (fit.shift_variances[rows[0]] + fit.shift_variances[0] if fit.split else 0.0)
    half = student_half(float(base), fit.df)
    points = tuple(_point(fit, row, size) for row, size in zip(rows, sizes, strict=True))
    judged = judge_curve(means)
    shown = judged.law if judged.refused is None else None
    return SizeCurve(
        target=stratum.target,
        target_fraction=stratum.target_fraction,
        language=language,
        metric=stratum.metric or "",
        intermediate=name,
        overlap=overlap,
        points=points,
        slope=_slope(means),
        monotone_p=judged.monotone_p,
        lack_of_fit_p=judged.law.lack_of_fit_p if judged.law else None,
        refused=judged.refused,
        alpha=shown.alpha if shown else None,
        asymptote=shown.asymptote.widened(half) if shown else None,
        at_ten_times=shown.predict(10.0 * float(sizes[-1])).widened(half) if shown else None,
        held_out=hold_out(means),
    )


def _point(fit: Decomposition, row: int, size: float) -> SizePoint:
    gain, runs = float(fit.effects[row] - fit.effects[0]), int(fit.counts[row])
    if fit.df <= 0:
        return SizePoint(float(size), gain, None, None, runs)
    variance, df = gain_variance(fit, row)
    half = student_half(variance, df)
    return SizePoint(float(size), gain, gain - half, gain + half, runs)


def _slope(means: SizeMeans) -> Estimate:
    x = np.log10(means.sizes)
    centred = x - np.sum(means.counts * x) / means.counts.sum()
    squares = float(np.sum(means.counts * centred**2))
    value = float(np.sum(means.counts * centred * means.means) / squares)
    half = student_half(means.variance / squares, means.df) if means.df > 0 else float("nan")
    return Estimate(value, value - half, value + half)


def student_half(variance: float, df: float, level: float = 0.95) -> float:
    """Half the width of a t interval: nan where the variance is unknown, 0 where there is none."""
    if variance == 0.0:
        return 0.0
    if not variance > 0.0 or df <= 0:
        return float("nan")
    from scipy.stats import t as student  # here: loading it is slow

    return float(student.ppf(0.5 + level / 2, df)) * float(variance**0.5)


def sizes_in_examples(study: Study | None) -> tuple[SizeOf, str]:
    """A function from a task (or mixture) and a fraction to training examples, and the unit's name.

    Without a study, or where its data cannot be looked up, the size is the fraction itself.
    """
    rows = {} if study is None else _rows(study)

    def in_examples(name: str, fraction: float) -> float:
        if name not in rows:
            raise UserError(f"the results hold {name!r}, which their study.json does not name; run the study again")
        return float(fraction_rows(rows[name], fraction))

    def as_share(name: str, fraction: float) -> float:
        return fraction

    return (in_examples, "examples") if rows else (as_share, "share of the data")


def _rows(study: Study) -> dict[str, int]:
    """Training examples of every intermediate and target at fraction 1; nothing where one is not known."""
    parts = {arm.label: arm.tasks for arm in study.intermediates if arm.tasks}
    parts |= {target.task: (target.task,) for target in study.targets if get_task(target.task).requires_training}
    try:
        data = StudyData(study)
        return {
            label: sum(data.training(get_task(name), study.hyperparameters.resolve(name)).rows for name in names)
            for label, names in parts.items()
        }
    except UserError:
        return {}
