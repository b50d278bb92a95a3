"""Plans of checkpoints from elsewhere, sequences and merges: what is shared, what is refused, what costs nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from raystilts import plan
from raystilts.errors import UserError
from raystilts.planning.cost import disk_bytes
from raystilts.planning.encoders import EMBEDDED
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, overlaps

from .examples import study


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A checkpoint of the embedded encoder with other weights."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(EMBEDDED["raystilts-mini"], folder)
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in weights.items()}, folder / "model.safetensors")
    return folder


def planned(*arms: Any, **changes: Any) -> Plan:
    return plan(study(intermediates=list(arms), **changes))


def of(found: Plan, label: str) -> list[Stage]:
    return [stage for stage in found.of_kind("intermediate") if stage.intermediate.label == label]


def test_a_checkpoint_from_elsewhere_is_one_stage_for_all_seeds_and_fractions(elsewhere: Path) -> None:
    arm = {"checkpoint": str(elsewhere), "name": "theirs"}
    found = planned("none", arm, intermediate_fractions=[0.25, 1.0])
    [stage] = of(found, "theirs")
    assert (stage.seed, stage.intermediate_fraction, stage.steps, stage.tokens) == (None, None, 0, 0)
    targets = [one for one in found.of_kind("target") if one.intermediate.label == "theirs"]
    assert [(one.seed, one.parent) for one in targets] == [(0, stage.key), (1, stage.key)]
    [retrieval] = [one for one in found.of_kind("retrieval") if one.intermediate.label == "theirs"]
    assert (retrieval.seed, retrieval.parent) == (None, stage.key)
    assert {cell.seed for cell in found.cells if cell.target == "cldr_match"} == {None}


def test_its_key_is_its_bytes_and_not_its_place_or_name(elsewhere: Path, tmp_path: Path) -> None:
    def key(**arm: Any) -> str:
        [stage] = planned("none", arm).of_kind("intermediate")
        return stage.train_key

    first = key(checkpoint=str(elsewhere), name="a", trained_on=["cldr_units"])
    shutil.copytree(elsewhere, tmp_path / "copy")
    assert key(checkpoint=str(tmp_path / "copy"), name="b") == first
    weights = load_file(elsewhere / "model.safetensors")
    save_file({name: tensor * 2 for name, tensor in weights.items()}, elsewhere / "model.safetensors")
    assert key(checkpoint=str(elsewhere), name="a") != first


def test_it_overlaps_by_what_it_says_that_it_was_trained_on(elsewhere: Path) -> None:
    arm = {"checkpoint": str(elsewhere), "name": "theirs", "trained_on": ["cldr_dates"]}
    found = planned("none", arm, {"merge": ["theirs", "none"], "name": "m"}, {"sequence": ["theirs", "cldr_units"]})
    assert overlaps(found) == (
        ("theirs", "cldr_dates"), ("m", "cldr_dates"), ("theirs_then_cldr_units", "cldr_dates"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config, folder: config.update(num_hidden_layers=3), "num_hidden_layers is 3, not 2"),
        (lambda config, folder: config.update(hidden_act="relu"), "hidden_act is 'relu', not 'gelu'"),
        (lambda config, folder: config.update(model_type="bert"), "model_type is 'bert', not 'electra'"),
        (lambda config, folder: _swap_words(folder / "tokenizer.json"), "another tokenizer"),
        (lambda config, folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer"),
        (lambda config, folder: (folder / "model.safetensors").unlink(), "no *.safetensors"),
    ],
)
def test_another_architecture_or_tokenizer_is_refused_by_name(elsewhere: Path, change: Any, words: str) -> None:
    config = json.loads((elsewhere / "config.json").read_text())
    change(config, elsewhere)
    (elsewhere / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError) as caught:
        planned("none", {"checkpoint": str(elsewhere)})
    assert words in str(caught.value)
    assert str(caught.value).startswith("intermediates.1.checkpoint: ")


def _swap_words(path: Path) -> None:
    """The ids of two words of a vocabulary change places."""
    data = json.loads(path.read_text(encoding="utf-8"))
    words = data["model"]["vocab"]
    if isinstance(words, dict):
        one, other = list(words)[-2:]
        words[one], words[other] = words[other], words[one]
    else:
        words[-1], words[-2] = words[-2], words[-1]
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ({"checkpoint": "/no/such/folder"}, "intermediates.1.checkpoint: /no/such/folder: no such folder"),
        ({"checkpoint": "raystilts-mini", "trained_on": ["cldr_unit"]}, "intermediates.1.trained_on: task 'cldr_unit'"),
        ({"checkpoint": "cldr_units"}, "'cldr_units' is the name of a task"),
        ({"sequence": ["cldr_names", "cldr_unit"]}, "intermediates.1.sequence: task 'cldr_unit' is unknown"),
        ({"sequence": ["cldr_names", "cldr_match"]}, "'cldr_match' has no training data"),
        ({"merge": ["none", "other"], "method": "layer_swap", "bottom": 1, "top": 2},
         "intermediates.1.merge: 3 layers are swapped or averaged, and the electra has 2"),
    ],
)
def test_what_arms_name_must_be_there(arm: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=r"intermediates\.1") as caught:
        planned("none", arm, {"task": "cldr_same", "name": "other"})
    assert words in str(caught.value)


def test_composed_arms_have_no_hyperparameters_of_their_own() -> None:
    with pytest.raises(UserError, match="has no training of its own; set them for its members"):
        planned("cldr_names", {"merge": ["cldr_names"]},
                hyperparameters={"tasks": {"mean_of_cldr_names": {"learning_rate": 1e-3}}})  # fmt: skip


def test_sequences_share_their_prefixes_with_each_other_and_with_arms() -> None:
    a, b, c, d = "cldr_names", "cldr_units", "cldr_span", "cldr_same"
    found = planned("none", {"sequence": [a, b, c]}, {"sequence": [a, b, d]}, a, seeds=[0])
    stages = {stage.intermediate.label: stage for stage in found.of_kind("intermediate")}
    assert set(stages) == {a, f"{a}_then_{b}", f"{a}_then_{b}_then_{c}", f"{a}_then_{b}_then_{d}"}
    first, second = stages[a], stages[f"{a}_then_{b}"]
    assert second.parent == first.key
    assert {stages[f"{a}_then_{b}_then_{one}"].parent for one in (c, d)} == {second.key}
    order = list(found.stages)
    for key, stage in found.stages.items():
        assert all(order.index(source) < order.index(key) for source in stage.sources)
    assert first.key == of(planned(a, seeds=[0]), a)[0].key
    # What trains last gives the updates, and what it is scored on.
    alone = of(planned(c, seeds=[0]), c)[0]
    last = stages[f"{a}_then_{b}_then_{c}"]
    assert (last.steps, last.eval_key, last.hyperparameters) == (alone.steps, alone.eval_key, alone.hyperparameters)


def test_a_prefix_is_known_by_its_trainings_whatever_an_arm_is_called() -> None:
    a, b, c = "cldr_names", "cldr_units", "cldr_span"
    whole, label = {"sequence": [a, b, c]}, f"{a}_then_{b}_then_{c}"
    alone = of(planned("none", whole, seeds=[0]), label)[0].key
    named = planned("none", {"task": a, "name": f"{a}_then_{b}"}, whole, seeds=[0])
    assert of(named, label)[0].key == alone
    fractions: dict[str, Any] = {"intermediate_fractions": [0.25], "seeds": [0]}
    others = planned("none", {"sequence": [a, b]}, whole | {"fractions": "all"}, **fractions)
    assert of(others, label)[0].key == of(planned("none", whole | {"fractions": "all"}, **fractions), label)[0].key
    # One of another name is the arm itself, listed before or behind.
    found = planned("none", whole, {"sequence": [a, b], "name": "both"}, seeds=[0], intermediate_steps=[0.5])
    [both] = of(found, "both")
    assert both.follows == of(found, "both_at_0.5")[0].key
    assert of(found, label)[0].parent == both.key


def test_a_sequence_may_start_on_the_way_of_a_training_at_a_fraction_of_its_own() -> None:
    start = "cldr_names_at_0.5"
    arms = ["cldr_names", {"sequence": [start, "cldr_units"], "name": "chain"}]
    changes: dict[str, Any] = {"seeds": [0], "intermediate_steps": [0.25, 0.5]}
    found = planned(*arms, intermediate_fractions=[0.25], **changes)
    [chain] = of(found, "chain")
    first = found.stages[str(chain.parent)]
    full = of(planned(*arms, **changes), start)
    assert (first.intermediate.label, first.intermediate_fraction) == (start, 1.0)
    assert first.train_key == full[0].train_key
    assert [one.intermediate_fraction for one in of(found, "cldr_names_at_0.25")] == [0.25], "no one asks for more"


def test_a_checkpoint_that_is_merged_is_named_by_its_own_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^intermediates\.2\.checkpoint: "):
        planned("none", {"merge": ["theirs", "none"]}, {"checkpoint": str(tmp_path / "gone"), "name": "theirs"})


def test_what_is_wrong_with_a_checkpoint_is_not_mended_by_setting_the_encoder() -> None:
    with pytest.raises(UserError) as caught:
        planned("none", {"checkpoint": "raystilts-mini", "revision": "v1", "name": "theirs"})
    assert str(caught.value).startswith("intermediates.1.revision: 'v1': ")
    assert str(caught.value).endswith("has no revisions; leave it out")


def test_fractions_shrink_the_last_member_or_all() -> None:
    arms = {"sequence": ["cldr_names", "cldr_units"]}
    found = planned("none", arms, intermediate_fractions=[0.25, 1.0], seeds=[0])
    assert [stage.intermediate_fraction for stage in of(found, "cldr_names")] == [1.0]
    shrunk = planned("none", arms | {"fractions": "all"}, intermediate_fractions=[0.25, 1.0], seeds=[0])
    assert [stage.intermediate_fraction for stage in of(shrunk, "cldr_names")] == [0.25, 1.0]
    label = "cldr_names_then_cldr_units"
    assert of(found, label)[1].key == of(shrunk, label)[1].key
    assert of(found, label)[0].key != of(shrunk, label)[0].key


def test_a_merge_costs_nothing_and_merges_the_members_seeds() -> None:
    members = ("cldr_names", "cldr_units")
    found = planned("none", {"merge": members, "name": "m"}, *members, intermediate_fractions=[0.25, 1.0])
    merges = of(found, "m")
    assert [(one.seed, one.intermediate_fraction, one.steps, one.tokens) for one in merges] == [
        (0, 0.25, 0, 0), (1, 0.25, 0, 0), (0, 1.0, 0, 0), (1, 1.0, 0, 0),
    ]  # fmt: skip
    for one in merges:
        own = [found.stages[key] for key in one.sources]
        assert [(s.intermediate.label, s.seed, s.intermediate_fraction) for s in own] == [
            (label, one.seed, one.intermediate_fraction) for label in members
        ]
    plain = planned("none", *members, intermediate_fractions=[0.25, 1.0])
    assert sum(stage.steps for stage in found.of_kind("intermediate")) == sum(
        stage.steps for stage in plain.of_kind("intermediate")
    )
    parameters = found.encoder.parameters or 0
    assert (disk_bytes(found) or 0) - (disk_bytes(plain) or 0) == 4 * parameters * len(merges)


def test_a_merge_is_named_by_its_members_weights_and_method() -> None:
    members = ["cldr_names", "cldr_units"]

    def key(*arms: Any, **merge: Any) -> str:
        return of(planned(*arms, {"merge": members, "name": "m", **merge}, seeds=[0]), "m")[0].train_key

    plain = key("none", *members)
    assert key(*reversed(members)) == plain
    assert len({plain, key(*members, method="ties"), key(*members, method="ties", density=0.5)}) == 3
    assert key(*members, method="ties", density=0.2) == key(*members, method="ties")


def test_a_merge_of_what_has_no_seed_has_none() -> None:
    found = planned("none", {"checkpoint": str(EMBEDDED["raystilts-mini"]), "name": "theirs"},
                    {"merge": ["theirs", "none"], "name": "m"})  # fmt: skip
    [merge] = of(found, "m")
    assert (merge.seed, merge.intermediate_fraction) == (None, None)
    assert len(merge.merged) == 2
    assert len(merge.sources) == 1


def test_steps_share_one_training_and_leave_its_key_as_it_is() -> None:
    plain = planned("none", "cldr_names", seeds=[0])
    found = planned("none", "cldr_names", seeds=[0], intermediate_steps=[0.25, 0.5, 1.0])
    [whole], [alone] = of(found, "cldr_names"), of(plain, "cldr_names")
    first, second = of(found, "cldr_names_at_0.25")[0], of(found, "cldr_names_at_0.5")[0]
    assert (whole.key, whole.steps, whole.parent) == (alone.key, alone.steps, None)
    assert [one.steps for one in (first, second)] == [round(alone.steps * share) for share in (0.25, 0.5)]
    assert [one.follows for one in (first, second, whole)] == [None, first.key, second.key]
    assert {one.whole_key for one in (first, second, whole)} == {alone.train_key}
    parts = (first, second, whole)
    assert sum(one.steps - one.begins for one in parts) == alone.steps
    assert abs(sum(one.tokens for one in parts) - alone.tokens) <= 3
    assert len({one.train_key for one in parts}) == 3


def test_a_step_alone_trains_no_further() -> None:
    found = planned("none", {"task": "cldr_names", "step": 0.5}, seeds=[0])
    [stage] = found.of_kind("intermediate")
    assert stage.intermediate.label == "cldr_names_at_0.5"
    both = planned("none", "cldr_names", {"task": "cldr_names", "step": 0.5}, seeds=[0])
    assert of(both, "cldr_names_at_0.5")[0].key == stage.key


def test_steps_that_are_the_same_update_are_refused() -> None:
    few = {"max_train_samples": 4, "num_train_epochs": 1, "per_device_train_batch_size": 4}
    with pytest.raises(UserError, match="a training of 1 updates has no update of its own at"):
        planned("none", "cldr_names", seeds=[0], intermediate_steps=[0.5], hyperparameters=few)
