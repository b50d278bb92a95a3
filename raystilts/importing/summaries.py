"""Means and standard deviations over runs, where the runs themselves are not told, as runs that have exactly these.

Of normal scores, mean, standard deviation and number are all that ranking needs (they are sufficient statistics). How
the runs of two arms go together seed by seed is not known from them: the runs that stand in are drawn in directions
that are independent between arms, so that the common shift of a seed is zero on average.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raystilts.errors import UserError

#: Runs of one cell share their direction in all languages: the mean over languages is then no surer than each.
_CELL = ("encoder", "intermediate", "intermediate_fraction", "target", "target_fraction", "hyperparameters", "split",
         "metric", "step")  # fmt: skip
_MOST = 1000


def as_runs(rows: pd.DataFrame, said: list[str]) -> pd.DataFrame:
    """Rows with a mean, a spread and a number of runs as that many rows; others as they are.

    Args:
        rows: Columns value, std, stderr, runs (NaN where there is none) and those of a cell.

    Returns:
        The rows with a column `drawn`, without std, stderr and runs.

    Raises:
        UserError: A spread is negative, or a number of runs no whole number.
    """
    runs, std = rows["runs"], rows["std"].fillna(rows["stderr"] * rows["runs"] ** 0.5)
    plain = rows.drop(columns=["std", "stderr", "runs"]).assign(drawn=False)
    if (std < 0).any() or (runs.notna() & ((runs < 1) | (runs % 1 != 0) | (runs > _MOST)) & std.notna()).any():
        raise UserError("a standard deviation is below zero, or a number of runs is none (1, 2, 3...)")
    several = std.notna() & (runs > 1)
    unknown = rows["std"].notna() & runs.isna()
    if unknown.any():
        said.append(
            f"{int(unknown.sum())} means with a standard deviation, but of how many runs? Only the means are used; "
            "--set runs=N (or --column runs=NAME) ranks by both"
        )
    if not several.any():
        return plain
    drawn = plain[several]
    numbers = runs[several].astype(int)
    texts = drawn[list(_CELL)].astype("string").fillna("").agg("|".join, axis=1)
    draws = {(text, n): _directions(text, n) for text, n in set(zip(texts, numbers, strict=True))}
    parts = drawn.loc[drawn.index.repeat(numbers)]
    place = np.concatenate([np.arange(n) for n in numbers])
    offsets = np.concatenate([draws[text, n] for text, n in zip(texts, numbers, strict=True)])
    parts = parts.assign(
        value=parts["value"].to_numpy() + np.repeat(std[several].to_numpy(), numbers) * offsets,
        seed_name=place,
        drawn=True,
    )
    said.append(
        f"{len(drawn)} cells are means with a standard deviation: ranked from these summary statistics, by "
        f"{len(parts)} runs drawn to have exactly them, arms taken as independent (seeds that arms share are not known)"
    )
    return pd.concat([plain[~several], parts], ignore_index=True)


def _directions(text: str, number: int) -> NDArray[np.float64]:
    """`number` values with mean 0 and sample standard deviation 1, the same ones for the same text."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
    values = rng.standard_normal(number)
    values -= values.mean()
    return np.asarray(values / math.sqrt(float((values**2).sum()) / (number - 1)))
