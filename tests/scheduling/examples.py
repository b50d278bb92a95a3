"""A small study on the embedded encoder and generated data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raystilts.study.schema import Study


def study(storage: Path, **changes: Any) -> Study:
    """`none` and one arm, a trained target and a retrieval target, one seed."""
    fields: dict[str, Any] = {
        "name": "small",
        "intermediates": ["none", "cldr_names"],
        "targets": [{"task": "cldr_units", "languages": ["en"]}, {"task": "cldr_match", "languages": ["de"]}],
        "seeds": [0],
        "hyperparameters": {"max_train_samples": 8, "num_train_epochs": 1, "per_device_train_batch_size": 4},
        "evaluation": {"max_dev_samples": 4, "max_test_samples": 4},
        "storage_path": str(storage),
    }
    return Study.model_validate(fields | changes)
