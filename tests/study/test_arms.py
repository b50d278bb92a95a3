"""Composed arms in study files: their short and long forms, their names, and what is refused before anything else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from raystilts.study.arms import Arms
from raystilts.study.composed import flattened
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study


def study(*arms: Any, **changes: Any) -> Study:
    fields: dict[str, Any] = {"name": "s", "intermediates": list(arms), "targets": ["sib200"], "seeds": [0]}
    return Study.model_validate(fields | changes)


def refused(*arms: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        study(*arms)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"checkpoint": "textattack/bert-base-uncased-MNLI"}, "bert-base-uncased-MNLI"),
        ({"checkpoint": "/some where/my model/"}, "my-model"),
        ({"checkpoint": "x/y", "name": "elsewhere", "trained_on": ["mnli"]}, "elsewhere"),
        ({"sequence": ["mnli", "squad"]}, "mnli_then_squad"),
        ({"merge": ["mnli", "squad"]}, "mean_of_mnli_and_squad"),
        ({"merge": ["mnli", "none"], "method": "task_arithmetic", "scale": 0.4}, "task_arithmetic_of_mnli_and_none"),
    ],
)
def test_an_arm_is_what_its_own_dump_says(given: dict[str, Any], label: str) -> None:
    arm = Intermediate.model_validate(given)
    assert arm.label == label
    assert not arm.is_none
    dumped = arm.model_dump(mode="json", exclude_defaults=True)
    assert Intermediate.model_validate(dumped) == arm
    assert Intermediate.model_validate(flattened(dumped)) == arm
    assert set(flattened(dumped)) == set(given)


def test_fields_of_composed_arms_are_not_in_the_dump_of_others() -> None:
    assert Intermediate.model_validate("mnli").model_dump().keys() == {
        "tasks", "sampling", "cap", "temperature", "masked_lm", "name",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ([{"task": "mnli", "trained_on": ["squad"]}], "trained_on belongs to an arm with checkpoint"),
        ([{"task": "mnli", "method": "ties"}], "method belongs to an arm with merge"),
        ([{"task": "mnli", "checkpoint": "a/b"}], "checkpoint is an arm by itself; leave out tasks"),
        ([{"checkpoint": "a/b", "merge": ["x"]}], "checkpoint is an arm by itself; leave out merge"),
        ([{"sequence": ["mnli"]}], "at least 2"),
        (["mnli", {"sequence": ["mnli", "none"]}], "'none' is no training"),
        (["mnli", "squad", {"merge": ["mnli", "squad"], "name": "m"}, {"sequence": ["mnli", "m"]}],
         "'m' is not one training, so it can only be the first member"),
        ([{"sequence": ["all", "mnli"]}], "'all' is no arm of this study"),
        (["mnli", {"merge": ["mnli", "squd"]}], "'squd' is no arm that this study trains"),
        (["mnli", {"merge": ["mnli", "mnli"]}], "a member stands twice"),
        (["mnli", {"merge": ["mnli"], "density": 0.5}], "density is of ties, not of mean"),
        (["mnli", {"merge": ["mnli"], "method": "weighted"}], "weighted needs weights"),
        (["mnli", {"merge": ["mnli"], "method": "weighted", "weights": [0]}], "not all 0"),
        (["mnli", {"merge": ["mnli"], "method": "layer_swap", "bottom": 1}], "layer_swap takes two members"),
        ([{"merge": ["b"], "name": "a"}, {"merge": ["a"], "name": "b"}], "made of itself (a -> b -> a)"),
        (["mnli", "squad", {"merge": ["mnli", "squad"]}, {"merge": ["mnli", "squad"]}], "is given twice"),
    ],
)  # fmt: skip
def test_arms_that_cannot_be_are_refused(arms: list[Any], words: str) -> None:
    assert words in refused("none", *arms)


def test_what_arms_are_made_of() -> None:
    found = study(
        "none", "mnli", {"tasks": ["squad", "mnli"], "name": "mixed"},
        {"checkpoint": "a/b", "name": "theirs", "trained_on": ["snli"]},
        {"sequence": ["theirs", "mnli", "squad"], "name": "chain"},
        {"sequence": ["mnli", "squad"], "fractions": "all", "name": "whole"},
        {"merge": ["chain", "mixed", "none"], "name": "merged"},
        {"merge": ["theirs", "none"], "name": "still"},
    )  # fmt: skip
    arms = Arms(found.intermediates)
    one = arms.by_label
    assert {name: arms.tasks_of(arm) for name, arm in one.items()} == {
        "none": (), "mnli": ("mnli",), "mixed": ("squad", "mnli"), "theirs": ("snli",),
        "chain": ("snli", "mnli", "squad"), "whole": ("mnli", "squad"), "merged": ("snli", "mnli", "squad"),
        "still": ("snli",),
    }  # fmt: skip
    assert arms.sized_by(one["chain"]) == ("squad",)
    assert arms.sized_by(one["whole"]) == ("mnli", "squad")
    assert arms.sized_by(one["merged"]) == ("squad", "mnli")
    assert [name for name, arm in one.items() if not arms.has_seeds(arm)] == ["none", "theirs", "still"]
    assert arms.with_members(["merged"]) == {"merged", "chain", "mixed", "none", "theirs", "mnli", "squad"}


def test_steps_are_arms_behind_the_others() -> None:
    found = study("none", "mnli", {"task": "squad", "name": "qa"}, {"sequence": ["mnli", "squad"]},
                  {"checkpoint": "a/b"}, {"merge": ["mnli"]}, intermediate_steps=[1.0, 0.5, 0.25])  # fmt: skip
    labels = [arm.label for arm in found.intermediates]
    whole, along = labels[:6], labels[6:]
    assert whole == ["none", "mnli", "qa", "mnli_then_squad", "b", "mean_of_mnli"]
    assert along == [f"{name}_at_{share}" for name in ("mnli", "qa", "mnli_then_squad") for share in (0.25, 0.5)]
    again = Study.model_validate(found.model_dump(mode="json"))
    assert again == found
    arms = Arms(found.intermediates)
    assert {arm.label: arms.whole(arm).label for arm in found.intermediates if arm.step} == {
        label: label.rpartition("_at_")[0] for label in along
    }
    assert [arm.label for arm in arms.steps_of(arms.by_label["qa"])] == ["qa_at_0.25", "qa_at_0.5"]
    assert arms.tasks_of(arms.by_label["mnli_then_squad_at_0.5"]) == ("mnli", "squad")


@pytest.mark.parametrize("arm", [{"checkpoint": "a/b", "step": 0.5}, {"step": 0.5}, {"task": "mnli", "step": 1.0}])
def test_a_step_is_of_a_training_and_before_its_end(arm: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"step is of a training|less than 1"):
        study("none", arm)


@pytest.mark.parametrize(
    ("arms", "steps", "place"),
    [
        (["none", "mnli"], [True], "intermediate_steps"),
        (["none", "mnli"], [0.5, 2], "intermediate_steps"),
        (["none", "mnli", "all"], [0.5], "intermediates"),
    ],
)
def test_what_is_wrong_beside_steps_has_its_place(arms: list[str], steps: list[Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        study(*arms, intermediate_steps=steps)
    assert {error["loc"][0] for error in caught.value.errors()} == {place}
