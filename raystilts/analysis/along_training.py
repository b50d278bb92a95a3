"""The weights along a training as its sizes: what a share of the updates has seen stands for a share of the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from raystilts.errors import UserError
from raystilts.results.stratum import Arm, Stratum
from raystilts.study.arms import Arms
from raystilts.study.schema import Study


def has_steps(study: Study | None) -> bool:
    """Whether a study has arms along its trainings."""
    return study is not None and any(arm.step is not None for arm in study.intermediates)


def asks_for_steps(study: Study | None, steps: bool | None) -> bool:
    """Whether sizes are to be read along trainings: as asked, else where the study has no other sizes.

    Raises:
        UserError: asked for, and not there.
    """
    if steps and not has_steps(study):
        raise UserError("--steps: this study has no arms along its trainings; give it intermediate_steps")
    if steps is None:
        return study is not None and has_steps(study) and len(study.intermediate_fractions.values) == 1
    return steps


def along_training(strata: Iterable[Stratum], study: Study) -> list[Stratum]:
    """The arms along each training, and its end, as one intermediate at several fractions; other arms are left out.

    Arms are taken at the intermediate fraction that is compared.
    """
    arms, compared = Arms(study.intermediates), study.compared_fraction
    places: dict[str, tuple[str, float]] = {}
    for arm in study.intermediates:
        if arm.step is not None:
            whole = arms.whole(arm).label
            places[arm.label] = whole, arm.step * compared
            places[whole] = whole, compared
    found = []
    for stratum in strata:
        rows, renamed = [0], [stratum.arms[0]]
        for row, one in enumerate(stratum.arms):
            if row and one.intermediate in places and one.intermediate_fraction == compared:
                rows.append(row)
                renamed.append(Arm(*places[one.intermediate], one.hyperparameters))
        found.append(_with_rows(stratum, rows, renamed))
    return found


def _with_rows(stratum: Stratum, rows: list[int], arms: list[Arm]) -> Stratum:
    """Some arms of a stratum, under other names."""
    return replace(
        stratum,
        arms=arms,
        scores=stratum.scores[rows],
        deterministic=stratum.deterministic[rows],
        failed=stratum.failed[rows],
        stopped=stratum.stopped[rows],
        degenerate=stratum.degenerate[rows],
        stopped_at=tuple(stratum.stopped_at[row] for row in rows) if stratum.stopped_at else (),
        by_language=stratum.by_language[rows] if stratum.by_language.size else stratum.by_language,
    )
