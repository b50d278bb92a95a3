"""One cell, one number of the transfer matrix; and the shares and seeds at which arms and targets are trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from raystilts.errors import UserError
from raystilts.planning.resolve import ResolvedArm, ResolvedStudy, ResolvedTask
from raystilts.study.schema import Study

#: The shares of its training data that a target is trained on, each with its number of examples if that is set; None
#: of a target that is not trained on.
Points = Mapping[float | None, int | None]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of the transfer matrix.

    Axes that do not apply are None: `none` and a checkpoint from elsewhere have no intermediate fraction, a target
    without training no fraction, and no seed either where its encoder is one of these.
    `encoder` is empty where the study has one alone.
    """

    intermediate: str
    intermediate_fraction: float | None
    target: str
    target_fraction: float | None
    seed: int | None
    encoder: str = ""


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


def target_points(study: Study, target: ResolvedTask, rows: int) -> Points:
    """The points of a target.

    Args:
        rows: Its training examples at fraction 1; of no consequence where it is not trained on.

    Raises:
        UserError: the study asks for more examples than there are.
    """
    if not target.task.requires_training:
        return {None: None}
    asked = next(one for one in study.targets if one.task == target.task.name)
    try:
        return {share: number for share, number in study.target_points(asked, rows).items()}  # noqa: C416 (mypy)
    except ValueError as error:
        raise UserError(f"{target.place}: {error}") from None
