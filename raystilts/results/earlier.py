"""What an earlier study found, as the next one uses it: which arms did well on which targets, whatever the encoder."""

from __future__ import annotations

import math
from pathlib import Path

from raystilts.errors import UserError
from raystilts.ranking.joint import EarlierScores
from raystilts.results.results import Results
from raystilts.results.stratum import Stratum


def earlier_studies(path: str | Path) -> list[EarlierScores]:
    """The earlier studies of a results folder, one an encoder; see `earlier_scores`."""
    return [earlier_scores(part) for part in Results(path).by_encoder()]


def earlier_scores(given: str | Path | Results) -> EarlierScores:
    """Scores of the finished runs of a results folder, by target and arm: on dev, or on test where it has no dev.

    A target is taken at its largest fraction, and an arm at its largest.

    Args:
        given: The folder, or the part of one encoder.

    Raises:
        UserError: There is no such folder, it holds no scores, or those of several encoders.
    """
    results = given if isinstance(given, Results) else Results(given)
    found: dict[str, dict[str, list[float]]] = {}
    for split in ("test", "dev"):
        largest: dict[str, Stratum] = {}
        for stratum in results.strata(split):
            if _fraction(stratum) >= _fraction(largest.get(stratum.target)):
                largest[stratum.target] = stratum
        found |= {target: _by_arm(stratum) for target, stratum in largest.items()}
    if not found:
        place = results.folder.url
        raise UserError(f"{place} holds no finished runs: a prior is the results folder of a study that was run")
    return found


def _fraction(stratum: Stratum | None) -> float:
    return 0.0 if stratum is None else stratum.target_fraction or 1.0


def _by_arm(stratum: Stratum) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {}
    fraction: dict[str, float] = {}
    for arm, row, exact in zip(stratum.arms, stratum.scores.tolist(), stratum.deterministic.tolist(), strict=True):
        known = [score for score in row if not math.isnan(score)][: 1 if exact else None]
        share = arm.intermediate_fraction or 1.0
        if known and share > fraction.get(arm.intermediate, 0.0):  # of equal ones the first, which has most runs
            scores[arm.intermediate], fraction[arm.intermediate] = known, share
    return scores
