"""One number a language: the mean of its gains over tasks, each task's own level taken away.

Cells of one language share its noise and its nature, so a correlation over language x task cells finds something in a
third of the cases where there is nothing. Languages are the units: gain[task, language] = task + language + rest, by
least squares, which is the mean of task-centred gains where every task has the same languages, and does not mistake
the easy tasks of some languages for their gain where not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def language_effects(gains: npt.ArrayLike) -> FloatArray:
    """The languages' effects.

    Args:
        gains: ``[tasks, languages]``, nan where a task lacks a language.

    Returns:
        ``[languages]``, mean 0 over those with a value; nan for a language without any, and for one whose tasks share
        no language with the rest.
    """
    table = np.asarray(gains, dtype=np.float64)
    effects = np.full(table.shape[1], np.nan)
    seen = np.isfinite(table)
    columns = _largest_part(seen)
    if not columns.size:
        return effects
    rows = np.flatnonzero(seen[:, columns].any(axis=1))
    block, there = table[np.ix_(rows, columns)], seen[np.ix_(rows, columns)]
    task, language = np.nonzero(there)
    design = np.zeros((len(task), len(rows) + len(columns)))
    design[np.arange(len(task)), task] = 1.0
    design[np.arange(len(task)), len(rows) + language] = 1.0
    solution = np.linalg.lstsq(design, block[there], rcond=None)[0][len(rows) :]
    effects[columns] = solution - solution.mean()
    return effects


def group_means(values: npt.ArrayLike, groups: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Names and means of groups of values, in order of name; nan is left out."""
    table = np.asarray(values, dtype=np.float64)
    known = [(group, value) for group, value in zip(groups, table, strict=True) if np.isfinite(value)]
    names = sorted({group for group, _ in known})
    return names, np.array([np.mean([value for group, value in known if group == name]) for name in names])


def _largest_part(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Languages of the largest set that are connected by tasks that they share."""
    left = set(np.flatnonzero(seen.any(axis=0)).tolist())
    largest: set[int] = set()
    while left:
        part = {left.pop()}
        while True:
            tasks = seen[:, sorted(part)].any(axis=1)
            wider = set(np.flatnonzero(seen[tasks].any(axis=0)).tolist())
            if wider == part:
                break
            part = wider
        left -= part
        largest = max(largest, part, key=len)
    return np.array(sorted(largest), dtype=np.intp)
