"""Kept adapters in peft's format and merged: opened as anybody opens them, they say what the kept weights say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import AutoConfig, AutoModel

from raystilts.errors import UserError
from raystilts.planning.encoders import describe_encoder
from raystilts.study.encoder import Encoder
from raystilts.study.schema import Study
from raystilts.training.adapters import Change, LowRank, Replaced, apply_change
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.encoder import pretrained
from raystilts.training.export import export_classifier
from raystilts.training.export_adapter import export_adapter, whole_checkpoint
from raystilts.training.model import ChoiceHead, Head, Model, SequenceHead, SpanHead, TokenHead

from .examples import study
from .test_export import CONFIGS, HEADS, batch

peft = pytest.importorskip("peft")
NAMES = ("query", "value")


def added(names: tuple[str, ...], r: int, alpha: float, seed: int) -> LowRank:
    """Additions of the size of trained ones to both layers."""
    torch.manual_seed(seed)
    layers = {
        f"encoder.layer.{layer}.attention.self.{name}": (torch.randn(r, 16), torch.randn(16, r))
        for layer in (0, 1)
        for name in names
    }
    return LowRank(layers, r, alpha)


CHAINS: dict[str, tuple[LowRank, ...]] = {
    "one": (added(NAMES, 2, 4.0, 0),),
    "on top of an intermediate's": (added(NAMES, 2, 4.0, 0), added(NAMES, 3, 2.0, 1)),
    "in other layers": (added(("query",), 2, 4.0, 0), added(("key", "query"), 3, 2.0, 1)),
}


def kept(
    folder: Path, name: str, tokenizer: Any, kind: str, changes: tuple[Change, ...] | None
) -> tuple[Path, Study, Model]:
    """A training of an architecture whose adapters are kept, or all of it."""
    torch.manual_seed(1)
    config = CONFIGS[name].__class__.from_dict(CONFIGS[name].to_dict() | {"vocab_size": len(tokenizer)})
    AutoModel.from_config(config).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    loaded = pretrained(describe_encoder(Encoder(model_name_or_path=str(folder / "encoder"))))
    heads: dict[str, Head] = {
        "sequence": SequenceHead(16, 3, 0.1, "first"), "choice": ChoiceHead(16, 4, 0.1, "first"),
        "token": TokenHead(16, 3, 0.1), "span": SpanHead(16),
    }  # fmt: skip
    loaded.restore(None, torch.device("cpu"))
    for change in changes or ():
        apply_change(loaded.model, change)
    model = Model(loaded.model, [heads[kind]]).eval()
    model.changes = changes
    checkpoint = Checkpoints(folder / "checkpoints").save("key", model, loaded, {})
    return checkpoint, study(folder / "encoder"), model


def theirs(folder: Path, kind: str, given: Any) -> Tensor:
    """What peft and transformers say, with nothing of ours."""
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    plain = getattr(transformers, HEADS[kind][1]).from_pretrained(base, config=AutoConfig.from_pretrained(folder))
    model = peft.PeftModel.from_pretrained(plain, folder).eval()
    inputs = {"input_ids": given.input_ids, "attention_mask": given.attention_mask}
    if kind == "choice":
        inputs = {name: tensor.view(2, 4, -1) for name, tensor in inputs.items()}
    found = model(**inputs)
    logits: Tensor = torch.stack([found.start_logits, found.end_logits], -1) if kind == "span" else found.logits
    return logits


@torch.no_grad()
@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize(("name", "kind"), [("bert", "sequence"), ("xlm-roberta", "sequence"), ("xlm-roberta", "token"),
                                            ("bert", "span"), ("bert", "choice")])  # fmt: skip
def test_an_adapter_for_peft(tmp_path: Path, tiny_tokenizer: Any, name: str, kind: str, chain: str) -> None:
    checkpoint, one, model = kept(tmp_path, name, tiny_tokenizer, kind, CHAINS[chain])
    given = batch(len(tiny_tokenizer))
    ours = model.head(0)(model.states(given), given)
    export_adapter(checkpoint, HEADS[kind][0], one, tmp_path / "out", {"README.md": "the card"})
    there = given.attention_mask.bool() if kind in ("token", "span") else slice(None)
    torch.testing.assert_close(theirs(tmp_path / "out", kind, given)[there], ours[there], rtol=1e-4, atol=1e-4)
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["README.md", "adapter_config.json", "adapter_model.safetensors", "config.json"]
    weights = (tmp_path / "encoder" / "model.safetensors").stat().st_size
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_size < weights / 2


@torch.no_grad()
def test_an_adapter_of_an_encoder_without_a_head(tmp_path: Path, tiny_tokenizer: Any) -> None:
    checkpoint, one, model = kept(tmp_path, "bert", tiny_tokenizer, "token", CHAINS["one"])
    export_adapter(checkpoint, None, one, tmp_path / "out", {})
    given = batch(len(tiny_tokenizer))
    base = AutoModel.from_pretrained(tmp_path / "encoder")
    states = peft.PeftModel.from_pretrained(base, tmp_path / "out").eval()(
        input_ids=given.input_ids, attention_mask=given.attention_mask
    )
    there = given.attention_mask.bool()
    torch.testing.assert_close(states.last_hidden_state[there], model.states(given)[there], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_merged_export(tmp_path: Path, tiny_tokenizer: Any) -> None:
    chain = CHAINS["on top of an intermediate's"]
    checkpoint, one, model = kept(tmp_path, "xlm-roberta", tiny_tokenizer, "sequence", chain)
    given = batch(len(tiny_tokenizer))
    ours = model.head(0)(model.states(given), given)
    with whole_checkpoint(checkpoint, one) as whole:
        assert whole != checkpoint
        export_classifier(whole, HEADS["sequence"][0], one, tmp_path / "out", {})
    assert not whole.exists()
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    found = opened(input_ids=given.input_ids, attention_mask=given.attention_mask).logits
    torch.testing.assert_close(found, ours, rtol=1e-5, atol=1e-5)


def test_what_is_no_adapter_is_refused(tmp_path: Path, tiny_tokenizer: Any) -> None:
    whole, one, _ = kept(tmp_path / "whole", "bert", tiny_tokenizer, "token", None)
    with whole_checkpoint(whole, one) as same:
        assert same == whole
    with pytest.raises(UserError, match="this model was trained whole, or its intermediate was; export it without"):
        export_adapter(whole, HEADS["token"][0], one, tmp_path / "out", {})
    biases = Replaced({"encoder.layer.0.attention.self.query.bias": torch.ones(16)})
    checkpoint, one, _ = kept(tmp_path / "biases", "bert", tiny_tokenizer, "token", (biases,))
    with pytest.raises(UserError, match="train the weights themselves, for which peft has no format"):
        export_adapter(checkpoint, HEADS["token"][0], one, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()
