from __future__ import annotations

from typing import Any

from raystilts.study.merging import merged
from raystilts.study.schema import Study


def study(**changes: Any) -> Study:
    fields: dict[str, Any] = {
        "name": "one",
        "intermediates": ["none", "snli", {"tasks": ["squad", "mnli"], "name": "both"}],
        "intermediate_fractions": [0.25, 1.0],
        "compare_at": 0.25,
        "targets": [{"task": "xnli", "languages": ["en", "de"]}, "pawsx"],
        "seeds": [0, 1],
        "hyperparameters": {"learning_rate": 1e-5, "tasks": {"both": {"learning_rate": 3e-5}}},
    }
    return Study.model_validate(fields | changes)


def test_a_few_more_runs_do_not_hide_what_else_is_there() -> None:
    old = study()
    new = study(intermediates=["none", "snli"], intermediate_fractions=[0.25], compare_at=None, targets=["pawsx"],
                seeds=[4], hyperparameters={"learning_rate": 2e-5})  # fmt: skip
    found = merged(old, new)
    assert [arm.label for arm in found.intermediates] == ["none", "snli", "both"]
    assert [target.task for target in found.targets] == ["pawsx", "xnli"]
    assert found.targets[1].languages == ("en", "de")
    assert (found.seeds, found.baseline_seeds) == ((0, 1, 4), None)
    assert (found.intermediate_fractions.values, found.compared_fraction) == ((0.25, 1.0), 0.25)
    assert found.hyperparameters.learning_rate == 2e-5
    assert found.hyperparameters.tasks.keys() == {"both"}
    assert Study.model_validate(found.model_dump(mode="json")) == found


def test_the_same_study_stays_as_it_is() -> None:
    assert merged(study(), study()) == study()
    assert merged(study(baseline_seeds=[7]), study()).baseline_seeds == (0, 1, 7)


def test_another_encoder_is_another_study() -> None:
    new = study(encoder={"model_name_or_path": "raystilts-mini", "pooling": "mean"}, targets=["xnli"])
    assert merged(study(), new) == new
