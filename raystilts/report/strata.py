"""The posterior of one stratum as it is stored: of the mean over languages, or of one language."""

from __future__ import annotations

import numpy as np

from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.languages import rank_languages
from raystilts.ranking.posterior import Posterior, rank_arms
from raystilts.results.strata import Stratum


def rank_stratum(stratum: Stratum, language: str | None, eligible: list[bool], stream: str) -> Posterior:
    """The posterior of the mean over languages, or of one language, which borrows from the others."""
    fixed = stratum.deterministic
    if language is not None and language != stratum.language and len(stratum.languages) > 1:
        found = rank_languages(
            stratum.by_language, stratum.languages, deterministic=fixed, eligible=eligible, stream=stream,
            only=[language],
        )  # fmt: skip
        if language in found.by_language:
            return found.by_language[language]
    return rank_arms(scores_of(stratum, language), deterministic=fixed, eligible=eligible, stream=stream)


def scores_of(stratum: Stratum, language: str | None) -> FloatArray:
    """Scores ``[arms, seeds]`` of the mean, or of one of the languages that the stratum has apart."""
    if language is None or language == stratum.language:
        return stratum.scores
    return stratum.by_language[:, :, stratum.languages.index(language)]


def was_run(test: Stratum, row: int) -> bool:
    """Whether anything is known of an arm; the baseline has a row also where it was never run."""
    ended = test.failed[row] + test.stopped[row] + test.degenerate[row]
    return bool(ended or np.isfinite(test.scores[row]).any())
