"""The room that a plan's checkpoints take."""

from __future__ import annotations

from collections import Counter

from raystilts.study.plan import Plan
from raystilts.study.schedule import Asha


def disk_bytes(plan: Plan) -> int | None:
    """Bytes of the checkpoints that a plan holds at a time, None where the encoder's size is not known.

    With `keep: needed` too: intermediates stand at the start of the longest paths, so that all are trained first.
    """
    if plan.encoder.parameters is None:
        return None
    kept = {s.train_key for s in plan.of_kind("intermediate")}
    targets = {s.train_key: (s.target, s.target_fraction, s.seed) for s in plan.of_kind("target")}
    number = {"all": len(targets), "best": len(set(targets.values())), "none": 0}[plan.study.keep_targets]
    return 4 * plan.encoder.parameters * (len(kept) + number) + _paused_bytes(plan)


def _paused_bytes(plan: Plan) -> int:
    """Bytes of the trainings that wait for a decision at a rung: those of one stratum, whose runs stand together.

    Each is the weights, the best ones so far and two moments of the optimiser; of the word embeddings only the rows
    that the training data touches, which are left out here.
    """
    if not isinstance(plan.study.schedule, Asha):
        return 0
    competing = [
        (stage.target, stage.target_fraction)
        for stage in plan.of_kind("target")
        if stage.intermediate_fraction == plan.study.compared_fraction
    ]
    dense = (plan.encoder.parameters or 0) - (plan.encoder.embedding_parameters or 0)
    return 4 * 4 * dense * max(Counter(competing).values(), default=0)
