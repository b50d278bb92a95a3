"""Batches without padding give what padded ones give: states, gradients, losses, scores."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel

from raystilts.errors import UserError
from raystilts.planning.stage import stage_kinds
from raystilts.planning.stages import plan
from raystilts.tasks.encoding import Features, Longs, Ragged
from raystilts.training import fast_ops
from raystilts.training.collate import collate
from raystilts.training.encoder import Pretrained, hidden_states
from raystilts.training.fast_ops import (
    can_leave_padding_out,
    use_bidirectional_attention,
    use_fast_dropout,
    use_sync_free_attention,
)
from raystilts.training.loop import train
from raystilts.training.model import Model
from raystilts.training.packing import Packing, first_position, nested_attention, packed_states
from raystilts.training.rehearsal import compare_stage, without_dropout
from raystilts.training.result import StageResult
from raystilts.training.stage import run_stage

from .architectures import configurations
from .examples import job, study, weights

LENGTHS: Longs = np.array([7, 3, 12, 1, 12])
WIDTH = 12
#: Architectures whose attention is told where a sequence ends.
TAKES = {
    "BERT", "BERT, old names (LayerNorm.gamma)", "RoBERTa", "XLM-R", "XLM-R, 66 positions", "ModernBERT", "EuroBERT",
    "DistilBERT", "ELECTRA", "ALBERT", "Nomic", "ESM", "Gemma 3, both directions",
}  # fmt: skip


def packing() -> Packing:
    return Packing.of(LENGTHS, WIDTH, torch.device("cpu"))


def batch() -> tuple[Tensor, Tensor]:
    """Ids and mask, [5, 12]."""
    mask = torch.arange(WIDTH) < torch.from_numpy(LENGTHS)[:, None]
    ids = torch.randint(10, 600, mask.shape, generator=torch.Generator().manual_seed(0))
    return ids.masked_fill(~mask, 1), mask.long()


def test_where_tokens_are() -> None:
    found = Packing.of(np.array([2, 3]), 4, torch.device("cpu"))
    assert found.places.tolist() == [0, 1, 4, 5, 6]
    assert found.positions.tolist() == [0, 1, 0, 1, 2]
    assert found.offsets.tolist() == [0, 2, 5]
    padded = torch.tensor([[5, 6, 1, 1], [7, 8, 9, 1]])
    assert found.pack(padded).tolist() == [5, 6, 7, 8, 9]
    assert found.unpack(found.pack(padded)).tolist() == [[5, 6, 0, 0], [7, 8, 9, 0]]


def test_what_a_query_sees() -> None:
    found = Packing.of(np.array([2, 4]), 4, torch.device("cpu"))
    assert found.seen(None)[:, 0].int().tolist() == [[[1, 1, 0, 0]], [[1, 1, 1, 1]]]
    assert found.seen(2)[1, 0].int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert bool(found.seen(2).any(-1).all()), "a softmax over nothing is no number"


def quick(name: str) -> Any:
    """An encoder as a stage has it, its weights far from zero so that attention tells tokens apart."""
    config = configurations()[name]()
    for field in ("initializer_range", "init_std"):
        if hasattr(config, field):
            setattr(config, field, 0.2)
    torch.manual_seed(0)
    model: Any = AutoModel.from_config(config)
    model = model.get_encoder() if getattr(config, "is_encoder_decoder", False) else model
    use_sync_free_attention(model)
    use_fast_dropout(model)
    return model


def test_what_counts_a_sequence_needs_its_padding() -> None:
    """ESM scales embeddings by the share of masked tokens in the sequence."""
    model = quick("ESM")
    assert can_leave_padding_out(model)
    model.config.token_dropout = True
    assert not can_leave_padding_out(model)


def test_a_decoder_made_bidirectional_takes_them() -> None:
    model = quick("Llama").eval()
    assert not can_leave_padding_out(model)
    assert use_bidirectional_attention(model)
    assert can_leave_padding_out(model)
    ids, mask = batch()
    with torch.no_grad():
        expected = hidden_states(model, ids, mask, None, None)[mask.bool()]
        found = packed_states(model, ids, None, LENGTHS, None, first_position(model))[mask.bool()]
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_encoders_on_nested_tensors(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """As on a GPU, and in its precision."""
    monkeypatch.setattr(fast_ops, "_reads_nested", lambda query: True)
    model = quick("XLM-R").eval()
    ids, mask = batch()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        expected = hidden_states(model, ids, mask, None, None)[mask.bool()]
        found = packed_states(model, ids, None, LENGTHS, None, first_position(model))[mask.bool()]
    assert torch.allclose(found, expected, atol=1e-5 if dtype is torch.float32 else 0.1)


@pytest.mark.parametrize("name", sorted(configurations()))
def test_encoders_that_take_them_give_the_same_states(name: str) -> None:
    model = quick(name).eval()
    assert can_leave_padding_out(model) is (name in TAKES)
    if name not in TAKES:
        with pytest.raises(UserError, match=f"padding_free: a {model.config.model_type} needs its padding"):
            Model(model, [], padding_free=True)
        return
    ids, mask = batch()
    types = torch.ones_like(ids) if getattr(model.config, "type_vocab_size", 0) > 1 else None
    for layer in (None, 1):
        with torch.no_grad():
            expected = hidden_states(model, ids, mask, types, layer)
            found = packed_states(model, ids, types, LENGTHS, layer, first_position(model))
        assert float(expected[mask.bool()].std()) > 0.1
        assert torch.allclose(found[mask.bool()], expected[mask.bool()], atol=1e-5)
        assert not found[~mask.bool()].any()


@pytest.mark.parametrize("name", ["XLM-R", "ModernBERT"])
def test_gradients_are_the_same(name: str) -> None:
    model = quick(name).train()
    ids, mask = batch()
    aim = torch.randn(16, generator=torch.Generator().manual_seed(1))
    found = []
    with without_dropout(model):
        for packed in (False, True):
            model.zero_grad()
            if packed:
                states = packed_states(model, ids, None, LENGTHS, None, first_position(model))
            else:
                states = hidden_states(model, ids, mask, None, None)
            loss = (states @ aim)[mask.bool()].square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    largest = max(float(one.abs().max()) for one in found[0].values())
    assert largest > 0.1
    assert all(torch.allclose(found[1][n], one, atol=1e-5 * largest) for n, one in found[0].items())


def test_nested_tensors_attend_within_sequences_too() -> None:
    """What a GPU computes with; torch has it on a CPU as well."""
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(1, 2, int(LENGTHS.sum()), 8, generator=generator) for _ in range(3)]
    found: list[list[Tensor | None]] = []
    for attend in (nested_attention, _padded_attention):
        q, k, v = (one.clone().requires_grad_() for one in parts)
        states = attend(packing(), q, k, v, 0.0, 0.5)
        assert states.shape == (1, LENGTHS.sum(), 2, 8)
        states.square().sum().backward()  # type: ignore[no-untyped-call]
        found.append([states.detach(), q.grad, k.grad, v.grad])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        assert torch.allclose(one, other, atol=1e-5)


def _padded_attention(
    packing: Packing, query: Tensor, key: Tensor, value: Tensor, dropout: float, scaling: float | None
) -> Tensor:
    plain = nn.Module()
    return fast_ops._attend(plain, query, key, value, None, dropout=dropout, scaling=scaling, packing=packing)[0]


def test_a_pass_asks_the_device_nothing() -> None:
    """On a device without data, where any question fails."""
    model = copy.deepcopy(quick("XLM-R")).to("meta").train()
    ids, _ = batch()
    assert packed_states(model, ids.to("meta"), None, LENGTHS, None, first_position(model)).shape == (*ids.shape, 16)


def test_dropout_is_drawn_where_there_are_tokens() -> None:
    model = quick("BERT").train()
    ids, mask = batch()
    torch.manual_seed(0)
    one, other = (packed_states(model, ids, None, LENGTHS, None, first_position(model)) for _ in range(2))
    assert not torch.equal(one[mask.bool()], other[mask.bool()])
    torch.manual_seed(0)
    assert torch.equal(packed_states(model, ids, None, LENGTHS, None, first_position(model)), one)


@pytest.mark.parametrize(
    ("task", "bf16"),
    [("cldr_names", False), ("cldr_names", True), ("cldr_choice", False), ("cldr_span", False), ("cldr_dates", False)],
)
def test_a_training_is_the_same_up_to_rounding(tiny: Pretrained, task: str, bf16: bool) -> None:
    found = []
    for padding_free in (False, True):
        tiny.restore(None, torch.device("cpu"))
        one = job(tiny, task, 3, adam_epsilon=1e-3, padding_free=padding_free, bf16=bf16)
        one.model = Model(tiny.model, list(one.model.heads), padding_free=padding_free)
        with without_dropout(one.model):
            found.append((train(one).losses, weights(one.model)))
    loose = 100 if bf16 else 1
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5 * loose)
    assert all(torch.allclose(found[1][1][n], one, atol=1e-4 * loose) for n, one in found[0][1].items())


def test_a_stage_scores_the_same(tiny_encoder: Path, tmp_path: Path) -> None:
    """The retrieval target is read from padded states and packed ones alike; a key of its own for what is trained."""
    scores: list[dict[Any, float]] = []
    keys = []
    for padding_free in (False, True):
        planned = plan(study(tiny_encoder, hyperparameters={"padding_free": padding_free}))
        [stage] = [one for one in planned.of_kind("retrieval") if one.parent is None]
        result: StageResult = run_stage(stage, planned.study, tmp_path / str(padding_free))
        scores.append({(s.split, s.language, s.metric): s.value for s in result.scores})
        keys.append({one.train_key for one in planned.of_kind("target")})
    assert scores[0] == scores[1]
    assert not keys[0] & keys[1]


def test_a_rehearsal_finds_sequences_that_see_one_another(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(study(tiny_encoder, hyperparameters={"padding_free": True}))
    stage = planned.of_kind("target")[0]
    compare_stage(stage, planned.study, device="cpu", encoder=planned.encoder)

    def blind(packing: Packing, window: int | None) -> Tensor:
        return torch.ones(packing.features, 1, 1, packing.width, dtype=torch.bool)

    monkeypatch.setattr(Packing, "seen", blind)
    with pytest.raises(UserError, match="padded and the same alone"):
        compare_stage(stage, planned.study, device="cpu", encoder=planned.encoder)


def test_it_is_rehearsed_beside_the_same_kind_with_padding(tiny_encoder: Path) -> None:
    targets = [{"task": name, "languages": ["de"]} for name in ("cldr_units", "cldr_names")]
    tasks = {"cldr_names": {"padding_free": True}}
    planned = plan(study(tiny_encoder, intermediates=["none"], targets=targets, hyperparameters={"tasks": tasks}))
    assert [one.target for one in stage_kinds(planned.of_kind("target"))] == ["cldr_units", "cldr_names"]


def test_a_batch_says_how_long_its_sequences_are() -> None:
    features = Features(Ragged.from_rows([[5, 6], [7, 8, 9]], np.int32), np.arange(2), 2)
    found = collate(features, np.array([1, 0]), 1)
    assert found.lengths is not None
    assert found.lengths.tolist() == [3, 2]
    assert dataclasses.replace(found, labels=None).lengths is found.lengths
