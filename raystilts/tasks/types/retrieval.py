"""Retrieval across languages: each sentence's translation, or answers among the candidates of all languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from raystilts.errors import UserError
from raystilts.metrics import retrieval
from raystilts.tasks.encoding import Features, Floats, Outputs, Tokenizer, encode_texts
from raystilts.tasks.splits import fixed_sample
from raystilts.tasks.types.base import Head, TaskType
from raystilts.tasks.types.columns import Fault, column, faults, field, is_text, kind_faults, shown, text_faults


class Retrieval(TaskType):
    """Pairs of translations: row i of one column belongs to row i of the other.

    As in XTREME's Tatoeba: every English sentence (the query) looks for its translation among the
    foreign sentences (the index) by cosine similarity. Nothing is trained.

    Attributes:
        query: Column of the English sentences.
        candidate: Column of the foreign sentences.
    """

    kind: Literal["retrieval"] = "retrieval"
    query: str
    candidate: str

    head: ClassVar[Head] = "embedding"
    default_max_length: ClassVar[int] = 512
    tokens_per_row: ClassVar[int] = 30

    def columns(self) -> tuple[str, ...]:
        """Queries and candidates."""
        return (self.query, self.candidate)

    def item_columns(self) -> tuple[str, ...]:
        """All columns: nothing here is an answer."""
        return self.columns()

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """All queries, then all candidates, one sequence each."""
        self.require(rows)
        return _encoded(tokenizer, column(rows, self.query), column(rows, self.candidate), max_length)

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """For each query the row of the nearest candidate."""
        vectors, queries = cast(Floats, outputs), features.num_queries
        nearest = retrieval.nearest(vectors[:queries], vectors[queries:])
        return cast(list[Any], np.asarray(nearest).tolist())

    def gold(self, rows: pa.Table) -> list[Any]:
        """The row itself: translations stand side by side."""
        return list(range(rows.num_rows))

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Accuracy at 1: the share of queries whose nearest candidate is their own translation."""
        right = np.asarray(predictions) == np.arange(rows.num_rows)
        return {"accuracy": float(np.mean(right))}

    def item_scores(self, predictions: list[Any], rows: pa.Table, language: str, metric: str) -> list[float]:
        """Whether each query finds its translation."""
        return [float(found == row) for row, found in enumerate(predictions)]

    def beside(self, outputs: Outputs, features: Features, rows: pa.Table) -> dict[str, float]:
        """Accuracy at 1 with each side centred on its mean, by CSLS, and with both: not the benchmark's scores."""
        vectors, own = cast(Floats, outputs), np.arange(rows.num_rows)
        sides = vectors[: features.num_queries], vectors[features.num_queries :]
        middle = retrieval.centred(sides[0]), retrieval.centred(sides[1])
        found = {
            "accuracy_centred": retrieval.nearest(*middle),
            "accuracy_csls": retrieval.nearest_csls(*sides),
            "accuracy_centred_csls": retrieval.nearest_csls(*middle),
        }
        return {name: float(np.mean(nearest == own)) for name, nearest in found.items()}

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing and blank sentences."""
        return text_faults(rows, self.columns())


class AnswerRetrieval(TaskType):
    """Each question looks for its right candidates among those of all languages, by cosine similarity.

    All sets that are scored together make one pool: the candidates of every language of the study,
    and the task's own `pool`. Nothing is trained.

    Rows are questions and candidates. Columns: `question` and its `key`; `candidate` and the `keys`
    of the questions that it answers (a candidate may answer several, or none). A row is one or the
    other: the columns of the other are null.

    Attributes:
        k: How many places of a ranking count; None for all.
    """

    kind: Literal["answer_retrieval"] = "answer_retrieval"
    k: int | None = Field(default=None, ge=1)

    head: ClassVar[Head] = "embedding"
    default_max_length: ClassVar[int] = 256
    tokens_per_row: ClassVar[int] = 35

    def columns(self) -> tuple[str, ...]:
        """Questions and candidates."""
        return ("question", "key", "candidate", "keys")

    @property
    def metrics(self) -> tuple[str, ...]:
        """Mean average precision, over all places or the first k."""
        return ("map" if self.k is None else f"map@{self.k}",)

    def item_columns(self) -> tuple[str, ...]:
        """Both texts: which belong together is the answer."""
        return ("question", "candidate")

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """All questions, then all candidates, one sequence each."""
        self.require(rows)
        questions, candidates = column(_questions(rows), "question"), column(_candidates(rows), "candidate")
        return _encoded(tokenizer, questions, candidates, max_length)

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """For each question the places of its right candidates among those of these rows alone."""
        return self.predict_together([outputs], [features], [rows])[0]

    def predict_together(
        self, outputs: Sequence[Outputs], features: Sequence[Features], rows: Sequence[pa.Table]
    ) -> list[list[Any]]:
        """For each question of each set the places of its right candidates in the common pool, from 1."""
        vectors = [cast(Floats, output) for output in outputs]
        pool = np.concatenate([v[f.num_queries :] for v, f in zip(vectors, features, strict=True)])
        right: dict[str, list[int]] = {}
        keys = [own for table in rows for own in _keys(table)]
        for at, own in enumerate(keys):
            for key in own:
                right.setdefault(key, []).append(at)
        asked = [column(_questions(table), "key") for table in rows]
        _require_one_kind((key for own in asked for key in own), right)
        found = []
        for own_vectors, one, names in zip(vectors, features, asked, strict=True):
            wanted = [right.get(key, []) for key in names]
            found.append(retrieval.places(own_vectors[: one.num_queries], pool, wanted) if wanted else [])
        return cast(list[list[Any]], found)

    def gold(self, rows: pa.Table) -> list[Any]:
        """The first places, as many as a question has candidates in these rows, and at least one."""
        right = Counter(key for keys in _keys(rows) for key in keys)
        return [list(range(1, max(1, right[key]) + 1)) for key in column(_questions(rows), "key")]

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Mean average precision; a question without a right candidate has 0. Nothing for rows without questions."""
        if not predictions:
            return {}
        return {self.metrics[0]: float(np.mean(self.item_scores(predictions, rows, language, self.metrics[0])))}

    def item_scores(self, predictions: list[Any], rows: pa.Table, language: str, metric: str) -> list[float]:
        """The average precision of each question."""
        return [retrieval.average_precision(found, self.k) if found else 0.0 for found in predictions]

    def sample(self, rows: pa.Table, limit: int | None) -> pa.Table:
        """`limit` questions with their candidates, and the same share of the other candidates."""
        asked = np.flatnonzero([question is not None for question in column(rows, "question")])
        if limit is None or limit >= len(asked):
            return rows
        keep = np.zeros(rows.num_rows, dtype=np.bool_)
        keep[asked[fixed_sample(len(asked), limit)]] = True
        names, keys = column(rows, "key"), column(rows, "keys")
        wanted = {names[i] for i in np.flatnonzero(keep)}
        keep |= np.array([own is not None and not wanted.isdisjoint(own) for own in keys])
        texts = column(rows, "candidate")
        listed = [own is not None or text is not None for own, text in zip(keys, texts, strict=True)]
        others = np.flatnonzero(np.array(listed) & ~keep)
        keep[others[fixed_sample(len(others), round(limit / len(asked) * len(others)))]] = True
        return rows.filter(pa.array(keep))

    def item_count(self, rows: pa.Table) -> int:
        """The questions."""
        return int(_questions(rows).num_rows)

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Keys that are no list, empty texts, questions without a key, rows that are neither question nor candidate."""
        unusable = kind_faults(rows, ("question", "candidate")) + self._key_faults(rows)
        if unusable:
            return unusable
        both = list(zip(*(column(rows, name) for name in self.columns()), strict=True))
        neither = [i for i, (q, _, c, _) in enumerate(both) if (q is None) == (c is None)]
        blank = [i for i, (q, _, c, _) in enumerate(both) if not (q or c or "").strip()]
        keyless = [i for i, (q, key, _, _) in enumerate(both) if q is not None and key in (None, "")]
        of = {True: "neither of them", False: "both"}
        what, allowed = "neither a question nor a candidate", "one of the two"
        found = faults(what, neither, found=lambda row: of[both[row][0] is None], allowed=allowed)
        found += faults("empty text", blank, fatal=False)
        allowed = "what names the candidates that answer it"
        return found + faults("question without a key", keyless, found=lambda row: shown(both[row][1]), allowed=allowed)

    def _key_faults(self, rows: pa.Table) -> list[Fault]:
        """Keys that cannot be looked up: a text would be read letter by letter, and 1 is not "1"."""
        key, keys = field(rows, "key").type, field(rows, "keys").type
        if pa.types.is_null(keys):
            inner = keys
        elif pa.types.is_list(keys) or pa.types.is_large_list(keys) or pa.types.is_fixed_size_list(keys):
            inner = keys.value_type
        else:
            allowed = 'a list for each candidate, as ["k1"]; [] or null where it answers no question'
            remedy = "CSV and TSV have no lists: write JSON Lines or Parquet" if pa.types.is_string(keys) else ""
            return [Fault(f"column 'keys' holds {keys}", allowed=allowed, remedy=remedy)]
        if pa.types.is_nested(key):
            return [Fault(f"column 'key' holds {key}", allowed="one key for each question")]
        if pa.types.is_nested(inner):
            return [Fault(f"column 'keys' holds {keys}", allowed='a list of keys, as ["k1"]')]
        if not pa.types.is_null(key) and not pa.types.is_null(inner) and is_text(key) != is_text(inner):
            what = f"column 'keys' holds lists of {inner}, and 'key' holds {key}"
            return [Fault(what, allowed="keys of one type, or no question finds its candidates")]
        return []


def _require_one_kind(asked: Iterable[Any], answered: Iterable[Any]) -> None:
    """Refuses questions and candidates, of several files, of which some have texts as keys and some numbers."""
    wanted, there = ({isinstance(key, str) for key in keys if key is not None} for keys in (asked, answered))
    if there and not wanted <= there:
        raise UserError(
            "the keys of questions and candidates are texts in one file and numbers in another; allowed: one type in "
            "all of them. Write 'key' and 'keys' alike, as \"1\" and [\"1\"]"
        )


def _encoded(tokenizer: Tokenizer, queries: list[str], candidates: list[str], max_length: int) -> Features:
    """Queries, then candidates, one sequence each."""
    texts = queries + candidates
    ids, types = encode_texts(tokenizer, texts, None, max_length=max_length)
    return Features(
        input_ids=ids,
        example=np.arange(len(texts), dtype=np.int64),
        num_examples=len(texts),
        token_type_ids=types,
        num_queries=len(queries),
    )


def _questions(rows: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    return rows.filter(pc.is_valid(rows["question"]))


def _candidates(rows: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    return rows.filter(pc.is_valid(rows["candidate"]))


def _keys(rows: pa.Table) -> list[list[Any]]:
    """The keys of each candidate, each once; none where it answers no question."""
    return [list(dict.fromkeys(own or ())) for own in column(_candidates(rows), "keys")]
