"""What a results folder holds after several studies of one name: the last one, and what earlier ones asked for."""

from __future__ import annotations

from typing import Any

from raystilts.study.encoder import Encoder
from raystilts.study.schema import Fractions, Study
from raystilts.study.target import Examples


def merged(old: Study, new: Study) -> Study:
    """The new study, with arms, targets, fractions and seeds that only the old one has.

    So a study that adds a few runs to a folder does not hide from its readers what the other rows are. Encoders of the
    old one stand beside the new one's; where one of the same name is another now, the new study stands alone.
    """
    known = {one.label: _plain(one) for one in new.all_encoders}
    if any(known.get(one.label, _plain(one)) != _plain(one) for one in old.all_encoders):
        return new
    part = new.encoders is None and old.encoders is not None and new.encoder.label in {e.label for e in old.encoders}
    if part:  # of one of its encoders the old study is run on, such as by `next`
        together, base = old.all_encoders, old.hyperparameters
        base = base if old.of_encoder(new.encoder.label).hyperparameters == new.hyperparameters else new.hyperparameters
    else:
        together = (*new.all_encoders, *(one for one in old.all_encoders if one.label not in known))
        base = new.hyperparameters
    fractions = _fractions(old.intermediate_fractions, new.intermediate_fractions)
    hyperparameters = base.model_copy(
        update={"tasks": {**old.hyperparameters.tasks, **new.hyperparameters.tasks}}
    )
    labels, tasks = {arm.label for arm in new.intermediates}, {target.task for target in new.targets}
    counted = old.target_examples is not None or new.target_examples is not None
    update: dict[str, Any] = {
        "encoder": together[0],
        "encoders": together if len(together) > 1 else None,
        "intermediates": new.intermediates + tuple(arm for arm in old.intermediates if arm.label not in labels),
        "intermediate_fractions": fractions,
        "compare_at": new.compared_fraction if new.compared_fraction != max(fractions.values) else new.compare_at,
        "targets": new.targets + tuple(target for target in old.targets if target.task not in tasks),
        "target_fractions": new.target_fractions if counted else _fractions(old.target_fractions, new.target_fractions),
        "target_examples": _examples(old.target_examples, new.target_examples),
        "seeds": tuple(sorted({*old.seeds, *new.seeds})),
        "hyperparameters": hyperparameters,
        "task_files": tuple(dict.fromkeys((*old.task_files, *new.task_files))),
    }
    if old.baseline_seeds or new.baseline_seeds:
        baseline = {*(old.baseline_seeds or old.seeds), *(new.baseline_seeds or new.seeds)}
        update["baseline_seeds"] = tuple(sorted(baseline))
    return new.model_copy(update=update)


def _plain(encoder: Encoder) -> Encoder:
    """An encoder without hyperparameters of its own."""
    return encoder.model_copy(update={"hyperparameters": None})


def _examples(old: tuple[Examples, ...] | None, new: tuple[Examples, ...] | None) -> tuple[Examples, ...] | None:
    return new if old is None or new is None else tuple(dict.fromkeys((*new, *old)))


def _fractions(old: Fractions, new: Fractions) -> Fractions:
    if old.hold != new.hold:
        return new
    return new.model_copy(update={"values": tuple(sorted({*old.values, *new.values}))})
