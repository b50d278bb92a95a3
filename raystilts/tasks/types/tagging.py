"""Tagging of words: parts of speech, named entities, supertags."""

from __future__ import annotations

from itertools import chain
from typing import Any, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from raystilts.metrics import tagging as pos
from raystilts.metrics import tagging as spans
from raystilts.tasks.encoding import (
    Features,
    Longs,
    Outputs,
    Ragged,
    Tokenizer,
    concat_rows,
    constant,
    slices,
    surround,
    template,
    uses_token_types,
)
from raystilts.tasks.tags import iob2, is_entity_tag
from raystilts.tasks.types.base import Head, TaskType
from raystilts.tasks.types.columns import (
    Fault,
    allowed_labels,
    column,
    faults,
    field,
    index_labels,
    label_faults,
    label_table,
    shown,
    versioned,
)
from raystilts.tasks.words import pieces_by_word, word_pieces

#: Positions without a label.
_IGNORE = -100


class Tagging(TaskType):
    """One tag a word, read at the first sub-word that carries a character of it (see `raystilts.tasks.words`).

    Sentences that do not fit are cut into several sequences between words: no word goes untagged.

    Attributes:
        tokens: Column with the list of words.
        tags: Column with the list of tags, as names or indices.
        labels: Tag names.
        scores: "entities" for the F1 of BIO spans; "pos" for XTREME's F1 over UPOS tags and word
            accuracy; "accuracy" for word accuracy alone.
        subwords: "carrying", or "first" for the rule of Devlin et al. (2019, section 5.3) as XTREME's code has it: each
            word is tokenised on its own and read at its first sub-word, be that the bare mark of a space.
    """

    kind: Literal["tagging"] = "tagging"
    tokens: str = "tokens"
    tags: str
    labels: tuple[str, ...] = Field(min_length=2)
    scores: Literal["entities", "pos", "accuracy"]
    subwords: Literal["carrying", "first"] = "carrying"

    head: ClassVar[Head] = "token"
    default_max_length: ClassVar[int] = 128
    tokens_per_row: ClassVar[int] = 30

    def columns(self) -> tuple[str, ...]:
        """Words and tags."""
        return (self.tokens, self.tags)

    @property
    def version(self) -> int:
        """2 since words are read in running text; higher where numbers among the names were once taken for indices."""
        return 1 + versioned(self.labels)

    @property
    def num_labels(self) -> int:
        """The number of tags."""
        return len(self.labels)

    def _gold(self, rows: pa.Table) -> tuple[Longs, list[int]]:
        """Indices of all tags, one sentence after the other, and how many each sentence has."""
        sentences = column(rows, self.tags)
        table, allowed = label_table(self.labels), allowed_labels(self.labels)
        flat = index_labels(list(chain.from_iterable(sentences)), table, self.tags, allowed)
        return np.asarray(flat, dtype=np.int64), [len(tags) for tags in sentences]

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """One sequence a sentence, or several for a long one; the label of a word sits on one of its sub-words."""
        self.require(rows)
        form = template(tokenizer, pair=False)
        room = form.room(max_length)
        sentences = column(rows, self.tokens)
        gold, counts = self._gold(rows)
        sizes = np.asarray(counts, dtype=np.int64)
        if self.subwords == "carrying":
            words, read = word_pieces(tokenizer, sentences, room)
        else:
            words = pieces_by_word(tokenizer, list(chain.from_iterable(sentences)), room)
            read = np.zeros(len(words), dtype=np.int64)
        begin, example = _pieces(words.lengths, sizes, room)
        sequences = slices(words, words.offsets[begin[:-1]], words.offsets[begin[1:]] - words.offsets[begin[:-1]])
        ids, types = surround(form, (sequences,), types=uses_token_types(tokenizer))
        labels = np.full(len(words.values), _IGNORE, dtype=np.int64)
        labels[words.offsets[:-1] + read] = gold
        return Features(
            input_ids=ids,
            example=example,
            num_examples=rows.num_rows,
            token_type_ids=types,
            token_labels=concat_rows(
                [
                    constant(np.full(len(example), len(form.parts[0])), _IGNORE, np.int64),
                    Ragged(labels, sequences.offsets),
                    constant(np.full(len(example), len(form.parts[1])), _IGNORE, np.int64),
                ]
            ),
        )

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """The tags of every sentence: a list of names a row, as long as the sentence."""
        assert features.token_labels is not None
        best = cast(Ragged, outputs).values[features.token_labels.values != _IGNORE]
        names = np.asarray(self.labels, dtype=object)[best.astype(np.int64)]
        sizes = [len(words) for words in column(rows, self.tokens)]
        return [part.tolist() for part in np.split(names, np.cumsum(sizes)[:-1])] if sizes else []

    def gold(self, rows: pa.Table) -> list[Any]:
        """The names of the tags of every row."""
        flat, counts = self._gold(rows)
        names = np.asarray(self.labels, dtype=object)[flat]
        return [part.tolist() for part in np.split(names, np.cumsum(counts)[:-1])] if counts else []

    def constant_predictions(self, rows: pa.Table) -> list[list[Any]]:
        """Each tag for every word."""
        sizes = [len(words) for words in column(rows, self.tokens)]
        return [[[tag] * size for size in sizes] for tag in self.labels]

    @property
    def metrics(self) -> tuple[str, ...]:
        """As the kind of tags has them."""
        if self.scores == "entities":
            return ("f1",)
        return ("accuracy", "xtreme_pos_f1") if self.scores == "pos" else ("accuracy",)

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Entities: "f1". Parts of speech: "xtreme_pos_f1" and "accuracy". Else "accuracy"."""
        gold = self.gold(rows)
        if self.scores == "entities":
            return {"f1": spans.entity_f1(predictions, gold)}
        scores = {"accuracy": pos.token_accuracy(predictions, gold)}
        if self.scores == "pos":
            scores["xtreme_pos_f1"] = pos.xtreme_pos_f1(predictions, gold)
        return scores

    def item_scores(self, predictions: list[Any], rows: pa.Table, language: str, metric: str) -> list[float]:
        """The same of each sentence alone; 1 where neither side has an entity."""
        scored = {"accuracy": pos.token_accuracy, "xtreme_pos_f1": pos.xtreme_pos_f1, "f1": spans.entity_f1}[metric]
        pairs = zip(predictions, self.gold(rows), strict=True)
        return [1.0 if mine == gold else scored([mine], [gold]) for mine, gold in pairs]

    def normal(self, rows: pa.Table) -> pa.Table:
        """Entity tags of other schemes (IOBES, BILOU, BMES) as IOB2, where the task's labels are IOB2."""
        foreign = {"E", "S", "L", "U", "M"} - {label.partition("-")[0] for label in self.labels}
        kind = field(rows, self.tags).type
        if self.scores != "entities" or not pa.types.is_list(kind) or not pa.types.is_string(kind.value_type):
            return rows
        tags = column(rows, self.tags)
        if not any(tag and tag[1:2] == "-" and tag[0] in foreign for own in tags for tag in own or ()):
            return rows
        known = [iob2(own) if own and all(map(is_entity_tag, own)) else own for own in tags]
        return rows.set_column(rows.schema.get_field_index(self.tags), self.tags, pa.array(known, kind))

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Unknown tags, sentences without words, unequal numbers of words and tags, missing and empty words."""
        for name in (self.tokens, self.tags):
            kind = field(rows, name).type
            if not pa.types.is_list(kind) and not pa.types.is_large_list(kind):
                return [Fault(f"column {name!r} holds {kind}", allowed="a list for each sentence")]
        words, tags = column(rows, self.tokens), column(rows, self.tags)
        pairs = [(i, w or [], t or []) for i, (w, t) in enumerate(zip(words, tags, strict=True))]
        rows_of = np.repeat(np.arange(len(pairs)), [len(t) for _, _, t in pairs]).tolist()
        known = label_faults([tag for _, _, t in pairs for tag in t], label_table(self.labels), "", "tag")
        found = [Fault(one.what, tuple(dict.fromkeys(rows_of[i] for i in one.rows)), one.found,
                       allowed_labels(self.labels)) for one in known]  # fmt: skip
        found += self._number_faults(pairs, words)
        missing = [i for i, w, _ in pairs if not all(isinstance(word, str) for word in w)]
        what = "no text for a word"
        found += faults(what, missing, found=lambda i: _no_text(words[i]), allowed="a text for every word")
        lost = {*missing}
        blank = [i for i, w, _ in pairs if i not in lost and not all(w)]
        return found + faults("empty word", blank, fatal=False)

    def _number_faults(self, pairs: list[tuple[int, list[Any], list[Any]]], words: list[Any]) -> list[Fault]:
        """Sentences without words, and such as have more or fewer tags."""
        none = [i for i, w, _ in pairs if not w]
        found = faults("no words", none, found=lambda i: shown(words[i]), allowed="at least one word a sentence")
        odd = [i for i, w, t in pairs if len(w) != len(t)]
        what, counts = "words and tags differ in number", {i: (len(w), len(t)) for i, w, t in pairs}
        return found + faults(what, odd, found=lambda i: "{} and {}".format(*counts[i]), allowed="a tag for every word")


def _no_text(words: list[Any]) -> str:
    """The first word that is no text."""
    return shown(next(word for word in words if not isinstance(word, str)))


def _pieces(lengths: Longs, sizes: Longs, room: int) -> tuple[Longs, Longs]:
    """Cuts sentences between words so that no piece has more than `room` sub-words.

    Args:
        lengths: Sub-words of every word.
        sizes: Words of every sentence.
        room: Sub-words that fit.

    Returns:
        The first word of every piece, with the number of words at the end, shape [pieces + 1]; and
        the sentence of every piece, shape [pieces].
    """
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    begin, example = [], []
    for row, (low, high) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        while low < high:
            begin.append(low)
            example.append(row)
            fits = int(np.searchsorted(ends, ends[low] + room, side="right")) - 1
            low = min(high, fits)
    begin.append(int(bounds[-1]))
    return np.asarray(begin, dtype=np.int64), np.asarray(example, dtype=np.int64)
