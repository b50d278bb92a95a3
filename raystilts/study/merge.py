"""What a results folder holds after several studies of one name: the last one, and what earlier ones asked for."""

from __future__ import annotations

from typing import Any

from raystilts.study.schema import Fractions, Study


def merged(old: Study, new: Study) -> Study:
    """The new study, with arms, targets, fractions and seeds that only the old one has.

    So a study that adds a few runs to a folder does not hide from its readers what the other rows are. Where the two
    have different encoders, the new one alone.
    """
    if old.encoder != new.encoder:
        return new
    fractions = _fractions(old.intermediate_fractions, new.intermediate_fractions)
    hyperparameters = new.hyperparameters.model_copy(
        update={"tasks": {**old.hyperparameters.tasks, **new.hyperparameters.tasks}}
    )
    labels, tasks = {arm.label for arm in new.intermediates}, {target.task for target in new.targets}
    update: dict[str, Any] = {
        "intermediates": new.intermediates + tuple(arm for arm in old.intermediates if arm.label not in labels),
        "intermediate_fractions": fractions,
        "compare_at": new.compared_fraction if new.compared_fraction != max(fractions.values) else new.compare_at,
        "targets": new.targets + tuple(target for target in old.targets if target.task not in tasks),
        "target_fractions": _fractions(old.target_fractions, new.target_fractions),
        "seeds": tuple(sorted({*old.seeds, *new.seeds})),
        "hyperparameters": hyperparameters,
        "task_files": tuple(dict.fromkeys((*old.task_files, *new.task_files))),
    }
    if old.baseline_seeds or new.baseline_seeds:
        baseline = {*(old.baseline_seeds or old.seeds), *(new.baseline_seeds or new.seeds)}
        update["baseline_seeds"] = tuple(sorted(baseline))
    return new.model_copy(update=update)


def _fractions(old: Fractions, new: Fractions) -> Fractions:
    if old.hold != new.hold:
        return new
    return new.model_copy(update={"values": tuple(sorted({*old.values, *new.values}))})
