"""What an arm that is aligned, or co-trained on a target's texts, scores over the same arm without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from raystilts.analysis.inference import LEVEL, holm
from raystilts.analysis.presentation import bounds, p_text, points, wrap
from raystilts.results.stratum import Stratum
from raystilts.study.intermediate import Intermediate, domain_of


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference on one target, in shares.

    Attributes:
        arm: The aligned one; `plain` is the same without.
        domain: The task whose texts it was drawn to.
        difference: Mean over the seeds that both have, with its 95 % interval (paired t).
        p_holm: Of no difference, over all that are tested; None with one seed.
    """

    arm: str
    plain: str
    domain: str
    target: str
    seeds: int
    difference: float
    low: float | None
    high: float | None
    p_holm: float | None


def plain_of(arm: Intermediate, arms: Sequence[Intermediate]) -> Intermediate | None:
    """The arm of a study that is the same but for alignment."""
    plain = (one for one in arms if not (one.align or one.masked_lm or one.is_composed))
    return next((one for one in plain if one.tasks == arm.tasks), None)


def effects(arms: Sequence[Intermediate], strata: Sequence[Stratum], fraction: float) -> list[Effect]:
    """The effect of alignment on every target, each paired over seeds."""
    found: list[tuple[Effect, float]] = []
    for arm in arms:
        domain, plain = domain_of(arm), plain_of(arm, arms)
        if domain is None or plain is None:
            continue
        for stratum in strata:
            rows = {(one.intermediate, one.intermediate_fraction): i for i, one in enumerate(stratum.arms)}
            if (arm.label, fraction) in rows and (plain.label, fraction) in rows:
                pair = [stratum.scores[rows[one.label, fraction]] for one in (arm, plain)]
                differences = pair[0] - pair[1]
                differences = differences[np.isfinite(differences)]
                if len(differences):
                    found.append(_effect(arm.label, plain.label, domain, stratum.target, differences))
    adjusted = holm([p for _, p in found])
    known = [None if np.isnan(p) else float(p) for p in adjusted]
    return [replace(effect, p_holm=p) for (effect, _), p in zip(found, known, strict=True)]


def _effect(arm: str, plain: str, domain: str, target: str, differences: np.ndarray) -> tuple[Effect, float]:
    seeds, mean = len(differences), float(differences.mean())
    if seeds < 2:
        return Effect(arm, plain, domain, target, seeds, mean, None, None, None), float("nan")
    error = float(differences.std(ddof=1)) / np.sqrt(seeds)
    half = float(student.ppf(0.975, seeds - 1)) * error
    p = 2 * float(student.sf(abs(mean) / error, seeds - 1)) if error > 0 else float(mean == 0)
    return Effect(arm, plain, domain, target, seeds, mean, mean - half, mean + half, None), p


def effect_lines(found: Sequence[Effect]) -> list[str]:
    """A table of effects, an arm after the other."""
    lines = ["Alignment: points over the same arm without, paired over seeds:"]
    for arm in dict.fromkeys(one.arm for one in found):
        lines.append(f"  {arm}")
        for one in (one for one in found if one.arm == arm):
            star = "*" if one.p_holm is not None and one.p_holm < LEVEL else " "
            own = " (its domain)" if one.target == one.domain else ""
            lines.append(
                f"  {star} {one.target + own:<26} {points(one.difference, 6)} {bounds(one.low, one.high):>15} "
                f"{p_text(one.p_holm):>7} {one.seeds:>3} seeds"
            )
    sure = sum(one.p_holm is not None and one.p_holm < LEVEL for one in found)
    return lines + wrap(
        f"* told apart from zero by Holm's p over all {len(found)}: {sure} of them. Intervals are of one each.", "  "
    )
