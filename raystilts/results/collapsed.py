"""Runs that the ranking takes for collapsed, in words: they stay in the mean that is printed beside P(best)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.posterior import Posterior

_SURE = 0.9  # in fewer than one draw of ten the run counts
_FEWEST = 3  # runs of an arm: of two, nothing says which one is odd
_NAMED = 3


def collapsed_note(
    scores: FloatArray,
    answer: Posterior,
    names: Sequence[str],
    competes: Sequence[bool],
    counts_in: str,
    data: str = "",
) -> list[str]:
    """A note on the collapsed runs of competing arms; none where there are none.

    Args:
        scores: ``[arms, seeds]``, those that `answer` ranks.
        names: Of the arms, as people read them.
        counts_in: What such a run hardly counts in; empty for nothing that is shown.
        data: Which data the scores are of, where they are not those that the printed means are of.
    """
    if answer.lost is None or not answer.learnt:
        return []
    odd = answer.lost > _SURE
    rows = [i for i in np.flatnonzero(odd.any(axis=1)).tolist() if competes[i] and answer.fit.counts[i] >= _FEWEST]
    rows.sort(key=lambda i: (-np.nan_to_num(answer.p_best[i]), -answer.fit.effects[i]))
    if not rows:
        return []
    found: list[str] = []
    for i in rows[:_NAMED]:
        own = np.isfinite(scores[i])
        low, others = scores[i, odd[i]].mean(), scores[i, own & ~odd[i]].mean()
        values = f"({100 * low:.1f}; {'others' if found else 'its others have'} {100 * others:.1f})"
        looks = "" if found else f" looks collapsed{f' on {data}' if data else ''}"
        found.append(f"{names[i]}: 1 of {own.sum()} runs{looks} {values}")
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    one = len(rows) == 1
    there = [] if data else ["is in the mean" if one else "are in the means"]
    there += [f"hardly {'counts' if one else 'count'} in {counts_in}"] if counts_in else []
    return [f"{'; '.join(found)}{more}: {'it' if one else 'they'} {' and '.join(there)}"]
