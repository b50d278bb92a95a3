"""Bitext mining: find the translations in two collections of sentences (BUCC)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from raystilts.errors import UserError
from raystilts.metrics import mining
from raystilts.tasks.encoding import Features, Floats, Outputs, Tokenizer, encode_texts
from raystilts.tasks.splits import fixed_sample
from raystilts.tasks.types.base import Head, TaskType
from raystilts.tasks.types.columns import Fault, column, faults, field, kind_faults, shown

_Pair = tuple[str, str]

#: What a row may be.
_SIDES = ("source", "target", "pair")


class Mining(TaskType):
    """Two collections of sentences, some of which translate each other; nothing is trained.

    As in XTREME's BUCC 2018: pairs are mined by ratio margin, one to one over both directions
    (`raystilts.metrics.mining`). How high a margin must be is chosen on dev data, where F1 on dev
    is highest, and used on test data. Dev data is scored at its own threshold, which is optimistic.

    Rows are the sentences of both sides, and the pairs that are translations. Columns: `side`
    ("source", "target" or "pair"); `id` and `sentence` of a sentence; `source_id` and `target_id`
    of a pair.

    Attributes:
        k: Nearest neighbours whose similarity makes the margin.
        threshold: The lowest margin of a pair that counts; None for the best on the rows scored.
    """

    kind: Literal["mining"] = "mining"
    k: int = Field(default=4, ge=1)
    threshold: float | None = None

    head: ClassVar[Head] = "embedding"
    default_max_length: ClassVar[int] = 512
    calibrates: ClassVar[bool] = True
    tokens_per_row: ClassVar[int] = 35

    def columns(self) -> tuple[str, ...]:
        """Sentences and pairs."""
        return ("side", "id", "sentence", "source_id", "target_id")

    @property
    def metrics(self) -> tuple[str, ...]:
        """F1, precision, recall."""
        return ("f1", "precision", "recall")

    def item_columns(self) -> tuple[str, ...]:
        """The sentences: which of them are pairs is the answer."""
        return ("sentence",)

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """All sentences of the source side, then all of the target side, one sequence each."""
        sources, targets = (column(_side(rows, side), "sentence") for side in ("source", "target"))
        if not sources or not targets:
            raise UserError(f"mining: {len(sources)} source and {len(targets)} target sentences; both sides need some")
        self.require(rows)
        ids, types = encode_texts(tokenizer, sources + targets, None, max_length=max_length)
        number = len(sources) + len(targets)
        return Features(
            input_ids=ids,
            example=np.arange(number, dtype=np.int64),
            num_examples=number,
            token_type_ids=types,
            num_queries=len(sources),
        )

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """Candidate pairs ``[source id, target id, margin]``, best first."""
        vectors, number = cast(Floats, outputs), features.num_queries
        sides = [_side(rows, side) for side in ("source", "target")]
        source, target = (mining.unique_sentences(column(side, "sentence")) for side in sides)
        found = mining.mine(vectors[:number][source[0]], vectors[number:][target[0]], self.k)
        found = mining.to_rows(found, source, target)
        source_ids, target_ids = (column(side, "id") for side in sides)
        mined = zip(found.source.tolist(), found.target.tolist(), found.score.tolist(), strict=True)
        return [[source_ids[i], target_ids[j], score] for i, j, score in mined]

    def gold(self, rows: pa.Table) -> list[Any]:
        """The pairs that are translations, all with margin 1."""
        return [[source, target, 1.0] for source, target in _gold(rows)]

    def calibrated(self, predictions: list[Any], rows: pa.Table) -> Self:
        """With the threshold that gives the highest F1 on these rows."""
        return self.model_copy(update={"threshold": _best_threshold(predictions, _gold(rows))})

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """F1, precision and recall of the pairs at the threshold."""
        gold = _gold(rows)
        threshold = _best_threshold(predictions, gold) if self.threshold is None else self.threshold
        names = _Names()
        found = {names.pair((i, j)) for i, j, margin in predictions if margin >= threshold}
        scores = mining.score_pairs(found, {names.pair(pair) for pair in gold})
        return {"f1": scores.f1, "precision": scores.precision, "recall": scores.recall}

    def sample(self, rows: pa.Table, limit: int | None) -> pa.Table:
        """`limit` pairs with their sentences, and the same share of the sentences that are in no pair."""
        gold = _gold(rows)
        if limit is None or limit >= len(gold):
            return rows
        chosen = [gold[i] for i in fixed_sample(len(gold), limit)]
        paired, kept = {i for pair in gold for i in pair}, {i for pair in chosen for i in pair}
        share, pairs = limit / len(gold), set(chosen)
        keep = np.array([_keep(row, pairs, kept, paired) for row in rows.select(self.columns()).to_pylist()])
        for side in ("source", "target"):
            others = np.flatnonzero((keep < 0) & np.array([s == side for s in column(rows, "side")]))
            keep[others[fixed_sample(len(others), round(share * len(others)))]] = 1
        return rows.filter(pa.array(keep > 0))

    def item_count(self, rows: pa.Table) -> int:
        """The pairs to be found."""
        return len(_gold(rows))

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing and blank sentences, ids that stand twice, pairs of sentences that are not there, no pairs at all."""
        unusable = self._kind_faults(rows)
        if unusable:  # the rest would only follow from it: pairs whose sentences are not seen
            return unusable
        sides, ids = column(rows, "side"), column(rows, "id")
        sentences = column(rows, "sentence")
        known: set[tuple[str, str]] = set()
        missing, blank, twice = [], [], []
        for i, (side, name, text) in enumerate(zip(sides, ids, sentences, strict=True)):
            if side == "pair":
                continue
            if text is None:
                missing.append(i)
            elif not text or text.isspace():
                blank.append(i)
            if (side, name) in known:
                twice.append(i)
            known.add((side, name))
        pairs = list(zip(column(rows, "source_id"), column(rows, "target_id"), strict=True))
        lost = [i for i, (side, (source, target)) in enumerate(zip(sides, pairs, strict=True))
                if side == "pair" and not {("source", source), ("target", target)} <= known]  # fmt: skip
        found = faults("no text in 'sentence'", missing, found="null", allowed="a text in every row")
        found += faults("empty 'sentence'", blank, fatal=False) + faults(
            "id stands twice", twice, found=lambda row: shown(ids[row]), allowed="an id of its own for every sentence"
        )
        found += faults(
            "pair of a sentence that is not there", lost, found=lambda row: " and ".join(map(shown, pairs[row])),
            allowed="the ids of a source and a target sentence",
        )  # fmt: skip
        none = Fault("no pairs", allowed="at least one, or nothing can be scored")
        return found if "pair" in sides else [*found, none]

    def _kind_faults(self, rows: pa.Table) -> list[Fault]:
        """Rows that are neither a sentence nor a pair, sentences that are no text, ids that cannot be compared."""
        sides = column(rows, "side")
        odd = [i for i, side in enumerate(sides) if side not in _SIDES]
        # Each would be left out without a word: rows are picked by the exact word.
        allowed = ", ".join(f"'{side}'" for side in _SIDES)
        found = faults("unknown 'side'", odd, found=lambda row: shown(sides[row]), allowed=allowed)
        found += kind_faults(rows, ("sentence",))
        for name in ("id", "source_id", "target_id"):
            kind = field(rows, name).type
            if pa.types.is_nested(kind):
                found.append(Fault(f"column {name!r} holds {kind}", allowed="one id a row"))
        return found


def _side(rows: pa.Table, side: str) -> pa.Table:
    import pyarrow.compute as pc

    return rows.filter(pc.equal(rows["side"], side))


def _gold(rows: pa.Table) -> list[_Pair]:
    pairs = _side(rows, "pair")
    return list(zip(column(pairs, "source_id"), column(pairs, "target_id"), strict=True))


def _keep(row: dict[str, Any], pairs: set[_Pair], kept: set[str], paired: set[str]) -> int:
    """1 for what belongs to a chosen pair, 0 for what belongs to another one, -1 for the rest."""
    if row["side"] == "pair":
        return int((row["source_id"], row["target_id"]) in pairs)
    return int(row["id"] in kept) if row["id"] in paired else -1


class _Names:
    """Numbers for ids, as the metric wants them."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}

    def pair(self, names: _Pair) -> mining.Pair:
        """The numbers of a source and a target."""
        first, second = (self._numbers.setdefault((side, name), len(self._numbers)) for side, name in enumerate(names))
        return first, second


def _best_threshold(predictions: list[Any], gold: list[_Pair]) -> float:
    names = _Names()
    pairs = [names.pair((i, j)) for i, j, _ in predictions]
    numbers = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    margins = np.asarray([margin for _, _, margin in predictions], dtype=np.float64)
    found = mining.Mined(numbers[:, 0], numbers[:, 1], margins)
    return mining.best_threshold(found, {names.pair(pair) for pair in gold})
