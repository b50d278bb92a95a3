"""Strata with scores that are known, built as the store builds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from raystilts.results.stratum import Arm, Final, Place, Stratum, build_stratum


def stratum(
    arms: Sequence[tuple[str, float | None]],
    scores: npt.ArrayLike,
    languages: Sequence[str] = ("en", "de"),
    target: str = "pawsx",
    target_fraction: float | None = 1.0,
    seeds: Sequence[int] | None = None,
) -> Stratum:
    """A stratum of ``scores[arms, seeds, languages]``, nan where there was no run; arm 0 is `none`."""
    table = np.asarray(scores, dtype=float)
    place = Place(
        target=target, target_fraction=target_fraction, split="test", language=None, languages=tuple(languages),
        metric="accuracy",
    )  # fmt: skip
    names = range(table.shape[1]) if seeds is None else seeds
    finals = [
        Final(Arm(name, fraction, "{}"), seed, float(table[i, s].mean()), None, table[i, s].tolist())
        for i, (name, fraction) in enumerate(arms)
        for s, seed in enumerate(names)
        if np.isfinite(table[i, s]).all()
    ]
    return build_stratum(place, finals, [])


def never(intermediate: str, target: str) -> bool:
    """No arm overlaps."""
    return False
