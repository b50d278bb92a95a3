"""Sentences that are given as words, as sub-words: which sub-words each word has, and which one stands for it.

A sentence is tokenised as the text that it is, and sub-words are given to words by the characters that they cover, so
that an encoder reads what it read in pretraining. Words of scripts that are written without spaces (Chinese, Japanese,
Thai, ...) are joined without them. Where a sub-word would cover the end of one word and the beginning of the next, the
words of that sentence are tokenised one by one.

A word is read at its first sub-word that carries a character of it: SentencePiece puts the bare mark of a space ("▁")
before most words of those scripts and before punctuation, and it says nothing of the word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from raystilts.tasks.encoding import (
    Longs,
    Ragged,
    Texts,
    Tokenizer,
    concat_rows,
    fast_backend,
    heads,
    repeated,
    slices,
    tokenise,
)

#: Scripts written without spaces, with their punctuation: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han, full width.
_UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u9fff\uf900-\ufaff\uff00-\uffef"
                       "\U00020000-\U0003ffff]")  # fmt: skip
#: What stands for a space in sub-words.
_MARKS = "▁Ġ \u00a0"


def word_pieces(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]], room: int) -> tuple[Ragged, Longs]:
    """The sub-words of every word: at least one (the unknown token), at most `room`.

    Args:
        sentences: Words of each sentence.
        room: Sub-words that fit into a sequence.

    Returns:
        Token ids, a row a word, one sentence after the other; and for each word which of its sub-words is the first
        that carries a character of it, shape [words].
    """
    words = list(chain.from_iterable(sentences))
    sentence = np.repeat(np.arange(len(sentences)), [len(one) for one in sentences])
    spaced = _spaced(words, sentence)
    pieces, whole = _of_text(tokenizer, words, sentence, spaced)
    apart = ~whole[sentence]
    if apart.any():
        alone = _one_by_one(
            tokenizer, [w for w, a in zip(words, apart, strict=True) if a], spaced[apart], sentence[apart]
        )
        lengths = np.zeros(len(words), dtype=np.int64)
        lengths[apart] = alone.lengths
        pieces = concat_rows([pieces, Ragged(alone.values, np.concatenate([[0], np.cumsum(lengths)]))])
    pieces = heads(pieces, np.minimum(pieces.lengths, room))
    return pieces, _first_carrying(tokenizer, pieces)


def pieces_by_word(tokenizer: Tokenizer, words: Sequence[str], room: int) -> Ragged:
    """The sub-words of every word on its own, with a space before it where that makes a difference."""
    backend = fast_backend(tokenizer)
    probes = [backend.encode(text, add_special_tokens=False).ids for text in ("a", " a")]
    mark = "" if probes[0] == probes[1] else " "
    texts = tokenise(tokenizer, [mark + word for word in words] if mark else words)
    return _filled(tokenizer, heads(texts.ids, np.minimum(texts.ids.lengths, room))).take(texts.index)


def _spaced(words: Sequence[str], sentence: Longs) -> NDArray[np.bool_]:
    """Whether a space stands before each word."""
    found = np.ones(len(words), dtype=bool)
    for i in range(1, len(words)):
        left, right = words[i - 1][-1:], words[i][:1]
        found[i] = not (_UNSPACED.match(left) or _UNSPACED.match(right))
    found[np.flatnonzero(np.diff(sentence, prepend=-1))] = False  # the first of a sentence
    return found


def _of_text(
    tokenizer: Tokenizer, words: Sequence[str], sentence: Longs, spaced: NDArray[np.bool_]
) -> tuple[Ragged, NDArray[np.bool_]]:
    """Sub-words of the words of whole sentences, none where that does not do; and which sentences are whole."""
    lengths = np.fromiter(map(len, words), np.int64, len(words)) + spaced
    number = int(sentence[-1]) + 1 if len(sentence) else 0
    first = np.searchsorted(sentence, np.arange(number + 1))
    parts = [" " + word if space else word for word, space in zip(words, spaced, strict=True)]
    texts = tokenise(tokenizer, ["".join(parts[a:b]) for a, b in pairwise(first)], offsets=True)
    ids, spans = _rows(texts)
    ends = np.cumsum(lengths)  # of each word in all texts, one after the other; a space belongs to the word behind it
    row = np.repeat(np.arange(number), ids.lengths)
    base = np.concatenate([[0], ends])[first[:-1]][row]
    start, end = spans[:, 0] + base, np.maximum(spans[:, 1], spans[:, 0] + 1) + base
    word = np.searchsorted(ends, start, side="right")
    word = np.minimum(word, first[1:][row] - 1)
    bare = _bare(tokenizer, ids.values)
    bad = (end > ends[word]) & ~bare
    bad[1:] |= (word[1:] < word[:-1]) & (row[1:] == row[:-1])
    counts = np.bincount(word, minlength=len(words))
    carrying = np.bincount(word[~bare], minlength=len(words))
    whole = np.ones(number, dtype=bool)
    whole[row[bad]] = False
    whole[sentence[carrying == 0]] = False
    kept = whole[row]
    return Ragged(ids.values[kept], np.concatenate([[0], np.cumsum(counts * whole[sentence])])), whole


def _rows(texts: Texts) -> tuple[Ragged, NDArray[np.generic]]:
    """Ids of every row, and the characters that they cover, flat [total, 2]."""
    assert texts.spans is not None
    return texts.rows(), texts.spans.take(texts.index).values


def _one_by_one(tokenizer: Tokenizer, words: Sequence[str], spaced: NDArray[np.bool_], sentence: Longs) -> Ragged:
    """Words on their own; without the bare mark of a space in front where the sentence has none there."""
    pieces = pieces_by_word(tokenizer, words, np.iinfo(np.int32).max)
    inside = ~spaced & (np.diff(sentence, prepend=-1) == 0)
    drop = inside & (pieces.lengths > 1) & _bare(tokenizer, pieces.values[pieces.offsets[:-1]])
    return slices(pieces, pieces.offsets[:-1] + drop, pieces.lengths - drop)


def _first_carrying(tokenizer: Tokenizer, pieces: Ragged) -> Longs:
    """Of each word the first sub-word that is more than the mark of a space; the first where none is."""
    if not len(pieces):
        return np.zeros(0, dtype=np.int64)
    none = len(pieces.values)
    at = np.where(_bare(tokenizer, pieces.values), none, np.arange(none))
    first = np.minimum.reduceat(at, pieces.offsets[:-1])
    return np.where(first < pieces.offsets[1:], first - pieces.offsets[:-1], 0)


def _bare(tokenizer: Tokenizer, ids: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which ids are the mark of a space and nothing else."""
    backend = fast_backend(tokenizer)
    distinct, index = np.unique(ids, return_inverse=True)
    marks = [not (backend.id_to_token(int(one)) or "x").strip(_MARKS) for one in distinct]
    return np.asarray(marks, dtype=bool)[index] if len(distinct) else np.zeros(0, dtype=bool)


def _filled(tokenizer: Tokenizer, pieces: Ragged) -> Ragged:
    """The same with the unknown token where a word has no sub-word."""
    unknown = getattr(tokenizer, "unk_token_id", None)
    filler = repeated(np.asarray([0 if unknown is None else unknown], dtype=np.int32), len(pieces))
    return concat_rows([pieces, heads(filler, (pieces.lengths == 0).astype(np.int64))])
