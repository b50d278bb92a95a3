"""Asynchronous successive halving of the trials of a hyperparameter search, inside one stratum.

Promotion as in Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), algorithm 2: a trial
rests at its rung until it is among the best 1 / factor of the trials recorded there. A search proposes trials one after
the other and learns from those before, so here the order of arrival matters, unlike in `AshaRule`.
"""

from __future__ import annotations

import math


class TrialAsha:
    """Which trials of one stratum go on, while more may still come.

    Args:
        rungs: Shares of the full budget at which trials rest, rising, each below 1.
        reduction_factor: Of n trials at a rung, floor(n / reduction_factor) are promoted while trials come; when no
            more can come there, ceil(n / reduction_factor), so that some trial reaches the end.
    """

    def __init__(self, rungs: tuple[float, ...], reduction_factor: float) -> None:
        self._shares = (*rungs, 1.0)
        self._factor = reduction_factor
        self._scores: list[dict[str, float]] = [{} for _ in self._shares]
        self._promoted: list[set[str]] = [set() for _ in self._shares]
        self._trials: dict[str, int] = {}  # trial -> index of the share that it may go to or rests at
        self._closed = False

    def start(self, trial: str) -> None:
        """Adds a trial of the search.

        Raises:
            ValueError: It has started before, or no more trials were to come.
        """
        if self._closed or trial in self._trials:
            raise ValueError(f"trial {trial!r} cannot start: {'the search is closed' if self._closed else 'it has'}")
        self._trials[trial] = 0

    def report(self, trial: str, share: float, score: float | None) -> list[str]:
        """Takes the score of a trial where it was to rest; None or NaN: it has failed, and is last.

        Returns:
            Trials that may go on now.

        Raises:
            ValueError: The trial was not to report at this share.
        """
        level = self._trials.get(trial)
        if level is None or not math.isclose(self._shares[level], share, abs_tol=1e-6):
            raise ValueError(f"no report of trial {trial!r} at share {share:g} was awaited")
        self._scores[level].setdefault(trial, math.nan if score is None else float(score))
        return self._promote()

    def close(self) -> list[str]:
        """No more trials will start; returns trials that may go on now."""
        self._closed = True
        return self._promote()

    def wanted(self) -> dict[str, float]:
        """Trials that may run, and to which share; those that have reported there are not listed."""
        return {t: self._shares[level] for t, level in self._trials.items() if t not in self._scores[level]}

    def stopped(self) -> dict[str, float]:
        """Trials that rest and can no longer be promoted, with the share of their rung; failed ones are left out."""
        return {
            trial: self._shares[level]
            for trial, level in self._trials.items()
            if level < len(self._shares) - 1 and self._complete(level) and self._alive(trial, level)
        }

    def _alive(self, trial: str, level: int) -> bool:
        return not math.isnan(self._scores[level].get(trial, math.nan))

    def _complete(self, level: int) -> bool:
        """Whether no trial can come to a rung any more."""
        below = all(self._complete(lower) for lower in range(level))
        arrived = all(t in self._scores[level] for t, at in self._trials.items() if at == level)
        return self._closed and below and arrived

    def _promote(self) -> list[str]:
        """Moves trials up, from the lowest rung, until none can be moved."""
        moved = []
        for level, scores in enumerate(self._scores[:-1]):
            share = len(scores) / self._factor
            places = math.ceil(share - 1e-9) if self._complete(level) else math.floor(share + 1e-9)
            alive = [trial for trial in scores if self._alive(trial, level)]
            best = sorted(alive, key=lambda trial: (-scores[trial], trial))[:places]
            for trial in best:
                if trial not in self._promoted[level]:
                    self._promoted[level].add(trial)
                    self._trials[trial] = level + 1
                    moved.append(trial)
        return moved
