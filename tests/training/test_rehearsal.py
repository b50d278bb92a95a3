"""On a CPU, by the shapes of what goes through the encoder; no test has measured the memory of a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raystilts.planning.stages import plan
from raystilts.training import loop
from raystilts.training.batches import example_lengths
from raystilts.training.collate import features_of
from raystilts.training.data import training_sets, warm_reader
from raystilts.training.encoder import Pretrained
from raystilts.training.rehearsal import rehearse
from raystilts.training.stage import EVAL_TOKENS

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
