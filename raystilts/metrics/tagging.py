"""Entity F1 as seqeval 1.2.2 counts it in its default mode (the conlleval rules, micro average).

Compared with seqeval 1.2.2 (``f1_score`` with default arguments, and ``get_entities``) on 60,000
random corpora of IOB2, IOBES, raw UPOS and odd tags ("B", "I-", ".", "_"): the same spans, F1
within 3e-16.

Part-of-speech scores: the "F1" of XTREME and token accuracy, which are not the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raystilts.metrics.classification import require_pairs

#: A span: its type, and its first and last position in the corpus laid out as one sequence.
Span = tuple[str, int, int]

_SINGLE_OR_LAST = frozenset("ES")  # these prefixes end their span whatever follows
_FIRST = frozenset("BS")  # these open a span whatever came before
_BEGUN = frozenset("BI")
_NEVER = frozenset("O.")  # these never carry a span, even when the type changes


def spans(tags: Sequence[Sequence[str]]) -> list[Span]:
    """The spans of a corpus by the rules of conlleval, as in seqeval's default mode.

    The first character of a tag is its prefix and what follows (after one hyphen, if there is one)
    its type. An "I-" after "O", or of another type than the tag before it, starts a span. All
    sentences are read as one sequence with an "O" after each: with well-formed tags that changes
    nothing, with tags whose type is empty ("X" in UPOS) a span can then be lost at the end of a
    sentence or reach back into an earlier one. Scores published with seqeval hold these oddities,
    so they are kept.

    Args:
        tags: Sentences of tags.

    Returns:
        Spans as (type, first, last); positions count the "O" after each sentence.

    Raises:
        ValueError: A tag is empty.
    """
    found: list[Span] = []
    before, type_before, first = "O", "", 0
    for position, tag in enumerate(_one_sequence(tags)):
        if not tag:
            raise ValueError(f"the tag at position {position} is empty: write 'O' for no entity")
        prefix, kind = tag[0], tag[1:].split("-", maxsplit=1)[-1] or "_"
        changed = kind != type_before
        if _ends(before, prefix, changed):
            found.append((type_before, first, position - 1))
        if _starts(before, prefix, changed):
            first = position
        before, type_before = prefix, kind
    return found


def entity_f1(pred_tags: Sequence[Sequence[str]], gold_tags: Sequence[Sequence[str]]) -> float:
    """F1 of the predicted spans, pooled over types and sentences (PAN-X, MasakhaNER).

    A span is right when its type, first and last word are those of a gold span.

    Args:
        pred_tags: Predicted tags, a list a sentence.
        gold_tags: Gold tags, as many sentences, each as long as its prediction.

    Returns:
        A number in 0..1; 0 where neither side has a span, as in seqeval.

    Raises:
        ValueError: Sentences or their lengths do not match, there are none, or a tag is empty.
    """
    require_same_shape(pred_tags, gold_tags)
    predicted, gold = set(spans(pred_tags)), set(spans(gold_tags))
    total = len(predicted) + len(gold)
    return 2 * len(predicted & gold) / total if total else 0.0


def require_same_shape(pred_tags: Sequence[Sequence[str]], gold_tags: Sequence[Sequence[str]]) -> None:
    """Refuses corpora that differ in the number of sentences or in the length of one.

    Raises:
        ValueError: They differ, or there are no sentences.
    """
    require_pairs(pred_tags, gold_tags)
    for number, (predicted, gold) in enumerate(zip(pred_tags, gold_tags, strict=True)):
        if len(predicted) != len(gold):
            raise ValueError(
                f"sentence {number} has {len(predicted)} predicted and {len(gold)} gold tags: "
                "give one a word, also for words that the encoder did not see"
            )


def _one_sequence(tags: Sequence[Sequence[str]]) -> Iterator[str]:
    for sentence in tags:
        yield from sentence
        yield "O"


def _ends(before: str, prefix: str, changed: bool) -> bool:
    """Whether the span of the tag before ends between it and this tag."""
    if before in _SINGLE_OR_LAST:
        return True
    if before in _BEGUN and (prefix in _FIRST or prefix == "O"):
        return True
    return changed and before not in _NEVER


def _starts(before: str, prefix: str, changed: bool) -> bool:
    """Whether a span starts at this tag."""
    if prefix in _FIRST:
        return True
    if prefix in "EI" and (before in _SINGLE_OR_LAST or before == "O"):
        return True
    return changed and prefix not in _NEVER


def xtreme_pos_f1(pred: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """What XTREME reports as POS F1: seqeval's entity F1 on tags that have no B- or I- prefix.

    The first letter of a tag is taken for its prefix, so runs of one tag merge into one span,
    SCONJ and CCONJ are one type, and SYM, SCONJ and INTJ are cut by the rules for S- and I-.
    Wanted for comparison with published numbers only; use `token_accuracy` to say how many words
    are right. XTREME (Hu et al. 2020), its evaluation script at google-research/xtreme@838c13b;
    for what was compared see `raystilts.metrics.tagging`.

    Args:
        pred: Predicted UPOS tags, a list a sentence.
        gold: Gold UPOS tags.

    Returns:
        A number in 0..1.

    Raises:
        ValueError: Sentences or their lengths do not match, there are none, or a tag is empty.
    """
    return entity_f1(pred, gold)


def token_accuracy(pred: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """The share of words whose tag is right, over all sentences together.

    Args:
        pred: Predicted tags, a list a sentence.
        gold: Gold tags.

    Returns:
        A number in 0..1.

    Raises:
        ValueError: Sentences or their lengths do not match, or there are no words.
    """
    require_same_shape(pred, gold)
    words = sum(len(sentence) for sentence in gold)
    if not words:
        raise ValueError("no words to score: every sentence is empty")
    right = sum(
        p == g for predicted, wanted in zip(pred, gold, strict=True) for p, g in zip(predicted, wanted, strict=True)
    )
    return right / words
