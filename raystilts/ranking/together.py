"""Which arm is best on each target, by one posterior of all targets (`joint`) in place of one a target.

After a schedule that adapts, few arms of a target have several seeds, and those that have were chosen for their scores:
a ranking of each target for itself is then too sure of its leader. What the other targets and earlier studies say of an
arm makes up for the runs that it lacks; an arm without a run on a target may still be the best there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raystilts.ranking.intervals import BoolArray, FloatArray, decompose
from raystilts.ranking.joint import BURN, joint_posterior
from raystilts.ranking.posterior import DRAWS, Posterior

_EACH = 4  # draws a sweep: the chain is the slow part


@dataclass(frozen=True, slots=True, eq=False)
class TargetTable:
    """The scores of one target as they enter the posterior of all.

    Attributes:
        arms: Name of each row; row 0 is none. One name a target at most.
        scores: ``[arms, seeds]``, nan where a run is missing, failed or stopped; rows without any run are foretold.
        competes: ``[arms]``, arms that may be called best. What others scored is left out.
        prior: What earlier studies expect of an arm, standardised; absent where unknown.
    """

    arms: Sequence[str]
    scores: FloatArray
    competes: BoolArray
    prior: Mapping[str, float]


def rank_together(targets: Sequence[TargetTable], *, stream: str = "") -> list[Posterior] | None:
    """The posterior of every target, from one model of all.

    Args:
        targets: Those that are learnt.
        stream: Name of the study: fixes the random numbers, together with the scores.

    Returns:
        One for each target; None where no arm has two runs anywhere, so that the noise between seeds is unknown.
    """
    if not any(((~np.isnan(one.scores)).sum(axis=1) > 1).any() for one in targets):
        return None
    names = sorted({name for one in targets for name in one.arms})
    place = {name: number for number, name in enumerate(names)}
    seeds = max(one.scores.shape[1] for one in targets)
    table = np.full((len(targets), len(names), seeds), np.nan)
    prior = np.zeros((len(targets), len(names)))
    rows = []
    for number, one in enumerate(targets):
        mine = np.array([place[name] for name in one.arms])
        allowed = one.competes | (np.arange(len(mine)) == 0)  # none too: every gain is measured against it
        table[number, mine[allowed], : one.scores.shape[1]] = one.scores[allowed]
        prior[number, mine] = [one.prior.get(name, 0.0) for name in one.arms]
        rows.append((mine, allowed))
    found = joint_posterior(
        table, prior if prior.any() else None, stream=stream, burn=BURN, draws=-(-DRAWS // _EACH), each=_EACH
    )
    posteriors = []
    for number, (one, (mine, allowed)) in enumerate(zip(targets, rows, strict=True)):
        drawn, noise = (
            np.where(allowed[:, None], values[number, mine], np.nan) for values in (found.theta, found.noise)
        )
        posteriors.append(Posterior(drawn, decompose(one.scores), one.competes, [], noise))
    return posteriors
