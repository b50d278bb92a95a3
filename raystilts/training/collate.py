"""From flat features to padded tensors: which features go through the model at once, padding, and masking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raystilts.tasks.encoding import Features, Longs, Ragged

#: Label of a token that there is nothing to predict of; what torch's cross-entropy ignores.
IGNORED = -100


def length_batches(lengths: Longs, tokens: int, unit: int = 1) -> list[Longs]:
    """Features, longest first, in batches of at most `tokens` padded tokens.

    Longest first: a batch that is too large for the device fails at once.

    Args:
        lengths: Tokens of each feature, [features].
        tokens: Padded tokens a batch; a longer feature is a batch of its own.
        unit: So many consecutive features stay together, as the choices of a question do; divides `features`.

    Returns:
        Indices of the features of each batch.
    """
    batches: list[Longs] = []
    longest = lengths.reshape(-1, unit).max(axis=1)
    order = np.argsort(-longest, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // int(max(longest[order[start]], 1) * unit))
        groups = order[start : start + size]
        batches.append((groups[:, None] * unit + np.arange(unit)).reshape(-1))
        start += size
    return batches


def micro_batches(features: Features, examples: Longs, size: int, tokens: int | None) -> list[Longs]:
    """A batch's examples, shortest first, in pieces.

    Args:
        examples: Of the batch, in any order; of each there is at least one feature.
        size: Examples a piece, at most.
        tokens: Sub-words a piece, padding and all features counted, at most; an example that has more is a piece of
            its own. None for no limit.
    """
    number = np.searchsorted(features.example, examples, side="right") - np.searchsorted(features.example, examples)
    lengths = features.input_ids.lengths[features_of(features, examples)]
    longest = np.maximum.reduceat(lengths, np.cumsum(number) - number)
    order = np.argsort(longest, kind="stable")
    pieces: list[list[int]] = [[]]
    held = 0
    for at in order.tolist():
        held += int(number[at])
        full = len(pieces[-1]) == size or (tokens is not None and held * int(longest[at]) > tokens)
        if full and pieces[-1]:
            pieces.append([])
            held = int(number[at])
        pieces[-1].append(at)
    return [examples[piece] for piece in pieces]


@dataclass(slots=True)
class Batch:
    """Padded sequences on a device.

    Attributes:
        input_ids: [features, longest].
        attention_mask: [features, longest], 1 for tokens.
        token_type_ids: [features, longest], or None.
        labels: Sequence and choice heads [examples]; span head [features, 2]; token and masked-LM heads [features,
            longest] with -100 where there is nothing to predict; None without labels.
        padded: Whether there may be padding, which the host knows and a device would have to be asked.
        lengths: Tokens of each feature, on the host, [features]; None where nobody has counted them.
        masked: Masked LM: places of the tokens to predict in the flat batch, [masked]; else None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None
    labels: Tensor | None
    padded: bool = True
    lengths: Longs | None = None
    masked: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device. To a GPU it goes from pinned memory, so that nobody waits for the copy."""
        tensors = [self.input_ids, self.attention_mask, self.token_type_ids, self.labels, self.masked]
        if device.type == "cuda":
            tensors = [t if t is None or t.is_cuda else t.pin_memory() for t in tensors]
        moved = [None if t is None else t.to(device, non_blocking=True) for t in tensors]
        ids, mask = cast(Tensor, moved[0]), cast(Tensor, moved[1])
        return Batch(ids, mask, moved[2], moved[3], self.padded, self.lengths, moved[4])


def features_of(features: Features, examples: Longs) -> Longs:
    """All features of the given examples, example by example."""
    first = np.searchsorted(features.example, examples, side="left")
    last = np.searchsorted(features.example, examples, side="right")
    counts = last - first
    starts = np.repeat(first - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    return starts + np.arange(counts.sum())


def pad(values: NDArray[np.generic], offsets: Longs, rows: Longs, fill: int, multiple: int = 1) -> NDArray[np.int64]:
    """Rows of a flat array side by side, shape [rows, longest], filled at the end."""
    lengths = offsets[rows + 1] - offsets[rows]
    width = int(-(-max(int(lengths.max()), 1) // multiple) * multiple)
    out = np.full((len(rows), width), fill, dtype=np.int64)
    mask = np.arange(width) < lengths[:, None]
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out[mask] = values[np.repeat(offsets[rows], lengths) + within]
    return out


def collate(features: Features, rows: Longs, pad_id: int, *, multiple: int = 1) -> Batch:
    """Pads features (not examples) to the longest among them.

    Args:
        rows: Which features.
        pad_id: The tokenizer's padding id.
        multiple: Widths are rounded up to a multiple of this.
    """
    ids = features.input_ids
    input_ids = pad(ids.values, ids.offsets, rows, pad_id, multiple)
    lengths = ids.offsets[rows + 1] - ids.offsets[rows]
    mask = (np.arange(input_ids.shape[1]) < lengths[:, None]).astype(np.int64)
    types = None
    if features.token_type_ids is not None:
        types = pad(features.token_type_ids.values, ids.offsets, rows, 0, multiple)
    return Batch(
        torch.from_numpy(input_ids),
        torch.from_numpy(mask),
        None if types is None else torch.from_numpy(types),
        _labels(features, rows, multiple),
        padded=bool(lengths.min() < input_ids.shape[1]),
        lengths=lengths,
    )


def _labels(features: Features, rows: Longs, multiple: int) -> Tensor | None:
    if features.token_labels is not None:
        labels = features.token_labels
        return torch.from_numpy(pad(labels.values, labels.offsets, rows, IGNORED, multiple))
    if features.labels is None:
        return None
    if features.labels.ndim == 2:
        return torch.from_numpy(features.labels[rows])
    examples = features.example[rows]  # in the order of the batch, which need not ascend
    first = np.concatenate(([True], examples[1:] != examples[:-1]))
    return torch.from_numpy(features.labels[examples[first]])


def joined(parts: Sequence[Features]) -> Features:
    """The sequences of several sets, one set after the other, without labels; an example is a sequence."""
    if len(parts) == 1 and parts[0].num_examples == len(parts[0].input_ids):
        return replace(parts[0], labels=None, token_labels=None, char_spans=None)
    number = sum(len(part.input_ids) for part in parts)
    types = [part.token_type_ids for part in parts if part.token_type_ids is not None]
    return Features(
        input_ids=_stacked([part.input_ids for part in parts]),
        example=np.arange(number, dtype=np.int64),
        num_examples=number,
        token_type_ids=_stacked(types) if len(types) == len(parts) else None,
    )


def _stacked(parts: Sequence[Ragged]) -> Ragged:
    lengths = np.concatenate([part.lengths for part in parts])
    return Ragged(np.concatenate([part.values for part in parts]), np.concatenate([[0], np.cumsum(lengths)]))


def mask_tokens(batch: Batch, vocabulary: int, mask_id: int, special: Tensor, generator: torch.Generator) -> Batch:
    """Masked-LM inputs and labels (Devlin et al. 2019): 15 % of the tokens, of which 80 % masked, 10 % random.

    Args:
        special: Ids that are never masked, shape [ids].
        generator: Draws on the CPU, so that every device masks the same tokens.
    """
    candidates = batch.attention_mask.bool() & ~torch.isin(batch.input_ids, special)
    draw = torch.rand(batch.input_ids.shape, generator=generator)
    chosen = candidates & (draw < 0.15)
    kind = torch.rand(batch.input_ids.shape, generator=generator)
    noise = torch.randint(0, vocabulary, batch.input_ids.shape, generator=generator)
    inputs = torch.where(chosen & (kind < 0.8), torch.full_like(batch.input_ids, mask_id), batch.input_ids)
    inputs = torch.where(chosen & (kind >= 0.9), noise, inputs)
    labels = torch.where(chosen, batch.input_ids, torch.full_like(batch.input_ids, IGNORED))
    return replace(batch, input_ids=inputs, labels=labels, masked=chosen.flatten().nonzero().flatten())
