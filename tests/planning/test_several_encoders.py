"""Several encoders in one study: an axis like any other, whose parts are what each would be alone."""

from __future__ import annotations

from typing import Any

import pytest

from raystilts.errors import UserError
from raystilts.planning.cost import disk_bytes, estimate
from raystilts.planning.stages import Plan, plan
from raystilts.study.merging import merged
from raystilts.study.schema import Study

from .examples import study

MEAN = {"model_name_or_path": "raystilts-mini", "pooling": "mean", "name": "mini-mean"}


def several(**changes: Any) -> Study:
    return study(encoders=["raystilts-mini", MEAN], **changes)


def alone(encoder: Any, **changes: Any) -> Plan:
    return plan(study(encoder=encoder, **changes))


def test_each_part_is_what_the_encoder_is_alone() -> None:
    together = plan(several())
    first, second = alone("raystilts-mini"), alone(MEAN)
    assert together.stages.keys() == {*first.stages, *second.stages}
    assert len(together.stages) == len(first.stages) + len(second.stages)
    assert [part.stages.keys() for part in together.each()] == [first.stages.keys(), second.stages.keys()]
    assert [part.cell_stages for part in together.each()] == [first.cell_stages, second.cell_stages]
    assert len(set(together.cells)) == len(first.cells) + len(second.cells)
    assert {stage.encoder for stage in together.stages.values()} == {"raystilts-mini", "mini-mean"}
    for stage in together.stages.values():
        assert together.study_of(stage).encoder.label == stage.encoder
        assert together.study_of(stage).encoders is None


def test_one_encoder_in_a_list_is_the_study_as_it_was() -> None:
    assert study(encoders=["raystilts-mini"]) == study(encoder="raystilts-mini") == study()
    assert plan(study(encoders=["raystilts-mini"])).stages.keys() == plan(study()).stages.keys()
    assert {"encoders", "name"}.isdisjoint(study().model_dump()["encoder"])
    assert "encoders" not in study().model_dump()


def test_hyperparameters_of_one_encoder_change_its_part_alone() -> None:
    own = {**MEAN, "hyperparameters": {"learning_rate": 1e-4}}
    found = plan(study(encoders=["raystilts-mini", own])).each()
    assert found[0].stages.keys() == alone("raystilts-mini").stages.keys()
    changed = alone(MEAN, hyperparameters={"learning_rate": 1e-4})
    assert found[1].stages.keys() == changed.stages.keys()


def test_amounts_are_sums() -> None:
    together, parts = plan(several()), plan(several()).each()
    sizes = [disk_bytes(part) for part in parts]
    assert disk_bytes(together) == sum(size or 0 for size in sizes)
    hours = [estimate(part, part.stages, ()).hours for part in parts]
    assert estimate(together, together.stages, ()).hours == pytest.approx(sum(hours))


def test_encoders_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="'raystilts-mini' is given twice; drop one, or give each a `name`"):
        study(encoders=["raystilts-mini", {"model_name_or_path": "raystilts-mini", "pooling": "mean"}])
    with pytest.raises(UserError, match="'twin' is 'raystilts-mini' under another name"):
        plan(study(encoders=["raystilts-mini", {"model_name_or_path": "raystilts-mini", "name": "twin"}]))
    with pytest.raises(ValueError, match="encoder and encoders are both given"):
        study(encoder=MEAN, encoders=["raystilts-mini", MEAN])
    with pytest.raises(ValueError, match="with one encoder they stand under"):
        study(encoder={"hyperparameters": {"learning_rate": 1e-4}})


def test_a_study_of_several_reads_as_it_was_written() -> None:
    one = several()
    assert Study.model_validate(one.model_dump(mode="json")) == one
    assert one.encoder.label == "raystilts-mini"


def test_another_encoder_joins_those_of_the_folder() -> None:
    found = merged(study(encoder="raystilts-mini"), study(encoder=MEAN, targets=["cldr_dates"]))
    assert [one.label for one in found.all_encoders] == ["mini-mean", "raystilts-mini"]
    assert Study.model_validate(found.model_dump(mode="json")) == found
    own = {**MEAN, "hyperparameters": {"learning_rate": 1e-4}}
    whole = study(encoders=["raystilts-mini", own])
    more = merged(whole, whole.of_encoder("mini-mean").model_copy(update={"seeds": (7,)}))
    assert (more.encoders, more.hyperparameters, more.seeds) == (whole.encoders, whole.hyperparameters, (0, 1, 7))
    assert merged(found, several()).all_encoders == several().all_encoders
    other = study(encoder={**MEAN, "pooling": "first"})
    assert merged(found, other) == other, "one of the same name is another now"
