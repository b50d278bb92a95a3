"""k examples of a target, and training data in other languages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raystilts.errors import UserError
from raystilts.planning.data import StudyData
from raystilts.planning.encoders import describe_encoder
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.merging import merged
from raystilts.study.schema import Study
from raystilts.study.target import Target
from raystilts.tasks.registry import get_task
from raystilts.training.data import DataReader, training_sets
from raystilts.training.encoder import pretrained

from .examples import study


def planned(**changes: Any) -> Plan:
    return plan(study(targets=["cldr_dates"], **changes))


def targets(found: Plan) -> list[Stage]:
    return found.of_kind("target")


def test_each_number_is_a_column_and_counts_exactly() -> None:
    found = planned(target_examples=[16, 3, "all"], intermediates=["none"], seeds=[0])
    rows = plan(study(targets=["cldr_dates"], intermediates=["none"], seeds=[0])).stages
    assert [stage.target_examples for stage in targets(found)] == [16, 3, None]
    assert targets(found)[2].key in rows, "all is what fraction 1 is"
    batch = targets(found)[0].hyperparameters.batch
    assert [stage.steps for stage in targets(found)][:2] == [3, 3], f"3 epochs of one batch of {batch}"


def test_a_number_is_a_share_of_the_data_and_shares_its_stage() -> None:
    rows = StudyData(study()).training(get_task("cldr_dates"), Hyperparameters()).rows
    by_share = planned(target_fractions=[16 / rows], intermediates=["none"], seeds=[0])
    by_number = planned(target_examples=[16], intermediates=["none"], seeds=[0])
    assert by_share.stages.keys() == by_number.stages.keys()


@pytest.mark.parametrize("number", [1, 2, 7, 16, 100, 333])
def test_a_training_set_has_so_many_examples_nested_and_the_same_for_every_arm(number: int) -> None:
    found = planned(target_examples=[number, 350], hyperparameters={"max_train_samples": 400})
    reader = DataReader(pretrained(describe_encoder(found.study.encoder)), None)
    chosen: dict[tuple[int | None, int | None], list[np.ndarray[Any, Any]]] = {}
    for stage in targets(found):
        [one] = training_sets(stage, found.study, reader)
        chosen.setdefault((stage.target_examples, stage.seed), []).append(one.chosen)
    assert {key: len(sets) for key, sets in chosen.items()} == dict.fromkeys(chosen, 3)
    for (count, seed), sets in chosen.items():
        assert {len(one) for one in sets} == {count}
        assert all((one == sets[0]).all() for one in sets), "whatever the arm"
        assert set(sets[0]) <= set(chosen[350, seed][0]), "fewer lie inside more"


def test_a_target_of_its_own_number() -> None:
    two = [{"task": "cldr_dates", "examples": [8]}, "cldr_same"]
    found = plan(study(targets=two, intermediates=["none"], seeds=[0]))
    numbers = [(stage.target, stage.target_examples) for stage in targets(found)]
    assert numbers == [("cldr_dates", 8), ("cldr_same", None)]


def test_what_is_not_there_is_refused_by_the_plan() -> None:
    with pytest.raises(UserError, match=r"targets.0 \(cldr_dates\): 1,000,000 training examples are asked for"):
        planned(target_examples=[1_000_000])
    with pytest.raises(UserError, match="nothing is trained on cldr_match; leave them out"):
        plan(study(targets=[{"task": "cldr_match", "languages": ["de"], "examples": [4]}]))
    with pytest.raises(ValueError, match="both given; drop one"):
        study(target_examples=[4], target_fractions=[0.5])
    with pytest.raises(ValueError, match="stands twice"):
        study(target_examples=[4, 4])


def test_a_study_with_numbers_reads_as_it_was_written() -> None:
    one = study(targets=[{"task": "cldr_dates", "examples": [8, "all"]}], target_examples=[4])
    assert Study.model_validate(one.model_dump(mode="json")) == one
    assert "target_examples" not in study().model_dump()
    more = merged(study(target_examples=[4]), study(target_examples=[8]))
    assert more.target_examples == (8, 4)
    assert Study.model_validate(more.model_dump(mode="json")) == more
    assert merged(study(target_fractions=[0.5]), study(target_examples=[8])).target_fractions.values == (1.0,)


def test_training_languages_have_a_field() -> None:
    assert Target.model_validate({"task": "xnli", "train": ["en", "sw"]}) == Target(task="xnli@en+sw")
    assert Target.model_validate({"task": "xnli", "train": "sw"}).task == "xnli@sw"
    for wrong, message in (
        ({"task": "xnli", "train": []}, "expected languages"),
        ({"task": "xnli", "train": ["sw", "sw"]}, "given twice"),
        ({"task": "xnli@de", "train": ["sw"]}, "names its training languages already"),
    ):
        with pytest.raises(ValueError, match=message):
            Target.model_validate(wrong)


def test_languages_without_training_data_are_refused_by_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    for task, message in (
        ("cldr_cities@xx", "xx"),
        ("squad@de", r"squad has no training data in de on the hub; put it into a folder as squad/de/train.parquet"),
        ("tydiqa@de", "tydiqa has no training data in 'de'; known: ar, bn, en, fi"),
        ("tatoeba@de", "nothing is trained on tatoeba; leave its training languages out"),
        ("tydiqa@sw+sw", "a language is given twice"),
    ):
        with pytest.raises(UserError, match=message):
            plan(study(targets=[task]))
    assert plan(study(intermediates=["none", "mnli@sw"])).stages, "whose folder may come later"
    assert plan(study(targets=["squad@en"])).stages, "its own language is there"
    assert plan(study(targets=[{"task": "tydiqa", "train": ["sw", "en"]}])).of_kind("target")
