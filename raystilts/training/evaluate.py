"""Scores of many languages in one pass, sorted by length."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from raystilts.tasks.encoding import Features, Longs, Outputs, Ragged, SpanLogits
from raystilts.tasks.task import Task
from raystilts.training.collate import Batch, collate, joined, length_batches
from raystilts.training.fast_ops import in_bfloat16
from raystilts.training.limits import UNLIMITED, Limits
from raystilts.training.memory import is_out_of_memory, release_memory
from raystilts.training.model import Model, Pooling, pool_tokens

#: Batches whose scores may be on their way from the device.
ON_THEIR_WAY = 2


@dataclass(frozen=True, slots=True)
class EvalSet:
    """The rows of one split in one language, and their features."""

    split: str
    language: str
    rows: pa.Table
    features: Features


@dataclass(frozen=True, slots=True)
class Readout:
    """How outputs are read from the model.

    Attributes:
        head_index: The task's head; ignored for retrieval.
        layer: Retrieval: hidden state to pool.
        pad_id: The tokenizer's padding id.
        tokens: Padded tokens a batch.
        bf16: Whether the encoder computes in bfloat16; pooling and heads, which take hardly any time, never do.
        limits: When to give up.
        pooling: Retrieval: what a sequence is, the mean over its tokens or the first of them.
    """

    head_index: int
    layer: int | None
    pad_id: int
    tokens: int
    bf16: bool
    limits: Limits = UNLIMITED
    pooling: Pooling = "mean"


@dataclass(frozen=True, slots=True)
class SetScores:
    """What a set scores.

    Attributes:
        scores: Metric name to a value from 0 to 1.
        items: The main score of each item; empty where it was not asked for, or items have none.
    """

    scores: dict[str, float]
    items: list[float]


def evaluate(model: Model, task: Task, sets: list[EvalSet], readout: Readout) -> list[dict[str, float]]:
    """Scores each set: metric name to a value from 0 to 1; see `evaluate_items`."""
    return [one.scores for one in evaluate_items(model, task, sets, readout)]


def evaluate_items(
    model: Model, task: Task, sets: list[EvalSet], readout: Readout, with_items: Collection[str] = ()
) -> list[SetScores]:
    """Scores each set, and its items.

    All sets go through the model together, in batches of similar length. What a type chooses on dev data (a threshold)
    is chosen on the dev set of the same language, if it is among the sets. A pool of candidates has no score.

    Args:
        with_items: Splits whose items are scored one by one too.
    """
    outputs = predict(model, task, [s.features for s in sets], readout)
    predictions = task.type.predict_together(outputs, [s.features for s in sets], [s.rows for s in sets])
    pairs = list(zip(sets, predictions, strict=True))
    kinds = {s.language: task.type.calibrated(found, s.rows) for s, found in pairs if s.split == "dev"}
    scores = [kinds.get(s.language, task.type).score(found, s.rows, s.language) for s, found in pairs]
    beside = [task.type.beside(output, s.features, s.rows) for output, s in zip(outputs, sets, strict=True)]
    items = [
        kinds.get(s.language, task.type).item_scores(found, s.rows, s.language, task.main_score)
        if s.split in with_items
        else []
        for s, found in pairs
    ]
    return [
        SetScores({**own, **others}, each) for own, others, each in zip(scores, beside, items, strict=True)
    ]


@torch.no_grad()
def predict(model: Model, task: Task, features: list[Features], readout: Readout) -> list[Outputs]:
    """What the model says about several sets of features; where memory runs out, in batches of half the size."""
    model.eval()
    unit, everything = _unit(task), joined(features)
    lengths = everything.input_ids.lengths
    found = _OutputBuffer(task, lengths)
    todo = length_batches(lengths, readout.tokens, unit)[::-1]
    budget = readout.tokens
    with in_bfloat16(model.encoder) if readout.bf16 else nullcontext():
        while todo:
            readout.limits.check()
            rows = todo.pop()
            padded = len(rows) * int(lengths[rows].max())
            if padded > budget and len(rows) > unit:
                todo += reversed(_halves(rows, unit))
                continue
            scores = _attempt(model, task, collate(everything, rows, readout.pad_id), readout, len(rows))
            if scores is None:
                release_memory()
                budget = padded // 2
                todo.append(rows)
                continue
            found.add(rows, scores)
    return found.by_set(features)


def _attempt(model: Model, task: Task, batch: Batch, readout: Readout, features: int) -> Tensor | None:
    """The scores of a batch, on their way to the host; None where memory ran out and a smaller batch may fit."""
    device = next(model.parameters()).device
    try:
        return _read(model, task, batch.to(device), readout).to("cpu", non_blocking=True)
    except (RuntimeError, MemoryError) as error:
        if features > _unit(task) and is_out_of_memory(error):
            return None  # and with it the error, whose traceback holds on to the tensors
        raise


def _halves(rows: Longs, unit: int) -> list[Longs]:
    """A batch in two, without parting features that belong together."""
    middle = -(-len(rows) // unit // 2) * unit
    return [rows[:middle], rows[middle:]]


def _unit(task: Task) -> int:
    """Features that must stay together in a batch."""
    return task.type.num_labels if task.type.head == "choice" else 1


def _read(model: Model, task: Task, batch: Batch, readout: Readout) -> Tensor:
    """Scores, or vectors, in float32; of tags the best."""
    if task.type.head == "embedding":
        return pool_tokens(model.states(batch, readout.layer).float(), batch.attention_mask, readout.pooling)
    scores: Tensor = model.head(readout.head_index)(model.states(batch).float(), batch)
    return scores.argmax(-1) if task.type.head == "token" else scores


class _OutputBuffer:
    """Scores by feature (multiple choice: by example), as they arrive from the device.

    Batches are taken over some time after they were launched, so that the device has its next work already.
    """

    def __init__(self, task: Task, lengths: Longs) -> None:
        self._head, self._unit, self._lengths = task.type.head, _unit(task), lengths
        self._rows: list[np.ndarray | None] = [None] * (len(lengths) // self._unit)
        self._arriving: deque[tuple[Longs, Tensor, torch.cuda.Event | None]] = deque()

    def add(self, rows: Longs, scores: Tensor) -> None:
        """Scores of a batch that may still be on their way."""
        event = None
        if scores.is_pinned():
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        self._arriving.append((rows, scores, event))
        if len(self._arriving) > ON_THEIR_WAY:
            self._file(*self._arriving.popleft())

    def by_set(self, features: list[Features]) -> list[Outputs]:
        """What was found about each set."""
        while self._arriving:
            self._file(*self._arriving.popleft())
        ends = np.cumsum([len(one.input_ids) // self._unit for one in features]).tolist()
        starts = [0, *ends[:-1]]
        return [self._assemble(one, a, b) for one, a, b in zip(features, starts, ends, strict=True)]

    def _file(self, rows: Longs, scores: Tensor, event: torch.cuda.Event | None) -> None:
        if event is not None:
            event.synchronize()
        padded = self._head in ("token", "span")
        for row, value in zip(rows[:: self._unit].tolist(), scores.numpy(), strict=True):
            self._rows[row // self._unit] = value[: self._lengths[row]] if padded else value

    def _assemble(self, features: Features, start: int, end: int) -> Outputs:
        rows = [one for one in self._rows[start:end] if one is not None]
        assert len(rows) == end - start
        if self._head == "token":
            return Ragged(np.concatenate(rows), features.input_ids.offsets)
        if self._head == "span":
            both = np.concatenate(rows)
            offsets = features.input_ids.offsets
            return SpanLogits(Ragged(both[:, 0].copy(), offsets), Ragged(both[:, 1].copy(), offsets))
        return np.stack(rows).astype(np.float32)
