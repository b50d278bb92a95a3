"""From a study to its cells: one cell, one number of the transfer matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raystilts.planning.resolve import ResolvedArm, ResolvedStudy
from raystilts.study.schema import Study
from raystilts.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of the transfer matrix.

    Axes that do not apply are None: `none` and a checkpoint from elsewhere have no intermediate fraction, a target
    without training no fraction, and no seed either where its encoder is one of these.
    """

    intermediate: str
    intermediate_fraction: float | None
    target: str
    target_fraction: float | None
    seed: int | None


def arm_points(resolved: ResolvedStudy) -> Iterator[tuple[ResolvedArm, float | None, tuple[int, ...]]]:
    """Every intermediate at every fraction, with its seeds."""
    study = resolved.study
    for arm in resolved.arms:
        if arm.intermediate.is_none:
            yield arm, None, study.baseline_seeds or study.seeds
            continue
        if not arm.has_fractions:
            yield arm, None, study.seeds
            continue
        for fraction in study.intermediate_fractions.values:
            yield arm, fraction, study.seeds


def target_points(study: Study, task: Task) -> tuple[float | None, ...]:
    """The fractions of a target; (None,) for one that is not trained on."""
    return study.target_fractions.values if task.requires_training else (None,)


def expand(resolved: ResolvedStudy) -> list[Cell]:
    """All cells of a study, each once, in the order of the study file."""
    cells: dict[Cell, None] = {}
    for target in resolved.targets:
        trained = target.task.requires_training
        for arm, fraction, seeds in arm_points(resolved):
            for target_fraction in target_points(resolved.study, target.task):
                for seed in seeds:
                    own_seed = seed if trained or arm.has_seeds else None
                    cells[Cell(arm.intermediate.label, fraction, target.task.name, target_fraction, own_seed)] = None
    return list(cells)
