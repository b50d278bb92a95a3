"""The best arm per language: macro posterior plus shrunk arm-by-language deviations.

Languages are a fixed set, not a sample: seeds vary, languages do not. The macro score is the
mean over the languages that every run has. A language's own answer borrows from the macro: the
arm's deviation in it is shrunk by how much of the spread of deviations is more than seed noise
(empirical Bayes for an interaction, Searle, Casella and McCulloch, "Variance Components", 1992).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from raystilts.errors import UserError
from raystilts.ranking.intervals import BoolArray, Decomposition, FloatArray, Mask, decompose
from raystilts.ranking.posterior import DRAWS, Posterior, rank_arms, tied_groups
from raystilts.ranking.sampler import generator, variance_factors


@dataclass(frozen=True, slots=True, eq=False)
class LanguageRanking:
    """Posteriors over a fixed, complete language set.

    Attributes:
        macro: Posterior of the mean over `languages`.
        by_language: Posterior in each of `languages` asked for, in their order; empty where the
            seed variance is unknown.
        languages: Languages that every run has a score in: what the macro averages.
        left_out: Languages that some run lacks.
        shrinkage: ``[arms]``, share of an arm's deviation in a language that is kept: 0 says that
            the languages agree on the arm up to noise, 1 that there is no seed noise.
    """

    macro: Posterior
    by_language: dict[str, Posterior]
    languages: tuple[str, ...]
    left_out: tuple[str, ...]
    shrinkage: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Deviations:
    """Double-centred arm-by-language deviations and their noise."""

    fits: tuple[Decomposition, ...]
    values: FloatArray  # [arms, languages], nan for absent arms
    noise: FloatArray  # [arms], sampling variance of a deviation
    shrinkage: FloatArray  # [arms]
    df: float


def rank_languages(
    scores: npt.ArrayLike,
    languages: Sequence[str],
    *,
    deterministic: Mask | None = None,
    eligible: Mask | None = None,
    learnt: bool = True,
    stream: str = "",
    only: Collection[str] | None = None,
    draws: int = DRAWS,
) -> LanguageRanking:
    """The macro posterior and one posterior a language.

    Args:
        scores: ``[arms, seeds, languages]``, arm 0 is none; a run that is missing or failed is nan
            in every language.
        languages: Names along the last axis.
        deterministic: As for `posterior.rank_arms`, like all that follow.
        eligible: Arms that may be called best.
        learnt: Whether the target is learnt.
        stream: Name of the stratum.
        only: Languages to answer for; all of them still take part. Default: all.
        draws: Number of joint draws.

    Raises:
        UserError: Wrong shapes, repeated names, or no language that every run has.
    """
    table = _check(scores, languages)
    complete = _complete(table)
    kept = tuple(name for name, whole in zip(languages, complete, strict=True) if whole)
    left_out = tuple(name for name in languages if name not in kept)
    if not kept:
        raise UserError(
            "no language has a score in every run, so there is no macro mean; evaluate the kept "
            "checkpoints on a common set of languages, or leave out the runs that lack one"
        )
    table = table[:, :, complete]
    macro = rank_arms(
        table.mean(axis=2),
        deterministic=deterministic,
        eligible=eligible,
        learnt=learnt,
        stream=stream,
        draws=draws,
    )
    parts = _deviations(table, macro.fit)
    result = LanguageRanking(macro, {}, kept, left_out, parts.shrinkage)
    if macro.determined:
        result.by_language.update(_by_language(macro, parts, kept, only, stream))
    return result


def _by_language(
    macro: Posterior,
    parts: _Deviations,
    languages: tuple[str, ...],
    only: Collection[str] | None,
    stream: str,
) -> dict[str, Posterior]:
    base = macro.draws
    draws = base.shape[1]
    tied = tied_groups(macro.fit, macro.competes)
    keep = parts.shrinkage[:, None]
    order = np.argsort(macro.fit.effects, kind="stable")
    answers = {}
    for column, (name, fit) in enumerate(zip(languages, parts.fits, strict=True)):
        if only is not None and name not in only:
            continue
        rng = generator("language", stream, name, draws, macro.fit.counts[order].tolist())
        factors = variance_factors(parts.df, draws, rng)
        noise = np.empty_like(base)
        noise[order] = rng.standard_normal(base.shape)
        error = np.sqrt(keep * parts.noise[:, None] * factors) * noise
        level = float(np.nanmean(fit.effects - macro.fit.effects))
        shifted = base + level + keep * parts.values[:, [column]] + error
        shown = replace(macro.fit, effects=fit.effects)
        still_tied = [g for g in tied if np.allclose(fit.effects[g], fit.effects[g[0]], 1e-12)]
        answers[name] = Posterior(shifted, shown, macro.competes, still_tied, macro.noise, lost=macro.lost)
    return answers


def _deviations(table: FloatArray, macro: Decomposition) -> _Deviations:
    """Deviations d, the residual seed-by-language variance v_e, and B = 1 - (v_e / n) / var d."""
    arms, _, languages = table.shape
    fixed = macro.deterministic
    fits = tuple(decompose(table[:, :, k], deterministic=fixed) for k in range(languages))
    effects = np.stack([fit.effects for fit in fits], axis=1)
    present = macro.present
    values = np.full((arms, languages), np.nan)
    inner = effects[present]
    values[present] = inner - inner.mean(axis=1, keepdims=True) - inner.mean(axis=0) + inner.mean()
    df = macro.df * (languages - 1)
    variance = _interaction_variance(fits, macro, df)
    free = present & ~fixed
    noise = np.where(free, variance / np.maximum(macro.counts, 1), 0.0)
    cells = (int(present.sum()) - 1) * (languages - 1)
    spread = float((values[present] ** 2).sum()) / cells if cells > 0 else 0.0
    keep = np.ones(arms)
    if spread > 0.0 and df > 0:
        keep[free] = np.maximum(0.0, 1.0 - noise[free] / spread)
    elif df > 0:
        keep[free] = 0.0
    return _Deviations(fits, values, noise, keep, float(df) if df > 0 else np.inf)


def _interaction_variance(fits: tuple[Decomposition, ...], macro: Decomposition, df: int) -> float:
    """Residual seed-by-language variance: the languages' residuals less the macro's share."""
    if df <= 0:
        return 0.0
    total = sum(fit.variance * fit.df for fit in fits)
    # residuals are linear in the scores, so the macro's residual is the mean of the languages'
    return max(0.0, float(total) - len(fits) * macro.variance * macro.df) / df


def _check(scores: npt.ArrayLike, languages: Sequence[str]) -> FloatArray:
    table = np.array(scores, dtype=np.float64)
    if table.ndim != 3 or table.shape[2] != len(languages) or table.shape[0] == 0:
        raise UserError(
            f"scores has shape {table.shape}, but must be [arms, seeds, languages] with "
            f"{len(languages)} languages; give one layer a language, in the order of the names"
        )
    if len(set(languages)) != len(languages):
        raise UserError("a language is named twice; give each language once")
    if np.isinf(table).any():
        raise UserError("scores holds an infinite value; mark a failed run with nan")
    return table


def _complete(table: FloatArray) -> BoolArray:
    """Languages with a score in every run that has any score."""
    seen = ~np.isnan(table)
    runs = seen.any(axis=2)
    if not runs.any():
        return np.zeros(table.shape[2], dtype=np.bool_)
    return np.asarray(seen[runs].all(axis=0), dtype=np.bool_)
