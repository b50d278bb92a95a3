"""What is concluded from scores: gains, P(best), sets of ties, on plain numpy tables."""

from raystilts.ranking.advice import Advice, advise
from raystilts.ranking.contrasts import Contrasts, Difference
from raystilts.ranking.degenerate import Flag, RunFacts, flag_run, mask_failed
from raystilts.ranking.intervals import Decomposition, GainInterval, decompose, gain_intervals
from raystilts.ranking.items import ItemNoise, binomial_noise, item_noise
from raystilts.ranking.languages import LanguageRanking, rank_languages
from raystilts.ranking.mcb import ArmMcb, Mcb, compare_with_best
from raystilts.ranking.overall import Overall, OverallArm, align, rank_overall
from raystilts.ranking.posterior import ArmPosterior, Posterior, rank_arms

__all__ = [
    "Advice",
    "ArmMcb",
    "ArmPosterior",
    "Contrasts",
    "Decomposition",
    "Difference",
    "Flag",
    "GainInterval",
    "ItemNoise",
    "LanguageRanking",
    "Mcb",
    "Overall",
    "OverallArm",
    "Posterior",
    "RunFacts",
    "advise",
    "align",
    "binomial_noise",
    "compare_with_best",
    "decompose",
    "flag_run",
    "gain_intervals",
    "item_noise",
    "mask_failed",
    "rank_arms",
    "rank_languages",
    "rank_overall",
]
