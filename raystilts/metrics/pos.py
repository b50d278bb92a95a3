"""Part-of-speech scores: the "F1" of XTREME and token accuracy, which are not the same."""

from __future__ import annotations

from collections.abc import Sequence

from raystilts.metrics.spans import entity_f1, require_same_shape


def xtreme_pos_f1(pred: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """What XTREME reports as POS F1: seqeval's entity F1 on tags that have no B- or I- prefix.

    The first letter of a tag is taken for its prefix, so runs of one tag merge into one span,
    SCONJ and CCONJ are one type, and SYM, SCONJ and INTJ are cut by the rules for S- and I-.
    Wanted for comparison with published numbers only; use `token_accuracy` to say how many words
    are right. XTREME (Hu et al. 2020), its evaluation script at google-research/xtreme@838c13b;
    for what was compared see `raystilts.metrics.spans`.

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
        p == g
        for predicted, wanted in zip(pred, gold, strict=True)
        for p, g in zip(predicted, wanted, strict=True)
    )
    return right / words
