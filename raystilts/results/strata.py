"""The scores of one stratum (target, target fraction) as an array for ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Arm(NamedTuple):
    """An intermediate at one data fraction and one set of hyperparameters (a JSON object)."""

    intermediate: str
    intermediate_fraction: float | None
    hyperparameters: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Final scores of one target at one fraction, arms by seeds.

    Attributes:
        language: The language asked for, None for the macro mean.
        languages: The languages behind every score.
        metric: The main metric; None without scores.
        arms: Arm 0 is ``none``, also where it was never run. If it was run with several sets of
            hyperparameters, arm 0 has those with most scores, and the others follow as arms.
        seeds: The columns of `scores`; ``[None]`` where nothing depends on a seed.
        scores: Shape [arms, seeds], 0 to 1; NaN where a run is missing or did not finish, or is
            degenerate.
        deterministic: Shape [arms]: the arm's one score depends on no seed and fills its row.
        degenerate: Shape [arms]: finished runs that are degenerate; likewise the number of stages
            in `failed` and in `stopped`.
    """

    target: str
    target_fraction: float | None
    split: str
    language: str | None
    languages: tuple[str, ...]
    metric: str | None
    arms: list[Arm]
    seeds: list[int | None]
    scores: NDArray[np.float64]
    deterministic: NDArray[np.bool_]
    failed: NDArray[np.int64]
    stopped: NDArray[np.int64]
    degenerate: NDArray[np.int64]

    @property
    def has_baseline(self) -> bool:
        """Whether there is a score of ``none``, without which there are no gains."""
        return bool(np.isfinite(self.scores[0]).any())


def build_stratum(
    target: str,
    target_fraction: float | None,
    split: str,
    language: str | None,
    finals: pd.DataFrame,
    unfinished: pd.DataFrame,
    keep_degenerate: bool,
) -> Stratum:
    """Arranges rows of the transfer matrix; see `Results.stratum_scores`.

    Args:
        finals: Rows of `Results.matrix` of this stratum and language.
        unfinished: A row for each stage that was stopped or failed, with its arm and `status`.
    """
    arms = _order(_arms(finals), _arms(unfinished))
    seeds = _seeds(finals)
    scores = np.full((len(arms), len(seeds)), np.nan)
    deterministic = np.zeros(len(arms), dtype=np.bool_)
    degenerate = np.zeros(len(arms), dtype=np.int64)
    for arm, seed, value, broken in zip(
        _arms(finals), finals["seed"], finals["score"], finals["degenerate"], strict=True
    ):
        row = arms.index(arm)
        degenerate[row] += bool(broken)
        kept = float(value) if keep_degenerate or not broken else np.nan
        if pd.isna(seed):
            deterministic[row] = True
            scores[row, :] = kept
        else:
            scores[row, seeds.index(int(seed))] = kept
    return Stratum(
        target=target,
        target_fraction=target_fraction,
        split=split,
        language=language,
        languages=tuple(finals["languages"].iloc[0].split(",")) if len(finals) else (),
        metric=str(finals["metric"].iloc[0]) if len(finals) else None,
        arms=arms,
        seeds=seeds,
        scores=scores,
        deterministic=deterministic,
        failed=_count(unfinished, "failed", arms),
        stopped=_count(unfinished, "stopped", arms),
        degenerate=degenerate,
    )


def _arms(frame: pd.DataFrame) -> list[Arm]:
    """The arm of every row."""
    columns = (frame["intermediate"], frame["intermediate_fraction"], frame["hyperparameters"])
    return [
        Arm(str(name), None if pd.isna(fraction) else float(fraction), str(settings))
        for name, fraction, settings in zip(*columns, strict=True)
    ]


def _order(scored: list[Arm], unscored: list[Arm]) -> list[Arm]:
    """Distinct arms, the baseline first."""
    arms = sorted({*scored, *unscored}, key=lambda arm: (arm[0], arm[1] or 0.0, arm[2]))
    baselines = [arm for arm in arms if arm.intermediate == "none"]
    first = max(baselines, key=scored.count, default=Arm("none", None, ""))
    return [first, *(arm for arm in arms if arm != first)]


def _seeds(finals: pd.DataFrame) -> list[int | None]:
    seeds = {int(seed) for seed in finals["seed"].dropna()}
    return [*sorted(seeds)] or [None]


def _count(unfinished: pd.DataFrame, status: str, arms: list[Arm]) -> NDArray[np.int64]:
    found = _arms(unfinished[unfinished["status"] == status])
    return np.array([found.count(arm) for arm in arms], dtype=np.int64)
