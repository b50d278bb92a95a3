"""Memory: by the shapes of what goes through the encoder on a CPU. Sameness: by faults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from raystilts.errors import UserError
from raystilts.planning import architectures
from raystilts.planning.stage import stage_kinds
from raystilts.planning.stages import plan
from raystilts.training import loop
from raystilts.training.batches import example_lengths
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.collate import features_of
from raystilts.training.data import training_sets, warm_reader
from raystilts.training.encoder import Pretrained, hidden_states
from raystilts.training.model import CompactEmbedding, Model
from raystilts.training.rehearsal import compare_stage, rehearse, without_dropout
from raystilts.training.stage import EVAL_TOKENS

from .architectures import checkpoint
from .examples import study

ARMS: dict[str, Any] = {
    "cldr_names": "cldr_names",
    "cldr_choice": "cldr_choice",
    "cldr_span": "cldr_span",
    "cldr_dates": "cldr_dates",
    "masked_lm": {"task": "cldr_names", "masked_lm": {"text_of": "cldr_units"}},
    "aligned": {"task": "cldr_names", "align": {"to": "cldr_units", "loss": "mmd"}},
}


@dataclass
class Shapes:
    """Sequences and length of each forward pass."""

    trained: list[tuple[int, int]] = field(default_factory=list)
    scored: list[tuple[int, int]] = field(default_factory=list)


@pytest.fixture
def shapes(tiny: Pretrained) -> Iterator[Shapes]:
    found = Shapes()

    def seen(module: torch.nn.Module, _: Any, given: dict[str, Any]) -> None:
        (found.trained if module.training else found.scored).append(tuple(given["input_ids"].shape))

    hook = tiny.model.register_forward_pre_hook(seen, with_kwargs=True)
    yield found
    hook.remove()


def full(scored: list[tuple[int, int]]) -> bool:
    """Whether the largest batch of an evaluation is as large as evaluation makes them."""
    largest = max(sequences * length for sequences, length in scored)
    return 0.8 * EVAL_TOKENS["cpu"] < largest <= EVAL_TOKENS["cpu"]


@pytest.mark.parametrize("arm", ARMS)
def test_the_largest_update_of_each_part_and_full_batches_of_evaluation(
    tiny: Pretrained, tiny_encoder: Path, shapes: Shapes, arm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CPU_MICRO_TOKENS", None)  # as on a GPU: an update is one micro-batch
    one = study(tiny_encoder, intermediates=[ARMS[arm]])
    planned = plan(one)
    [stage] = planned.of_kind("intermediate")
    rehearse(stage, one, device="cpu", encoder=planned.encoder)
    parts = training_sets(stage, one, warm_reader(tiny, None))
    assert len(parts) == (2 if arm == "masked_lm" else 1)
    for part in parts:
        lengths = example_lengths(part.features)[part.chosen]
        eighth = int(np.sort(lengths)[-8])
        longest = part.chosen[lengths > eighth]  # and some of those that are as long as the eighth
        rows = features_of(part.features, longest)
        widest = int(part.features.input_ids.lengths[rows].max()) if len(rows) else eighth
        assert any(
            sequences >= max(8, len(rows)) and length >= widest and sequences * length >= 8 * eighth
            for sequences, length in shapes.trained
        )
    # An update of each part is one micro-batch of eight; an aligned one takes the states of both domains twice.
    assert len(shapes.trained) == (4 if arm == "aligned" else len(parts))
    assert full(shapes.scored)


@pytest.mark.parametrize("kind", ["target", "retrieval"])
def test_targets_start_from_the_encoder_whatever_their_parent(
    tiny: Pretrained, tiny_encoder: Path, shapes: Shapes, tmp_path: Path, kind: Any
) -> None:
    one = study(tiny_encoder, storage_path=str(tmp_path))
    planned = plan(one)
    [_, child] = planned.of_kind(kind)
    assert child.parent is not None
    rehearse(child, one, device="cpu", encoder=planned.encoder)
    assert bool(shapes.trained) is (kind == "target")
    assert full(shapes.scored)
    assert list(tmp_path.iterdir()) == [], "nothing is kept"


@pytest.mark.parametrize("arm", ARMS)
def test_a_sound_encoder_passes(tiny_encoder: Path, arm: str) -> None:
    planned = plan(study(tiny_encoder, intermediates=[ARMS[arm]]))
    stages = stage_kinds(planned.stages.values())
    assert [stage.kind for stage in stages] == ["intermediate", "target", "retrieval"]
    for stage in stages:
        notes = compare_stage(stage, planned.study, device="cpu", encoder=planned.encoder)
        assert bool(notes) is (arm == "masked_lm" and stage.kind == "intermediate"), notes


def break_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that train are read without what the table's own module does with them."""
    monkeypatch.setattr(CompactEmbedding, "forward", lambda self, ids: (
        self.rows[self._index[ids]] if self.training else self._full[0](ids)
    ))  # fmt: skip


def break_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding is attended to."""
    monkeypatch.setattr(Model, "states", lambda self, batch, layer=None: hidden_states(
        self.encoder, batch.input_ids, None, batch.token_type_ids, layer
    ))  # fmt: skip


def break_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is saved are other weights."""
    save = Checkpoints.save

    def other(self: Checkpoints, key: str, model: Model, loaded: Pretrained, facts: dict[str, Any]) -> Path:
        path = save(self, key, model, loaded, facts)
        tensors = load_file(path / "model.safetensors")
        save_file({name: one * 1.5 for name, one in tensors.items()}, path / "model.safetensors", {"format": "pt"})
        return path

    monkeypatch.setattr(Checkpoints, "save", other)


def break_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """The states are not the encoder's last ones."""
    monkeypatch.setattr(Model, "states", lambda self, batch, layer=None: hidden_states(
        self.encoder, batch.input_ids, batch.attention_mask, batch.token_type_ids, 0
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "architecture", "message"),
    [
        (break_scale, "Gemma 3", "training without dropout and evaluation: states of .* differ by"),
        (break_padding, "BERT", "a sequence padded and the same alone: states of .* differ by"),
        (break_saving, "BERT", "what was saved is not what was trained"),
        (break_states, "BERT", "here and in plain transformers: states of .* differ by"),
    ],
)
def test_what_is_not_the_same_is_said(
    fault: Any, architecture: str, message: str, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(architecture, tiny_tokenizer, tmp_path / "encoder")
    planned = plan(study(folder, intermediates=["none"]))
    [stage] = planned.of_kind("target")
    compare_stage(stage, planned.study, device="cpu", encoder=planned.encoder)
    fault(monkeypatch)
    with pytest.raises(UserError, match=rf"rehearsal of cldr_units \(target\): {message}"):
        compare_stage(stage, planned.study, device="cpu", encoder=planned.encoder)


def test_a_decoder_that_is_not_known_as_one(
    tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "_DECODERS", frozenset())
    folder = checkpoint("Llama", tiny_tokenizer, tmp_path)
    planned = plan(study(folder, intermediates=["none"]))
    with pytest.raises(UserError, match=r"the first token of .* sees no other; set encoder\.pooling to last or mean"):
        compare_stage(planned.of_kind("target")[0], planned.study, device="cpu", encoder=planned.encoder)


def test_a_tokenizer_that_does_not_know_what_it_reads(tiny_encoder: Path, tmp_path: Path) -> None:
    """It knows no letters, only a few marks."""
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, folder)
    content = json.loads((folder / "tokenizer.json").read_text())
    known = ("the", "a", "▁")
    content["model"]["vocab"] = content["model"]["vocab"][:5] + [[one, -1.0] for one in known]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    planned = plan(study(folder, intermediates=["none"]))
    with pytest.raises(UserError, match=r"\d+% of its tokens are unknown to the tokenizer of"):
        compare_stage(planned.of_kind("target")[0], planned.study, device="cpu", encoder=planned.encoder)


def test_dropout_is_as_it_was_afterwards(tiny: Pretrained) -> None:
    model = Model(tiny.model, [])
    before = [part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)]
    assert any(before)
    with without_dropout(model):
        assert not any(part.p for part in model.modules() if isinstance(part, torch.nn.Dropout))
        assert tiny.config.hidden_dropout_prob == 0.0
    assert [part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)] == before
    assert tiny.config.hidden_dropout_prob == 0.1
