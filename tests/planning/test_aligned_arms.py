from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from raystilts.errors import UserError
from raystilts.planning.cost import estimate
from raystilts.planning.resolve import resolve
from raystilts.planning.stage import Stage
from raystilts.planning.stages import plan
from raystilts.report.plan_text import summarise
from raystilts.study.intermediate import Intermediate, domain_of
from raystilts.study.schema import Study

from .examples import study

ALIGN = {"to": "cldr_dates", "loss": "mmd"}
MLM = {"text_of": "cldr_dates", "updates": "shared"}


def stage(arm: Any) -> Stage:
    return next(iter(plan(study(intermediates=[arm], seeds=[0])).of_kind("intermediate")))


@pytest.mark.parametrize(
    ("arm", "label"),
    [
        ({"task": "cldr_names", "align": ALIGN}, "cldr_names+mmd-cldr_dates"),
        ({"task": "cldr_names", "masked_lm": MLM}, "cldr_names+mlm-cldr_dates"),
        ({"task": "cldr_names", "masked_lm": {**MLM, "when": "before"}}, "mlm-cldr_dates+cldr_names"),
        ({"task": "cldr_names", "masked_lm": {"languages": ["de"]}}, "cldr_names+mlm"),
        ({"task": "anli_plus", "align": ALIGN}, "anli_plus+mmd-cldr_dates"),
        ({"task": "cldr_names", "align": ALIGN, "name": "drawn"}, "drawn"),
    ],
)
def test_an_arm_is_named_by_its_parts_in_the_order_in_which_they_train(arm: dict[str, Any], label: str) -> None:
    found = Intermediate.model_validate(arm)
    assert found.label == label
    assert Intermediate.model_validate(json.loads(found.model_dump_json())) == found


def test_whatever_changes_the_weights_changes_the_key_and_a_name_does_not() -> None:
    arms: list[dict[str, Any]] = [
        {},
        {"align": ALIGN},
        {"align": {**ALIGN, "loss": "coral"}},
        {"align": {**ALIGN, "weight": 2}},
        {"align": {**ALIGN, "to": "cldr_units"}},
        {"masked_lm": MLM},
        {"masked_lm": {**MLM, "when": "before"}},
        {"masked_lm": {**MLM, "text_of": "cldr_units"}},
    ]
    keys = [stage({"task": "cldr_names"} | arm).train_key for arm in arms]
    assert len(set(keys)) == len(keys)
    assert stage({"task": "cldr_names", "align": ALIGN, "name": "x"}).train_key == keys[1]


def test_arms_without_alignment_keep_the_keys_that_they_had() -> None:
    plain, text = stage("cldr_names"), Intermediate.model_validate({"task": "a", "masked_lm": {"languages": ["de"]}})
    assert "align" not in plain.intermediate.model_dump()
    assert text.masked_lm is not None
    assert set(text.masked_lm.model_dump()) == {"languages", "dataset", "probability", "max_steps"}
    written_out = text.masked_lm.model_validate({"languages": ["de"], "max_samples": 100_000})
    assert written_out.model_dump() == text.masked_lm.model_dump(), "written out, the default is the same key"


def test_the_number_of_updates_is_that_of_the_arm_without() -> None:
    arms: list[dict[str, Any]] = [{"align": ALIGN}, {"masked_lm": MLM}, {"masked_lm": {**MLM, "when": "before"}}]
    plain = stage("cldr_names").steps
    assert {stage({"task": "cldr_names"} | arm).steps for arm in arms} == {plain}
    assert stage({"task": "cldr_names", "masked_lm": {**MLM, "updates": "added"}}).steps == 2 * plain


def test_the_plan_says_which_arms_are_drawn_where_and_counts_their_texts() -> None:
    planned = plan(study(intermediates=["none", "cldr_names", {"task": "cldr_names", "align": ALIGN}], seeds=[0]))
    summary = summarise(planned, planned.stages, estimate(planned, planned.stages, []))
    assert summary.aligned == ("cldr_names+mmd-cldr_dates (to cldr_dates)",)
    plain, aligned = planned.of_kind("intermediate")
    assert aligned.tokens > plain.tokens
    assert [domain_of(arm) for arm in planned.study.intermediates] == [None, None, "cldr_dates"]


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"task": "cldr_names", "align": {"to": "cldr_date", "loss": "mmd"}}, "unknown; did you mean 'cldr_dates'"),
        ({"task": "cldr_names", "align": {"to": "cldr_dates", "loss": "corral"}}, "'corral'; did you mean 'coral'"),
        ({"task": "cldr_names", "align": {"to": "cldr_names", "loss": "mmd"}}, "is what the arm trains on"),
        ({"task": "cldr_names", "align": {"to": "cldr_match", "loss": "mmd"}}, "has no training texts"),
        ({"task": "cldr_names", "align": {**ALIGN, "weight": 0}}, "greater than 0"),
        ({"masked_lm": {"languages": ["de"], "max_steps": 9}, "align": ALIGN}, "align needs a task"),
        ({"task": "cldr_names", "masked_lm": {}}, "give the languages of the text, or text_of"),
        ({"task": "cldr_names", "masked_lm": {"text_of": "cldr_dates", "languages": ["de"]}}, "leave out languages"),
        ({"task": "cldr_names", "masked_lm": {"text_of": "xx"}}, "intermediates.0.masked_lm.text_of: task 'xx'"),
    ],
)
def test_what_cannot_be_trained_is_said_before_training(arm: dict[str, Any], message: str) -> None:
    with pytest.raises((ValidationError, UserError), match=message):
        resolve(study(intermediates=[arm]))


def test_a_misspelt_field_gets_a_suggestion(tmp_path: Any) -> None:
    path = tmp_path / "s.yaml"
    arm = "{task: cldr_names, align: {to: cldr_dates, loss: mmd, wait: 3}}"
    path.write_text(f"{{name: x, intermediates: [{arm}], targets: [cldr_dates], seeds: [0]}}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"align.wait: no such field; did you mean|align.wait: no such field; known: "):
        Study.from_file(path)
