"""Tunings in a plan: what they train, how they are named, and which are refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from raystilts.errors import UserError
from raystilts.planning.adapters import EncoderParts, layer_of, parts_of, trained_count, trained_parameters
from raystilts.planning.cost import disk_bytes, kept_bytes
from raystilts.planning.stages import Plan, plan
from raystilts.study.adapters import Tuning
from raystilts.study.schema import Study

from .examples import study


def e5_small() -> EncoderParts:
    """multilingual-e5-small without its weights."""
    from transformers import BertConfig, BertModel

    with torch.device("meta"):
        config = BertConfig(vocab_size=250037, hidden_size=384, num_attention_heads=12, intermediate_size=1536)
        return parts_of(BertModel(config, add_pooling_layer=False))


def tuned(**given: Any) -> Tuning:
    return Tuning.model_validate(given)


def test_what_is_trained_of_e5_small() -> None:
    parts = e5_small()
    assert sum(count for _, count in parts.parameters) == trained_count(Tuning(), parts) == 117_505_920
    lora = trained_count(tuned(method="lora"), parts)
    assert lora == 12 * 2 * 8 * (384 + 384) == 147_456, "of query and value"
    assert lora * 200 < 117_505_920
    everything = tuned(method="lora", target_modules="all-linear")
    assert trained_count(everything, parts) == 12 * 8 * (4 * (384 + 384) + 2 * (384 + 1536))
    assert trained_count(tuned(method="lora", freeze=6), parts) == lora // 2
    biases = 12 * (4 * 384 + 384 + 1536 + 384 + 384)
    assert trained_count(tuned(method="bitfit"), parts) == biases + 384, "and that of the embeddings' norm"
    assert trained_count(tuned(method="bitfit", freeze=0), parts) == biases
    layer = 4 * (384 * 384 + 384) + 2 * 384 * 1536 + 1536 + 384 + 4 * 384
    assert trained_count(tuned(freeze=0), parts) == 12 * layer
    assert trained_count(tuned(freeze=9), parts) == 3 * layer
    assert trained_count(tuned(method="head_only"), parts) == 0


def test_layers_by_the_names_of_their_weights() -> None:
    names = ["embeddings.word_embeddings.weight", "encoder.layer.11.output.dense.bias", "h.0.attn", "block.3.layer.0.q"]
    assert [layer_of(name) for name in names] == [None, 11, 0, 3]


def test_what_follows_the_layers_is_trained_with_them() -> None:
    from transformers import LlamaConfig, LlamaModel

    with torch.device("meta"):
        parts = parts_of(LlamaModel(LlamaConfig(num_hidden_layers=2, vocab_size=100)))
    found = trained_parameters(tuned(freeze=1), parts)
    assert {layer_of(name) for name in found} == {1, None}
    assert found[-1] == "norm.weight"
    assert "embed_tokens.weight" not in found


LORA = {"task": "cldr_names", "tuning": "lora"}


def train_keys(**changes: Any) -> dict[str, set[str]]:
    """Of each kind of stage."""
    planned = plan(study(**changes))
    return {
        kind: {s.train_key for s in planned.stages.values() if s.kind == kind} for kind in ("intermediate", "target")
    }


def test_a_tuning_is_part_of_a_key_where_it_is_set() -> None:
    plain = train_keys(intermediates=["none", "cldr_names"])
    assert train_keys(intermediates=["none", "cldr_names"], tuning="full") == plain
    named = {"task": "cldr_names", "tuning": "full", "name": "other"}
    assert train_keys(intermediates=["none", named]) == plain
    arm = train_keys(intermediates=["none", LORA])
    assert arm["intermediate"].isdisjoint(plain["intermediate"])
    assert len(arm["target"] & plain["target"]) == 2, "the targets of none are what they were"
    everywhere = train_keys(intermediates=["none", "cldr_names"], tuning="lora")
    assert everywhere["intermediate"] == arm["intermediate"], "whoever says so"
    assert everywhere["target"].isdisjoint(arm["target"])
    own = {"targets": [{"task": "cldr_dates", "languages": ["en", "de"], "tuning": "lora"}]}
    assert train_keys(intermediates=["none", LORA], **own)["target"] == everywhere["target"]


def test_what_changes_a_tuning_changes_keys_and_nothing_else_does() -> None:
    lora = {"method": "lora"}
    others: list[dict[str, Any]] = [
        lora, lora | {"r": 4}, lora | {"alpha": 8}, lora | {"dropout": 0.1}, lora | {"freeze": 0}, lora | {"freeze": 1},
        lora | {"target_modules": ["query"]}, lora | {"target_modules": "all-linear"}, {"method": "bitfit"},
        {"method": "bitfit", "freeze": 1}, {"freeze": 1}, {},
    ]  # fmt: skip
    found = [train_keys(intermediates=["cldr_names"], tuning=one)["intermediate"] for one in others]
    assert len(set().union(*found)) == 2 * len(others)
    same: list[dict[str, Any]] = [
        lora | {"r": 8, "alpha": 16}, lora | {"target_modules": ["query", "value"]},
        lora | {"target_modules": ["value", "query", "value"]},
    ]  # fmt: skip
    assert all(train_keys(intermediates=["cldr_names"], tuning=one)["intermediate"] == found[0] for one in same)


def test_names_of_arms() -> None:
    def label(**arm: Any) -> str:
        return study(intermediates=[arm]).intermediates[0].label

    assert label(task="cldr_names", tuning="lora") == "cldr_names+lora"
    assert label(task="cldr_names", tuning={"method": "lora", "r": 4, "freeze": 2}) == "cldr_names+lora-r4-freeze-2"
    assert label(task="cldr_names", tuning={"freeze": 2}) == "cldr_names+freeze-2"
    assert label(task="anli_plus", tuning="bitfit") == "anli_plus+bitfit"
    assert label(tasks=["cldr_names", "cldr_units"], tuning="full") == "cldr_names+cldr_units+full"


def test_hyperparameters_of_the_same_arm_hold_unless_it_has_its_own() -> None:
    given = {"cldr_names": {"learning_rate": 1e-3, "num_train_epochs": 2}, "cldr_names+lora": {"learning_rate": 5e-3}}
    planned = plan(study(intermediates=["cldr_names", LORA], hyperparameters={"tasks": given}))
    found = {s.intermediate.label: s.hyperparameters for s in planned.of_kind("intermediate")}
    assert [one.learning_rate for one in found.values()] == [1e-3, 5e-3]
    assert [one.num_train_epochs for one in found.values()] == [2, 2]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no layer": (
        {"tuning": {"method": "lora", "target_modules": ["query", "querry"]}},
        r"^tuning.target_modules: querry matches no linear layer of the electra; did you mean 'query'\?$",
    ),
    "no linear layer": (
        {"tuning": {"method": "lora", "target_modules": ["word_embeddings"]}},
        "^tuning.target_modules: word_embeddings matches no linear layer",
    ),
    "an arm's": (
        {"intermediates": [{"task": "cldr_names", "tuning": {"method": "lora", "target_modules": ["x"]}}]},
        "^intermediates.0.tuning.target_modules: x matches no",
    ),
    "of what a sequence starts with alone": (
        {
            "tuning": {"method": "lora", "target_modules": ["querry"]},
            "intermediates": [
                {"task": "cldr_units", "tuning": "full"},
                {"sequence": ["cldr_names", "cldr_units+full"]},
            ],
            "targets": [{"task": "cldr_dates", "tuning": "full"}],
        },
        "^tuning.target_modules: querry matches no linear layer",
    ),
    "all layers": (
        {"tuning": {"freeze": 2}},
        "^tuning.freeze: 2: the electra has 2 layers; give fewer, or method: head_only$",
    ),
    "retrieval": (
        {"targets": [{"task": "cldr_match", "tuning": "lora"}]},
        "^targets.0.tuning: cldr_match is scored without training; leave tuning out$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_plan_refuses(name: str) -> None:
    changes, message = REFUSED[name]
    with pytest.raises(UserError, match=message):
        plan(study(**changes))


def test_a_plan_refuses_lora_without_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else find(name))
    plan(study(tuning="bitfit"))
    with pytest.raises(UserError, match=r"^tuning.method: lora needs peft; run: pip install 'raystilts\[adapters\]'$"):
        plan(study(tuning="lora"))


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"tuning": "adapter"}, "no such method: 'adapter'; known: bitfit, full, head_only, lora"),
    "rank": ({"tuning": {"method": "bitfit", "r": 4}}, "r is a setting of lora, not of bitfit; leave it out"),
    "frozen": ({"tuning": {"method": "head_only", "freeze": 1}}, "head_only freezes the whole encoder"),
    "none": ({"intermediates": [{"tasks": [], "tuning": "lora"}]}, "the arm none trains nothing"),
    "useless arm": ({"intermediates": [{"task": "cldr_names", "tuning": "head_only"}]}, "which is the arm none"),
    "useless arms": ({"tuning": "head_only"}, "so that intermediate cldr_names would change nothing"),
}


@pytest.mark.parametrize("name", INVALID)
def test_a_study_refuses(name: str) -> None:
    changes, message = INVALID[name]
    with pytest.raises(ValidationError, match=message):
        study(**changes)


def shaped(config: Any, tokenizer: Any, folder: Path) -> Path:
    from transformers import AutoModel

    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_architectures_without_biases_or_with_shared_layers(tiny_tokenizer: Any, tmp_path: Path) -> None:
    from transformers import AlbertConfig, LlamaConfig

    sizes = {"vocab_size": 640, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 32, "pad_token_id": 1}  # fmt: skip
    llama = shaped(LlamaConfig(**sizes, bos_token_id=0, eos_token_id=2), tiny_tokenizer, tmp_path / "llama")
    with pytest.raises(UserError, match=r"^tuning.method: bitfit: the layers of a llama have no biases; take lora$"):
        plan(study(encoder={"model_name_or_path": str(llama)}, tuning="bitfit"))
    albert = shaped(AlbertConfig(**sizes, embedding_size=8), tiny_tokenizer, tmp_path / "albert")
    with pytest.raises(UserError, match=r"^tuning.freeze: 1: the layers of a albert share their weights"):
        plan(study(encoder={"model_name_or_path": str(albert)}, tuning={"freeze": 1}))
    plan(study(encoder={"model_name_or_path": str(albert)}, tuning={"freeze": 0}))


def test_an_encoder_that_is_not_here_is_planned_with_any_tuning() -> None:
    absent = {"encoder": {"model_name_or_path": "raystilts-tests/nothing"}}
    plain, found = plan(study(**absent)), plan(study(**absent, tuning="lora"))
    assert not found.verified
    keys = [{s.train_key for s in one.stages.values() if s.kind != "retrieval"} for one in (plain, found)]
    assert len(keys[0]) == len(keys[1])
    assert keys[0].isdisjoint(keys[1])


def small(**changes: Any) -> Plan:
    return plan(
        Study.model_validate(
            {"name": "s", "intermediates": ["none", LORA], "targets": ["cldr_units"], "seeds": [0]} | changes
        )
    )


def test_the_room_of_adapters() -> None:
    lora = small(tuning="lora", keep_targets="all")
    whole = 4 * (lora.encoder.parameters or 0)
    [parent] = lora.of_kind("intermediate")
    one = kept_bytes(lora, parent)
    assert 0 < one < whole / 50, "the embedded encoder is small"
    assert [kept_bytes(lora, s) for s in lora.of_kind("target")] == [one, 2 * one]
    assert disk_bytes(lora) == 4 * one
    mixed = small(keep_targets="all")
    assert [kept_bytes(mixed, s) for s in mixed.of_kind("target")] == [whole, whole], "a full target is kept whole"
    assert disk_bytes(mixed) == one + 2 * whole
