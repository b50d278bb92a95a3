"""Scores of many languages in one pass, sorted by length."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from raystilts.tasks.features import Features, Longs, Outputs, Ragged, SpanLogits
from raystilts.tasks.task import Task
from raystilts.training.collate import Batch, collate
from raystilts.training.heads import Pooling, pool_tokens
from raystilts.training.memory import is_out_of_memory, release_memory
from raystilts.training.model import Model


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
        part: Index of the head; ignored for retrieval.
        layer: Retrieval: hidden state to pool.
        pad_id: The tokenizer's padding id.
        tokens: Padded tokens a batch.
        bf16: Whether to compute in bfloat16.
        deadline: Monotonic time after which `TimeoutError` is raised, or None.
        pooling: Retrieval: what a sequence is, the mean over its tokens or the first of them.
    """

    part: int
    layer: int | None
    pad_id: int
    tokens: int
    bf16: bool
    deadline: float | None = None
    pooling: Pooling = "mean"


def evaluate(model: Model, task: Task, sets: list[EvalSet], readout: Readout) -> list[dict[str, float]]:
    """Scores each set: metric name to a value from 0 to 1.

    All sets go through the model together, in batches of similar length. What a type chooses on dev data (a threshold)
    is chosen on the dev set of the same language, if it is among the sets. A pool of candidates has no score.
    """
    outputs = predict(model, task, [s.features for s in sets], readout)
    predictions = task.type.predict_together(outputs, [s.features for s in sets], [s.rows for s in sets])
    pairs = list(zip(sets, predictions, strict=True))
    kinds = {s.language: task.type.calibrated(found, s.rows) for s, found in pairs if s.split == "dev"}
    return [kinds.get(s.language, task.type).score(found, s.rows, s.language) for s, found in pairs]


@torch.inference_mode()
def predict(model: Model, task: Task, features: list[Features], readout: Readout) -> list[Outputs]:
    """What the model says about several sets of features; where memory runs out, in batches of half the size."""
    model.eval()
    found: list[dict[int, np.ndarray]] = [{} for _ in features]
    todo = _batches(features, readout.tokens, _unit(task))[::-1]
    budget = readout.tokens
    while todo:
        if readout.deadline is not None and time.monotonic() > readout.deadline:
            raise TimeoutError
        index, rows = todo.pop()
        padded = len(rows) * int(features[index].input_ids.lengths[rows].max())
        if padded > budget and len(rows) > _unit(task):
            todo += [(index, half) for half in reversed(_halves(rows, _unit(task)))]
            continue
        scores = _attempt(model, task, collate(features[index], rows, readout.pad_id), readout, len(rows))
        if scores is None:
            release_memory()
            budget = padded // 2
            todo.append((index, rows))
            continue
        _keep(found[index], task, scores, features[index], rows)
    return [_assemble(task, one, f) for one, f in zip(found, features, strict=True)]


def _attempt(model: Model, task: Task, batch: Batch, readout: Readout, features: int) -> Tensor | None:
    """The scores of a batch; None where memory ran out and a smaller batch may fit."""
    batch.labels = None
    device = next(model.parameters()).device
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=readout.bf16):
            return _read(model, task, batch.to(device), readout).cpu()
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


def _batches(features: list[Features], tokens: int, unit: int) -> list[tuple[int, Longs]]:
    """Features of all sets, longest first, in batches of at most `tokens` padded tokens, a set a batch.

    Longest first: a batch that is too large for the device fails at once.
    """
    batches: list[tuple[int, Longs]] = []
    for index, one in enumerate(features):
        lengths = one.input_ids.lengths.reshape(-1, unit).max(axis=1)
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            size = max(1, tokens // int(max(lengths[order[start]], 1) * unit))
            groups = order[start : start + size]
            batches.append((index, (groups[:, None] * unit + np.arange(unit)).reshape(-1)))
            start += size
    return batches


def _read(model: Model, task: Task, batch: Batch, readout: Readout) -> Tensor:
    if task.type.head == "embedding":
        return pool_tokens(model.states(batch, readout.layer), batch.attention_mask, readout.pooling).float()
    scores: Tensor = model.head(readout.part)(model.states(batch), batch)
    return scores.argmax(-1) if task.type.head == "token" else scores.float()


def _keep(found: dict[int, np.ndarray], task: Task, scores: Tensor, features: Features, rows: Longs) -> None:
    """Files scores under feature (or example), without padding."""
    values = scores.numpy()
    if task.type.head == "choice":
        found.update(zip((features.example[rows[:: _unit(task)]]).tolist(), values, strict=True))
        return
    if task.type.head in ("token", "span"):
        lengths = features.input_ids.lengths[rows]
        found.update((int(r), v[:n]) for r, v, n in zip(rows, values, lengths, strict=True))
        return
    found.update(zip(rows.tolist(), values, strict=True))


def _assemble(task: Task, found: dict[int, np.ndarray], features: Features) -> Outputs:
    rows = [found[i] for i in range(len(found))]
    if task.type.head == "token":
        return Ragged(np.concatenate(rows), features.input_ids.offsets)
    if task.type.head == "span":
        both = np.concatenate(rows)
        offsets = features.input_ids.offsets
        return SpanLogits(Ragged(both[:, 0].copy(), offsets), Ragged(both[:, 1].copy(), offsets))
    return np.stack(rows).astype(np.float32)
