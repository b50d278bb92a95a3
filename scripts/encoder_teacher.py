"""What the student learns from: the teacher's states for every span, computed once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from encoder_corpus import Span
from numpy.lib.format import open_memmap
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Integers = npt.NDArray[np.int64]

LONGEST_TEACHER = 64
LONGEST_STUDENT = 72
# Word states are taken here too: the last layer of a sentence encoder leans to the sentence,
# a layer past the middle still says what each word does.
MIDDLE_LAYER = 6
BLOCK = 8192
BATCH_TOKENS = 1536
_ENCODE = 20_000


@dataclass(frozen=True)
class Encoded:
    """Token ids and character offsets of all spans, end to end; span i is begin[i]:begin[i+1]."""

    ids: Integers
    offsets: Integers
    begin: Integers

    @classmethod
    def of(cls, tokenizer: Tokenizer, spans: Sequence[Span], longest: int) -> Encoded:
        """Encode all spans, cutting long ones before their last special token."""
        ids: list[Integers] = []
        offsets: list[Integers] = []
        for first in range(0, len(spans), _ENCODE):
            texts = [span.text for span in spans[first : first + _ENCODE]]
            for encoding in tokenizer.encode_batch(texts):
                ids.append(_cut(np.asarray(encoding.ids, np.int64), longest))
                offsets.append(_cut(np.asarray(encoding.offsets, np.int64), longest))
        begin = np.concatenate([[0], np.cumsum([len(x) for x in ids])]).astype(np.int64)
        return cls(np.concatenate(ids), np.concatenate(offsets), begin)


def _cut(values: Integers, longest: int) -> Integers:
    if len(values) <= longest:
        return values
    return np.concatenate([values[: longest - 1], values[-1:]])


@dataclass(frozen=True)
class Targets:
    """The teacher's states: of the middle and the last layer by token, and the mean by span."""

    middle: Halves
    last: Halves
    sentence: Floats


def align(student: Encoded, teacher: Encoded) -> tuple[Integers, Integers]:
    """The first and last teacher token that overlaps each student token, as rows of all tokens."""
    first, last = [], []
    for span in range(len(student.begin) - 1):
        start, end = int(teacher.begin[span]), int(teacher.begin[span + 1])
        theirs = teacher.offsets[start + 1 : end - 1]
        ours = student.offsets[student.begin[span] + 1 : student.begin[span + 1] - 1]
        top = len(theirs) - 1
        low = np.searchsorted(theirs[:, 1], ours[:, 0], "right").clip(0, top)
        high = (np.searchsorted(theirs[:, 0], ours[:, 1], "left") - 1).clip(0, top)
        first.append(np.concatenate([[start], start + 1 + low, [end - 1]]))
        last.append(np.concatenate([[start], start + 1 + np.maximum(low, high), [end - 1]]))
    return np.concatenate(first), np.concatenate(last)


def batches_of(lengths: Integers, indices: Integers, tokens: int) -> list[Integers]:
    """Indices in groups of similar length, of at most this many tokens with padding."""
    indices = indices[np.argsort(lengths[indices], kind="stable")]
    groups = []
    start = 0
    while start < len(indices):
        end = start + 1
        while end < len(indices) and (end - start + 1) * lengths[indices[end]] <= tokens:
            end += 1
        groups.append(indices[start:end])
        start = end
    return groups


def padded(encoded: Encoded, spans: Integers, pad: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask of some spans."""
    lengths = encoded.begin[spans + 1] - encoded.begin[spans]
    ids = np.full((len(spans), int(lengths.max())), pad, np.int64)
    for row, span in enumerate(spans):
        ids[row, : lengths[row]] = encoded.ids[encoded.begin[span] : encoded.begin[span + 1]]
    mask = np.arange(ids.shape[1])[None] < lengths[:, None]
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


def teacher_targets(model: PreTrainedModel, encoded: Encoded, folder: Path) -> Targets:
    """Pass every span through the teacher, or open what an earlier run left in the folder."""
    paths = [folder / f"{name}.npy" for name in ("mid", "last", "sent")]
    done = folder / "complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _compute(model, encoded, paths)
        done.touch()
    middle, last, sentence = (np.load(path, mmap_mode="r") for path in paths)
    return Targets(middle, last, sentence)


def _compute(model: PreTrainedModel, encoded: Encoded, paths: Sequence[Path]) -> None:
    width = int(model.config.hidden_size)
    tokens, spans = int(encoded.begin[-1]), len(encoded.begin) - 1
    shapes = ((tokens, width), (tokens, width), (spans, width))
    types = (np.float16, np.float16, np.float32)
    arrays = [
        open_memmap(path, "w+", dtype, shape)
        for path, dtype, shape in zip(paths, types, shapes, strict=True)
    ]
    lengths = np.diff(encoded.begin)
    for block in range(0, spans, BLOCK):
        indices = np.arange(block, min(block + BLOCK, spans))
        for batch in batches_of(lengths, indices, BATCH_TOKENS):
            _pass(model, encoded, batch, arrays)
        print(f"teacher: {int(indices[-1]) + 1} of {spans} spans", flush=True)
    for array in arrays:
        array.flush()


def _pass(
    model: PreTrainedModel, encoded: Encoded, batch: Integers, arrays: Sequence[np.memmap]
) -> None:
    """One batch through the teacher, its states written to their rows."""
    middle, last, sentence = arrays
    ids, mask = padded(encoded, batch, int(model.config.pad_token_id))
    with torch.inference_mode():
        output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    states = output.last_hidden_state.float()
    weights = mask.unsqueeze(-1).float()
    sentence[batch] = ((states * weights).sum(1) / weights.sum(1)).numpy()
    deep = output.hidden_states[MIDDLE_LAYER + 1].float().half().numpy()
    half = states.half().numpy()
    for row, span in enumerate(batch):
        start, end = encoded.begin[span], encoded.begin[span + 1]
        middle[start:end] = deep[row, : end - start]
        last[start:end] = half[row, : end - start]
