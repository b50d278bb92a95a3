"""Exact match and F1 of SQuAD v1.1 and v2.0, for one question.

SQuAD v1.1 (Rajpurkar et al. 2016) strips English articles and ASCII punctuation; XQuAD and
TyDiQA-GoldP use this normaliser for every language, Chinese and Arabic too.

Compared with the v1.1 script in google-research/xtreme@838c13b on 100,000 random questions, and
with the rules of the v2.0 script (Rajpurkar et al. 2018), written out again, on as many: within
2e-16.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, single spaces.

    Punctuation goes before articles are looked for, so "the-cat" becomes "thecat" and "U.S."
    becomes "us". Punctuation outside ASCII ("。", "«") stays.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def token_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two bags of tokens: 0 where they share none, so also where both are empty."""
    shared = sum((Counter(predicted) & Counter(gold)).values())
    return 2 * shared / (len(predicted) + len(gold)) if shared else 0.0


def exact_match(prediction: str, golds: Sequence[str], normalize: Callable[[str], str] = normalize_answer) -> float:
    """1 if the prediction equals any gold answer after normalisation, else 0 (SQuAD v1.1).

    Args:
        prediction: The predicted answer; may be empty.
        golds: The gold answers, at least one.
        normalize: What is left of an answer when it is compared; MLQA has a rule a language.

    Raises:
        ValueError: There is no gold answer.
    """
    require_golds(golds)
    normal = normalize(prediction)
    return float(any(normal == normalize(gold) for gold in golds))


def f1(prediction: str, golds: Sequence[str], normalize: Callable[[str], str] = normalize_answer) -> float:
    """Token F1 with the gold answer that fits best (SQuAD v1.1), 0..1.

    As in the script, two answers with no token left ("The" and "the") have F1 0 although they
    match exactly. The arguments, and what is raised, are those of `exact_match`.
    """
    require_golds(golds)
    tokens = normalize(prediction).split()
    return max(token_f1(tokens, normalize(gold).split()) for gold in golds)


def exact_match_v2(prediction: str, golds: Sequence[str]) -> float:
    """`exact_match` where no gold answer means that "" is the right prediction (SQuAD v2.0)."""
    return exact_match(prediction, _answers_or_none(golds))


def f1_v2(prediction: str, golds: Sequence[str]) -> float:
    """`f1` where no gold answer means that "" is the right prediction (SQuAD v2.0).

    Unlike v1.1, two answers with no token left have F1 1; one with and one without have 0.
    """
    tokens = normalize_answer(prediction).split()
    golds_tokens = [normalize_answer(gold).split() for gold in _answers_or_none(golds)]
    return max(token_f1(tokens, gold) if tokens and gold else float(tokens == gold) for gold in golds_tokens)


def require_golds(golds: Sequence[str]) -> None:
    """Refuses a question with no gold answer.

    Raises:
        ValueError: `golds` is empty.
    """
    if not golds:
        raise ValueError("the question has no gold answer: score it with exact_match_v2 and f1_v2, or drop it")


def _answers_or_none(golds: Sequence[str]) -> list[str]:
    """The golds that have a token, or "" alone: the v2.0 script drops "the" and "..."."""
    return [gold for gold in golds if normalize_answer(gold)] or [""]
