"""Extractive question answering: the answer is a stretch of the context, the best over all its windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from raystilts.metrics import mlqa, squad
from raystilts.tasks.encoding import (
    Features,
    Floats,
    Ints,
    Longs,
    Outputs,
    Ragged,
    SpanLogits,
    Template,
    Texts,
    Tokenizer,
    concat_rows,
    constant,
    heads,
    slices,
    surround,
    template,
    text_offsets,
    tokenise,
    uses_token_types,
)
from raystilts.tasks.types.answer_column import answer_faults, in_lists
from raystilts.tasks.types.base import Head, TaskType
from raystilts.tasks.types.columns import Fault, column, faults, field, shown, text_faults


@dataclass(frozen=True, slots=True)
class BestSpans:
    """The best answer of each example, shape [examples] each.

    Attributes:
        start: First character, -1 if no window has a possible answer.
        end: One past its last character.
        score: Start score plus end score.
        null: The smallest score of "no answer" (the first token twice) over the example's windows.
    """

    start: Longs
    end: Longs
    score: Floats
    null: Floats


def best_spans(logits: SpanLogits, features: Features, max_length: int) -> BestSpans:
    """Finds the pair of tokens with the largest sum of scores, over all windows of each example.

    Ties go to the earlier window, the shorter answer and the earlier start, so that the result
    does not depend on the machine.

    Args:
        logits: Start and end scores.
        features: Windows, with `char_spans`.
        max_length: The longest answer, in tokens.
    """
    assert features.char_spans is not None
    spans = cast(Ints, features.char_spans.values)
    rows = features.input_ids
    window = np.repeat(np.arange(len(rows)), rows.lengths)
    possible = spans[:, 0] < spans[:, 1]  # outside the context both are -1; white space alone is empty
    low = np.float32(-np.inf)
    start = np.where(possible, _clean(logits.start.values.astype(np.float32)), low)
    end = np.where(possible, _clean(logits.end.values.astype(np.float32)), low)
    best, length = _best_from(start, end, window, max_length)
    first, score = _best_per_group(best, rows.offsets)
    chosen, top = _best_of_windows(score, features.example, features.num_examples)
    token = first[chosen]
    found = np.isfinite(top)
    null = np.full(features.num_examples, np.inf, dtype=np.float32)
    heads = rows.offsets[:-1]
    none = logits.start.values[heads].astype(np.float32) + logits.end.values[heads].astype(np.float32)
    np.minimum.at(null, features.example, _clean(none))
    return BestSpans(
        start=np.where(found, spans[token, 0], -1).astype(np.int64),
        end=np.where(found, spans[token + length[token], 1], -1).astype(np.int64),
        score=top,
        null=null,
    )


def _clean(values: Floats) -> Floats:
    """NaN counts as the lowest finite score: a diverged model must not crash its evaluation."""
    lowest = float(np.finfo(np.float32).min) / 4
    return np.nan_to_num(values, nan=lowest, posinf=-lowest, neginf=lowest)


def _best_from(start: Floats, end: Floats, window: Longs, max_length: int) -> tuple[Floats, Longs]:
    """For each token, the best score of an answer that starts there, and the end's distance."""
    best = start + end
    length = np.zeros(len(start), dtype=np.int64)
    for distance in range(1, min(max_length, len(start))):
        sums = start[:-distance] + end[distance:]
        sums[window[:-distance] != window[distance:]] = -np.inf
        better = sums > best[:-distance]
        best[:-distance][better] = sums[better]
        length[:-distance][better] = distance
    return best, length


def _best_per_group(values: Floats, offsets: Longs) -> tuple[Longs, Floats]:
    """Position and value of the first maximum of each stretch of a flat array."""
    if len(offsets) == 1:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    top = np.maximum.reduceat(values, offsets[:-1])
    at = np.flatnonzero(values == np.repeat(top, np.diff(offsets)))
    return at[np.searchsorted(at, offsets[:-1])], top


def _best_of_windows(score: Floats, example: Longs, examples: int) -> tuple[Longs, Floats]:
    """The first best window of each example, and its score."""
    bounds = np.searchsorted(example, np.arange(examples + 1)).astype(np.int64)
    return _best_per_group(score, bounds)


#: Questions are cut to this many sub-words, as in BERT's and XTREME's scripts.
_QUESTION_LENGTH = 64


_Measure: TypeAlias = Callable[[str, list[str]], float]


class SpanQA(TaskType):
    """The answer to a question as characters of its context.

    Contexts that do not fit are cut into windows that share `stride` sub-words; the best answer
    over all windows counts (Devlin et al. 2019, section 4.2). Predictions are exact substrings of
    the context, found by character offsets, so that languages without spaces need nothing special.

    Attributes:
        question: Column of the question.
        context: Column of the passage.
        answers: Column with a struct of two lists, `text` and `answer_start` (in characters).
        stride: How many sub-words of context two neighbouring windows share.
        max_answer_length: The longest answer that is considered, in sub-words.
        normaliser: How answers are compared: as SQuAD v1.1 does (also XQuAD and TyDiQA, in every
            language), or as MLQA does, by language.
        no_answer: Whether a question may have no answer (SQuAD v2): then the first token stands
            for "none", and the prediction is empty where its score beats the best answer's by more
            than `null_threshold`.
        null_threshold: See `no_answer`; 0 in the published baselines before tuning.
        spanless: Whether an answer may be no stretch of the context, and a context empty (AfriQA's
            yes/no questions and missing passages). Such rows count as wrong, as in the published
            baseline; "span_em_f1" stands beside, over the rows that a reader can answer.
    """

    kind: Literal["span_qa"] = "span_qa"
    question: str = "question"
    context: str = "context"
    answers: str = "answers"
    stride: int = Field(default=128, ge=0)
    max_answer_length: int = Field(default=30, ge=1)
    normaliser: Literal["squad", "mlqa"] = "squad"
    no_answer: bool = False
    # Left out of the definition where they are as they always were, so that older keys still hold.
    null_threshold: float = Field(default=0.0, exclude_if=lambda value: value == 0.0)
    spanless: bool = Field(default=False, exclude_if=lambda value: not value)

    head: ClassVar[Head] = "span"
    default_max_length: ClassVar[int] = 384
    tokens_per_row: ClassVar[int] = 190

    def columns(self) -> tuple[str, ...]:
        """Question, context and answers."""
        return (self.question, self.context, self.answers)

    @property
    def version(self) -> int:
        """2 since characters that no token holds go with the one before them."""
        return 2

    def text_columns(self) -> tuple[str, ...]:
        """The passage."""
        return (self.context,)

    @property
    def num_labels(self) -> int:
        """Two: the scores of a start and of an end."""
        return 2

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """One sequence a window, question first; labels (training) have shape [features, 2]."""
        rows = self.normal(rows)
        self.require(rows)
        form = template(tokenizer, pair=True)
        room = form.room(max_length)
        asked = tokenise(tokenizer, column(rows, self.question)).rows()
        asked = heads(asked, np.minimum(asked.lengths, min(_QUESTION_LENGTH, room // 2)))
        texts = tokenise(tokenizer, column(rows, self.context), offsets=True)
        cut = _Windows.cut(texts, room - asked.lengths, self.stride)
        windows = slices(texts.ids, cut.starts, cut.lengths)
        ids, types = surround(form, (asked.take(cut.example), windows), types=uses_token_types(tokenizer))
        before = form.specials - len(form.parts[2]) + asked.lengths[cut.example]
        labels, spans = None, None
        if training:
            labels = self._labels(rows, texts, cut, before)
        else:
            spans = _char_spans(form, texts, cut, before)
        return Features(
            input_ids=ids,
            example=cut.example,
            num_examples=rows.num_rows,
            token_type_ids=types,
            labels=labels,
            char_spans=spans,
        )

    def _labels(self, rows: pa.Table, texts: Texts, cut: _Windows, before: Longs) -> Longs:
        """First and last token of the first answer in each window, (0, 0) where it is not
        inside."""
        starts, ends = self._first_answers(rows)
        first, last = _answer_tokens(texts, starts, ends)
        first, last = first[cut.example] - cut.starts, last[cut.example] - cut.starts
        known = (starts >= 0)[cut.example]
        inside = known & (first >= 0) & (last < cut.lengths) & (first <= last)
        labels = np.stack([first + before, last + before], axis=1)
        return np.where(inside[:, None], labels, 0)

    def _first_answers(self, rows: pa.Table) -> tuple[Longs, Longs]:
        """Characters [start, end) of the first answer of every row, -1 where there is none.

        White space around an answer is left out: no token that can be predicted covers it.
        """
        starts, ends = [], []
        for answer in column(rows, self.answers):
            said = answer["text"][0] if answer["text"] and answer["answer_start"][0] >= 0 else ""
            start = answer["answer_start"][0] + len(said) - len(said.lstrip()) if said.strip() else -1
            starts.append(start)
            ends.append(start + len(said.strip()) if start >= 0 else -1)
        return np.asarray(starts, dtype=np.int64), np.asarray(ends, dtype=np.int64)

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """The best answer, one string a row, empty if there is none.

        The best is the pair of a start and an end not more than `max_answer_length` sub-words
        apart, within one window's context, with the largest sum of scores, over all pairs (not
        only among the best 20 starts and
        ends, as reference scripts do to save time: the winner is the same unless it is not among
            those).
        """
        logits = cast(SpanLogits, outputs)
        best = best_spans(logits, features, self.max_answer_length)
        answers = []
        for text, start, end, score, none in zip(
            column(rows, self.context), best.start, best.end, best.score, best.null, strict=True
        ):
            empty = self.no_answer and none - score > self.null_threshold
            answers.append("" if empty or start < 0 else text[start:end])
        return answers

    @property
    def metrics(self) -> tuple[str, ...]:
        """F1, exact match and their mean."""
        return ("f1", "exact_match", "em_f1", *(("span_em_f1",) if self.spanless else ()))

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Exact match, F1 and their mean "em_f1", the best over the gold answers of each row.

        With `no_answer` also SQuAD v2's scores over the rows that have an answer ("HasAns_exact",
        "HasAns_f1") and those that have none ("NoAns_exact", "NoAns_f1"), where there are any.
        """
        exact, overlap = self._measures(language)
        answers = column(rows, self.answers)
        pairs = [(p, answer["text"]) for p, answer in zip(predictions, answers, strict=True)]
        em = np.array([exact(p, g) for p, g in pairs])
        f1 = np.array([overlap(p, g) for p, g in pairs])
        scores = {"f1": float(f1.mean()), "exact_match": float(em.mean())}
        scores["em_f1"] = (scores["exact_match"] + scores["f1"]) / 2
        if self.no_answer:
            given = np.array([bool(gold) for _, gold in pairs])
            for name, part in (("HasAns", given), ("NoAns", ~given)):
                if part.any():
                    scores |= {f"{name}_exact": float(em[part].mean()), f"{name}_f1": float(f1[part].mean())}
        if self.spanless:
            found = np.array([any(start >= 0 for start in answer["answer_start"]) for answer in answers])
            scores["span_em_f1"] = float((em[found].mean() + f1[found].mean()) / 2) if found.any() else 0.0
        return scores

    def item_scores(self, predictions: list[Any], rows: pa.Table, language: str, metric: str) -> list[float]:
        """Exact match or F1 of each question, or their mean."""
        exact, overlap = self._measures(language)
        pairs = zip(predictions, (answer["text"] for answer in column(rows, self.answers)), strict=True)
        if metric == "exact_match":
            return [float(exact(p, g)) for p, g in pairs]
        if metric == "f1":
            return [float(overlap(p, g)) for p, g in pairs]
        return [(float(exact(p, g)) + float(overlap(p, g))) / 2 for p, g in pairs]

    def gold(self, rows: pa.Table) -> list[Any]:
        """The first answer of every row, empty where there is none."""
        return [answer["text"][0] if answer["text"] else "" for answer in column(rows, self.answers)]

    def constant_predictions(self, rows: pa.Table) -> list[list[Any]]:
        """No answer for every row, where questions may have none."""
        return [[""] * rows.num_rows] if self.no_answer else []

    def _measures(self, language: str) -> tuple[_Measure, _Measure]:
        """Exact match and F1 of one prediction."""
        if self.no_answer:
            return squad.exact_match_v2, squad.f1_v2
        normalize = partial(self.normalised, language=language)
        return partial(squad.exact_match, normalize=normalize), partial(squad.f1, normalize=normalize)

    def normalised(self, answer: str, language: str) -> str:
        """What is left of an answer when it is compared."""
        if self.normaliser == "squad":
            return squad.normalize_answer(answer)
        return mlqa.normalize_answer(answer, language)

    def normal(self, rows: pa.Table) -> pa.Table:
        """Answers as a struct of two lists of texts and whole numbers; see `answer_column`."""
        answers = field(rows, self.answers)
        found = in_lists(answers, self.answers)
        if found is answers:
            return rows
        return rows.set_column(rows.schema.get_field_index(self.answers), self.answers, found)

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing and blank texts, rows without an answer, answers that are not where they are said to be."""
        rows = self.normal(rows)
        found = text_faults(rows, (self.question,))
        # Where answers need no span, a context may be blank; a null or a number is no text there either.
        found += [fault for fault in text_faults(rows, (self.context,)) if fault.fatal or not self.spanless]
        found += answer_faults(rows, self.answers)
        if any(fault.fatal for fault in found):
            return found
        missing, wrong = [], []
        contexts, answers = column(rows, self.context), column(rows, self.answers)
        for i, (text, answer) in enumerate(zip(contexts, answers, strict=True)):
            said, starts = answer["text"], answer["answer_start"]
            if not self.no_answer and (not said or not said[0]):
                missing.append(i)
            elif len(said) != len(starts) or not all(map(self._in_place(text), said, starts)):
                wrong.append(i)
        allowed = "an answer in every row, or SpanQA(no_answer=True)"
        found += faults("no answer", missing, found=lambda row: shown(answers[row]["text"]), allowed=allowed)
        hint = "text == context[start:start + len(text)]; a source's converter answers_in_place moves them"
        place = "answer not at its place"
        return found + faults(place, wrong, found=lambda row: self._lost(contexts[row], answers[row]), allowed=hint)

    def _lost(self, context: str, answer: dict[str, list[Any]]) -> str:
        """The first answer of a row that is not where it is said to be, and what is there."""
        said, starts = answer["text"], answer["answer_start"]
        if len(said) != len(starts):
            return f"{len(said)} texts and {len(starts)} starts"
        holds = self._in_place(context)
        text, start = next(pair for pair in zip(said, starts, strict=True) if not holds(*pair))
        if text is None or start is None or start < 0:
            return f"{shown(text)} at {shown(start)}"
        return f"{shown(text)} at {start}, where {shown(context[start : start + len(text)])} is"

    def _in_place(self, context: str) -> Callable[[Any, Any], bool]:
        """Whether an answer stands where it is said to."""

        def holds(said: Any, start: Any) -> bool:
            if said is None or start is None:
                return False
            if start < 0:
                return self.spanless
            return bool(context[start : start + len(said)] == said)

        return holds


class _Windows:
    """Where each window of each row's context lies.

    Attributes:
        example: The row of each window, shape [windows].
        starts: Its first token, in the flat tokens of all contexts.
        lengths: Its number of context tokens.
    """

    def __init__(self, example: Longs, starts: Longs, lengths: Longs) -> None:
        self.example, self.starts, self.lengths = example, starts, lengths

    @classmethod
    def cut(cls, texts: Texts, capacity: Longs, stride: int) -> _Windows:
        """Cuts every row's context into windows of `capacity` tokens that share `stride` (at most
        half)."""
        total = texts.ids.lengths[texts.index]
        step = capacity - np.minimum(stride, capacity // 2)
        number = 1 + np.maximum(0, -((total - capacity) // -step))
        example = np.repeat(np.arange(len(total), dtype=np.int64), number)
        first = np.repeat(np.cumsum(number) - number, number)
        within = (np.arange(len(example)) - first) * step[example]
        starts = texts.ids.offsets[texts.index][example] + within
        return cls(example, starts, np.minimum(capacity[example], total[example] - within))


def _char_spans(form: Template, texts: Texts, cut: _Windows, before: Longs) -> Ragged:
    """Characters that each token of each window covers, (-1, -1) outside the context."""
    assert texts.spans is not None
    after = np.full(len(before), len(form.parts[2]), dtype=np.int64)
    inside = slices(texts.spans, cut.starts, cut.lengths)
    return concat_rows([constant(before, (-1, -1)), inside, constant(after, (-1, -1))])


def _answer_tokens(texts: Texts, starts: Longs, ends: Longs) -> tuple[Longs, Longs]:
    """First and last token of an answer, in the flat tokens of all contexts.

    The first token is the first that ends after the answer's start, the last one the last that
    starts before its end; all rows are looked up at once in one sorted array, for which contexts
    are laid end to end.
    """
    assert texts.spans is not None
    base = text_offsets(texts.strings)
    shift = np.repeat(base[:-1], texts.spans.lengths)[:, None] + cast(Ints, texts.spans.values)
    begins, stops = np.maximum.accumulate(shift, axis=0).T
    place = base[texts.index]
    first = np.searchsorted(stops, place + starts, side="right")
    last = np.searchsorted(begins, place + ends, side="left") - 1
    return first.astype(np.int64), last.astype(np.int64)
