"""The room of checkpoints."""

from __future__ import annotations

from typing import Any

from raystilts.planning.cost import disk_bytes
from raystilts.planning.stages import Plan, plan
from raystilts.study.schema import Study


def small(**changes: Any) -> Plan:
    """A study of `none` and one arm, a trained target and a retrieval target, one seed."""
    fields: dict[str, Any] = {
        "name": "small",
        "intermediates": ["none", "cldr_names"],
        "targets": [{"task": "cldr_units", "languages": ["en"]}, {"task": "cldr_match", "languages": ["de"]}],
        "seeds": [0],
        "hyperparameters": {"num_train_epochs": 1, "per_device_train_batch_size": 4},
    }
    return plan(Study.model_validate(fields | changes))


def needed(**changes: Any) -> int | None:
    return disk_bytes(small(**changes))


def test_disk_counts_what_is_kept() -> None:
    encoder = small().encoder
    one = 4 * (encoder.parameters or 0)
    assert needed() == one
    assert needed(keep_targets="all") == 3 * one
    dense = (encoder.parameters or 0) - (encoder.embedding_parameters or 0)
    assert needed(schedule="asha", seeds=[0, 1]) == 2 * one + 2 * 16 * dense, "two runs of one arm may wait at a rung"
    sequence = [{"sequence": ["cldr_names", "cldr_same"]}]
    several = {"intermediate_fractions": [0.25, 0.5, 1.0], "intermediates": sequence}
    waiting = (needed(schedule="asha", **several) or 0) - (needed(**several) or 0)
    assert waiting == 16 * dense, "one fraction competes, of a sequence too"
    assert needed(keep_targets="best") == 2 * one
    assert needed(encoder={"model_name_or_path": "raystilts-tests/nothing"}) is None
