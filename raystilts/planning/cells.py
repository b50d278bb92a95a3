"""From a study to its cells: one cell, one number of the transfer matrix.

Which arms train on a target's own data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study, Target
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import shares_training_data


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of the transfer matrix.

    Axes that do not apply are None: `none` has no intermediate fraction, a target without training no fraction, and
    no seed either where its encoder is the pretrained one.
    """

    intermediate: str
    intermediate_fraction: float | None
    target: str
    target_fraction: float | None
    seed: int | None


def arm_points(study: Study) -> Iterator[tuple[Intermediate, float | None, tuple[int, ...]]]:
    """Every intermediate at every fraction, with its seeds."""
    for arm in study.intermediates:
        if arm.is_none:
            yield arm, None, study.baseline_seeds or study.seeds
            continue
        for fraction in study.intermediate_fractions.values:
            yield arm, fraction, study.seeds


def target_points(study: Study, target: Target) -> tuple[float | None, ...]:
    """The fractions of a target; (None,) for one that is not trained on."""
    return study.target_fractions.values if get_task(target.task).requires_training else (None,)


def expand(study: Study) -> list[Cell]:
    """All cells of a study, each once, in the order of the study file."""
    cells: dict[Cell, None] = {}
    for target in study.targets:
        trained = get_task(target.task).requires_training
        for arm, fraction, seeds in arm_points(study):
            for target_fraction in target_points(study, target):
                for seed in seeds:
                    own_seed = None if arm.is_none and not trained else seed
                    cells[Cell(arm.label, fraction, target.task, target_fraction, own_seed)] = None
    return list(cells)


def overlaps(study: Study) -> tuple[tuple[str, str], ...]:
    """Pairs of an arm and a target whose own training data it trains on, in the order of the study file."""
    return tuple(
        (arm.label, target.task)
        for arm in study.intermediates
        for target in study.targets
        if any(shares_training_data(get_task(name), get_task(target.task)) for name in arm.tasks)
    )
