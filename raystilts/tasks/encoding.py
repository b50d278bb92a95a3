"""Texts to token ids in flat arrays, which can be cached, memory-mapped and sliced; plain numpy, without torch.

Contexts, questions and words repeat within a data set, and per-row Python is what makes tokenisation slow. So every
distinct string goes through the fast tokenizer once, without special tokens, and truncation, pairs, windows and special
tokens are array operations that follow the rules of the `tokenizers` library.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raystilts.errors import UserError

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different length in one flat array.

    Attributes:
        values: All rows one after the other, shape [total, ...].
        offsets: Row i is ``values[offsets[i]:offsets[i + 1]]``; shape [rows + 1].
    """

    values: NDArray[np.generic]
    offsets: Longs

    @classmethod
    def from_rows(cls, rows: list[NDArray[np.generic]] | list[list[int]], dtype: type) -> Ragged:
        """Joins rows (lists or arrays) of any length into one."""
        arrays: list[NDArray[np.generic]] = [np.asarray(row, dtype=dtype) for row in rows]
        offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
        np.cumsum([len(a) for a in arrays], out=offsets[1:])
        values = np.concatenate(arrays) if arrays else np.zeros(0, dtype=dtype)
        return cls(values, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.generic]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        return (self[i] for i in range(len(self)))

    @property
    def lengths(self) -> Longs:
        """The length of each row, shape [rows]."""
        return np.diff(self.offsets)

    def take(self, indices: Longs) -> Ragged:
        """The rows at `indices`, in that order, as a copy."""
        lengths = self.lengths[indices]
        offsets = np.zeros(len(indices) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Ragged(self.values[np.repeat(self.offsets[indices], lengths) + within], offsets)


@dataclass(frozen=True, slots=True)
class Features:
    """Sequences for the encoder, and what is needed to train on them and to map outputs back to rows.

    A row of the data is an *example*; a *feature* is one sequence. One example has one feature (a sentence or a
    pair), k features one after the other (multiple choice with k choices), one or more (windows over a long
    context), or two (retrieval: all queries come first, then all candidates).

    Attributes:
        input_ids: int32 token ids with special tokens, a row a feature.
        example: The example that each feature belongs to, shape [features], not decreasing.
        num_examples: Number of examples (retrieval: queries plus candidates).
        token_type_ids: int32, parallel to `input_ids`, for tokenizers that have them.
        labels: int64. Sequence and choice heads: shape [examples]. Span head: shape [features, 2], the first and
            the last token of the answer in this window, or (0, 0) where it is not inside. Regression head: float32,
            shape [examples], from 0 to 1.
        token_labels: int64, parallel to `input_ids`; -100 where there is nothing to predict.
        char_spans: int32, parallel to `input_ids` with shape [total, 2]: characters of the context that the token
            covers, (-1, -1) outside the context.
        num_queries: Retrieval: how many of the features are queries.
    """

    input_ids: Ragged
    example: Longs
    num_examples: int
    token_type_ids: Ragged | None = None
    labels: Longs | Floats | None = None
    token_labels: Ragged | None = None
    char_spans: Ragged | None = None
    num_queries: int = 0


@dataclass(frozen=True, slots=True)
class SpanLogits:
    """Span head: one start and one end score a token, rows parallel to `Features.input_ids`."""

    start: Ragged
    end: Ragged


#: What the model says about a set of features, by head: "sequence" [examples, classes] and "choice" [examples,
#: choices] logits, "regression" [examples, 1] numbers, "embedding" [features, hidden] vectors; "token" the best tag a
#: token; "span" start and end scores.
Outputs = Floats | Ragged | SpanLogits


#: A fast tokenizer of `transformers`, or a bare `tokenizers.Tokenizer`.
Tokenizer: TypeAlias = Any

#: Texts sent to the tokenizer at once: bounds the memory of its per-text objects.
_CHUNK = 4096

#: What `str.isspace` holds for; the characters that an answer must not begin or end with.
_SPACES = np.array([c for c in range(0x3001) if chr(c).isspace()], dtype=np.uint32)


def fast_backend(tokenizer: Tokenizer) -> Any:
    """The `tokenizers.Tokenizer` inside a fast tokenizer, with truncation and padding off.

    Raises:
        UserError: If the tokenizer is a slow (pure Python) one, which knows no character offsets.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "encode_batch"):
        raise UserError(
            f"tokenizer: {type(tokenizer).__name__} has no fast version; choose an encoder whose "
            "folder holds a tokenizer.json (AutoTokenizer builds it with `tokenizers` installed)"
        )
    backend.no_truncation()
    backend.no_padding()
    return backend


def uses_token_types(tokenizer: Tokenizer) -> bool:
    """Whether the encoder of this tokenizer is fed segment ids."""
    return "token_type_ids" in getattr(tokenizer, "model_input_names", ())


@dataclass(frozen=True, slots=True)
class Template:
    """The special tokens around one text, or around and between two.

    Attributes:
        parts: Ids before the first text, after it (for a pair: between the two) and, for a pair,
            after the second.
        types: Segment ids, one a special token, in the same three groups.
        text_types: The segment id of each text.
    """

    parts: tuple[Ints, ...]
    types: tuple[Ints, ...]
    text_types: tuple[int, ...]

    @property
    def specials(self) -> int:
        """How many special tokens a sequence has."""
        return sum(len(part) for part in self.parts)

    def room(self, max_length: int) -> int:
        """How many tokens of text fit into `max_length`.

        Raises:
            UserError: If not even two do.
        """
        room = max_length - self.specials
        if room < 2:
            raise UserError(
                f"max_length: {max_length} leaves no room for text beside {self.specials} special "
                f"tokens; give at least {self.specials + 2}"
            )
        return room


def template(tokenizer: Tokenizer, *, pair: bool) -> Template:
    """Reads the special tokens off the tokenizer's own post-processor, by encoding a probe."""
    backend = fast_backend(tokenizer)
    probes = [backend.encode("a", add_special_tokens=False) for _ in range(1 + pair)]
    whole = backend.post_process(*probes, add_special_tokens=True)
    mask = np.asarray(whole.special_tokens_mask, dtype=bool)
    ids, types = np.asarray(whole.ids, dtype=np.int32), np.asarray(whole.type_ids, dtype=np.int32)
    parts, part_types, text_types, at = [], [], [], 0
    for probe in probes:
        start = at
        while at < len(mask) and mask[at]:
            at += 1
        parts.append(ids[start:at])
        part_types.append(types[start:at])
        text_types.append(int(types[at]))
        at += len(probe.ids)
    return Template((*parts, ids[at:]), (*part_types, types[at:]), tuple(text_types))


@dataclass(frozen=True, slots=True)
class Texts:
    """Distinct strings and their tokens.

    Attributes:
        strings: The distinct strings.
        index: Which of them each row has, shape [rows].
        ids: Token ids of each distinct string, without special tokens.
        spans: Characters that each token covers, parallel to `ids` with shape [total, 2]; None
            unless asked for.
    """

    strings: list[str]
    index: Longs
    ids: Ragged
    spans: Ragged | None = None

    def rows(self) -> Ragged:
        """The token ids of every row."""
        return self.ids.take(self.index)


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], *, offsets: bool = False) -> Texts:
    """Tokenises every distinct text once, without special tokens and without truncation.

    Args:
        tokenizer: A fast tokenizer.
        texts: One string a row.
        offsets: Whether to keep the characters that each token covers; white space around them is
            left out.
    """
    backend = fast_backend(tokenizer)
    column = pa.array(texts, type=pa.large_string()).dictionary_encode()
    strings = cast(list[str], column.dictionary.to_pylist())
    index = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    call = backend.encode_batch if offsets else backend.encode_batch_fast
    lengths, ids, spans = [], [], []
    for start in range(0, len(strings), _CHUNK):
        chunk = call(strings[start : start + _CHUNK], add_special_tokens=False)
        sizes = [len(one) for one in chunk]
        lengths.extend(sizes)
        total = sum(sizes)
        ids.append(np.fromiter(chain.from_iterable(e.ids for e in chunk), np.int32, total))
        if offsets:
            flat = chain.from_iterable(chain.from_iterable(e.offsets for e in chunk))
            spans.append(np.fromiter(flat, np.int32, 2 * total).reshape(-1, 2))
    ends = _offsets(np.asarray(lengths, dtype=np.int64))
    tokens = Ragged(np.concatenate(ids) if ids else np.zeros(0, np.int32), ends)
    if not offsets:
        return Texts(strings, index, tokens)
    covered = np.concatenate(spans) if spans else np.zeros((0, 2), np.int32)
    return Texts(strings, index, tokens, Ragged(_trim(strings, covered, ends), ends))


def _trim(strings: list[str], spans: Ints, offsets: Longs) -> Ints:
    """Leaves white space at either end of a token out of its span, which may become empty, and takes in what hangs on.

    A normaliser that strips accents drops combining marks, and one that composes leaves parts of a syllable to no
    token: they are part of the character before them, and so of its token, up to where the next token begins.
    """
    ends = text_offsets(strings)
    base = np.repeat(ends[:-1], np.diff(offsets))
    points = code_points("".join(strings))
    spaces = np.append(np.isin(points, _SPACES), False)
    start, end = spans[:, 0] + base, spans[:, 1] + base
    hanging = np.append(_hanging(points), False)
    until = np.append(start[1:], 0)
    until[offsets[1:][np.diff(offsets) > 0] - 1] = ends[1:][np.diff(offsets) > 0]
    while (move := hanging[end] & (end < until) & (start < end)).any():
        end = end + move
    invisible = np.append(_invisible(points), False)
    seen = start.copy()
    while (move := invisible[seen] & (seen < end)).any():
        seen = seen + move
    start = np.where(seen < end, seen, start)  # a token of nothing else stays what it is
    while (move := spaces[start] & (start < end)).any():
        start = start + move
    while (move := spaces[end - 1] & (start < end)).any():
        end = end - move
    return np.stack([start - base, end - base], axis=1).astype(np.int32)


def _hanging(points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which characters go with the one before: combining marks, vowels and finals of Hangul, invisible ones.

    Invisible characters (U+200B, U+200F, U+FEFF, ...) stand at the end of published answers and never at their
    beginning.
    """
    kinds, index = np.unique(points, return_inverse=True)
    return np.array([_hangs(chr(point)) for point in kinds.tolist()], dtype=np.bool_)[index]


def _invisible(points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    kinds, index = np.unique(points, return_inverse=True)
    return np.array([unicodedata.category(chr(point)) == "Cf" for point in kinds.tolist()], dtype=np.bool_)[index]


def _hangs(character: str) -> bool:
    point = ord(character)
    jamo = 0x1160 <= point <= 0x11FF or 0xD7B0 <= point <= 0xD7FF
    return jamo or unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")


def text_offsets(strings: Sequence[str]) -> Longs:
    """Where each string starts once all are joined, in characters; shape [strings + 1]."""
    return _offsets(np.fromiter(map(len, strings), np.int64, len(strings)))


def code_points(text: str) -> NDArray[np.uint32]:
    """The characters of a string as numbers."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _offsets(lengths: Longs) -> Longs:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def slices(ragged: Ragged, starts: Longs, lengths: Longs) -> Ragged:
    """Rows cut out of the flat values: row i is ``values[starts[i]:starts[i] + lengths[i]]``."""
    offsets = _offsets(lengths)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    return Ragged(ragged.values[np.repeat(starts, lengths) + within], offsets)


def heads(ragged: Ragged, lengths: Longs) -> Ragged:
    """The first `lengths[i]` values of row i."""
    return slices(ragged, ragged.offsets[:-1], lengths)


def constant(lengths: Longs, value: int | tuple[int, int], dtype: type = np.int32) -> Ragged:
    """Rows of the given lengths that hold one value throughout."""
    offsets = _offsets(lengths)
    return Ragged(np.full((offsets[-1], *np.shape(value)), value, dtype=dtype), offsets)


def repeated(values: Ints, rows: int) -> Ragged:
    """The same values in every row."""
    return Ragged(np.tile(values, rows), np.arange(rows + 1, dtype=np.int64) * len(values))


def concat_rows(parts: Sequence[Ragged]) -> Ragged:
    """Joins row i of every part, in order, into row i of the result."""
    lengths = np.stack([part.lengths for part in parts])
    offsets = _offsets(lengths.sum(axis=0))
    first = parts[0].values
    out = np.empty((offsets[-1], *first.shape[1:]), dtype=first.dtype)
    start = offsets[:-1].copy()
    for part, length in zip(parts, lengths, strict=True):
        out[np.arange(len(part.values)) + np.repeat(start - part.offsets[:-1], length)] = part.values
        start += length
    return Ragged(out, offsets)


def longest_first(first: Longs, second: Longs, room: int) -> tuple[Longs, Longs]:
    """Lengths of two texts after truncation to `room` tokens in all.

    The rule of `tokenizers` (strategy longest_first): the shorter text stays whole while the
    longer one can give way down to its length; else both get half, the longer one the odd token.
    """
    swap = first > second
    short, long = np.minimum(first, second), np.maximum(first, second)
    long = np.minimum(long, np.where(short > room, short, np.maximum(short, room - short)))
    halve = short + long > room
    short = np.where(halve, np.minimum(short, room // 2), short)
    long = np.where(halve, np.minimum(long, room // 2 + room % 2), long)
    return np.where(swap, long, short), np.where(swap, short, long)


def surround(form: Template, texts: Sequence[Ragged], *, types: bool) -> tuple[Ragged, Ragged | None]:
    """Puts special tokens around one or two texts a row.

    Returns:
        Token ids, and segment ids if `types`.
    """
    rows = len(texts[0])
    ids, segments = [repeated(form.parts[0], rows)], [repeated(form.types[0], rows)]
    for i, text in enumerate(texts):
        ids += [text, repeated(form.parts[i + 1], rows)]
        segments += [constant(text.lengths, form.text_types[i]), repeated(form.types[i + 1], rows)]
    return concat_rows(ids), concat_rows(segments) if types else None


def encode_texts(
    tokenizer: Tokenizer,
    first: Sequence[str],
    second: Sequence[str] | None,
    *,
    max_length: int,
) -> tuple[Ragged, Ragged | None]:
    """Texts or pairs of texts to sequences of at most `max_length` tokens.

    Returns:
        Token ids with special tokens, and segment ids where the tokenizer has them.
    """
    form = template(tokenizer, pair=second is not None)
    room = form.room(max_length)
    rows = tokenise(tokenizer, first).rows()
    if second is None:
        texts = [heads(rows, np.minimum(rows.lengths, room))]
    else:
        others = tokenise(tokenizer, second).rows()
        lengths = longest_first(rows.lengths, others.lengths, room)
        texts = [heads(rows, lengths[0]), heads(others, lengths[1])]
    return surround(form, texts, types=uses_token_types(tokenizer))
