"""False-positive rates and coverage of the analyses on simulated studies of real sizes, against their nominal values.

    OMP_NUM_THREADS=1 python benchmarks/analysis_simulation.py [--studies 1000] [--only gains]

Scores are in points: noise between seeds 1 point, a common shift of each seed 1.5 points, noise of a language within a
run 0.7 points. Everything is printed as Markdown tables; +- is one standard error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from raystilts.analysis.curves import CHECK_LEVEL, SizeMeans, hold_out, judge_curve, size_reaching
from raystilts.analysis.gains import language_gains
from raystilts.analysis.inference import partial_spearman, spearman
from raystilts.analysis.language_similarity import group_means, language_effects
from raystilts.analysis.slopes import compare_slopes
from raystilts.analysis.target_size import TargetCurve, target_curves
from raystilts.ranking.intervals import FloatArray
from raystilts.results.stratum import Arm, Final, Place, Stratum, build_stratum

SIZES = np.array([300.0, 700, 1_500, 3_000, 5_000, 10_000])
NOISE, SHIFT, LANGUAGE = 0.01, 0.015, 0.007
PERMUTATIONS = 399


def stratum(
    arms: Sequence[tuple[str, float | None]], scores: FloatArray, target: str, fraction: float = 1.0
) -> Stratum:
    """``scores[arms, seeds, languages]`` as the store gives them."""
    names = tuple(f"l{i:02d}" for i in range(scores.shape[2]))
    place = Place(
        target=target, target_fraction=fraction, split="test", language=None, languages=names, metric="accuracy"
    )
    finals = [
        Final(Arm(name, part, "{}"), seed, float(run.mean()), None, run.tolist())
        for (name, part), rows in zip(arms, scores, strict=True)
        for seed, run in enumerate(rows)
    ]
    return build_stratum(place, finals, [])


def runs(rng: np.random.Generator, means: FloatArray, seeds: int, languages: int) -> FloatArray:
    """Scores ``[arms, seeds, languages]`` around the arms' true means (``[arms]`` or ``[arms, languages]``)."""
    truth = means[:, None, None] if means.ndim == 1 else means[:, None, :]
    return (
        truth
        + rng.normal(0, SHIFT, (1, seeds, 1))
        + rng.normal(0, NOISE, (len(means), seeds, 1))
        + rng.normal(0, LANGUAGE, (len(means), seeds, languages))
    )


def never(intermediate: str, target: str) -> bool:
    return False


def share(hits: Sequence[bool] | FloatArray) -> str:
    """A rate with its standard error."""
    values = np.asarray(hits, dtype=float)
    if not values.size:
        return "-"
    mean = float(values.mean())
    return f"{mean:.3f} ± {(mean * (1 - mean) / values.size) ** 0.5:.3f}"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n{title}\n\n|{'|'.join(head)}|\n|{'---|' * len(head)}")
    for row in rows:
        print(f"|{'|'.join(row)}|")


def size_means(rng: np.random.Generator, truth: FloatArray, seeds: int) -> SizeMeans:
    """Means of a curve, with the variance of a table of two more arms."""
    df = (len(truth) + 2) * (seeds - 1)
    spread = (NOISE**2 + LANGUAGE**2 / 10) ** 0.5
    means = truth + rng.normal(0, spread / seeds**0.5, len(truth))
    variance = spread**2 * rng.chisquare(df) / df
    return SizeMeans(SIZES[: len(truth)], means, np.full(len(truth), float(seeds)), variance, df)


def sizes(studies: int) -> None:
    """Curves of six sizes: what is refused, and whether the intervals of what is shown hold the truth."""
    relative = SIZES / SIZES[0]
    shapes: dict[str, Callable[[FloatArray], FloatArray]] = {
        "alpha 0.3, 8 points": lambda d: 0.20 * (1 - d**-0.3),
        "alpha 0.5, 8 points": lambda d: 0.10 * (1 - d**-0.5),
        "alpha 1, 8 points": lambda d: 0.083 * (1 - d**-1.0),
        "alpha 0.5, 2 points": lambda d: 0.025 * (1 - d**-0.5),
        "flat": lambda d: 0.0 * d,
        "hump of 4 points": lambda d: 0.04 * (1 - (np.log(d / 5) / np.log(5)) ** 2),
    }
    rows = []
    for name, shape in shapes.items():
        for seeds in (3, 5):
            rng = np.random.default_rng(1)
            judged, covered, alphas, better = [], [], [], []
            for _ in range(studies):
                points = size_means(rng, shape(relative), seeds)
                one = judge_curve(points)
                judged.append((one.refused is not None, one.monotone_p is not None and one.monotone_p < CHECK_LEVEL))
                if one.refused is None and one.law is not None and name.startswith("alpha"):
                    far = one.law.predict(float(10 * SIZES[-1]))
                    covered.append(far.low <= float(shape(10 * relative[-1:])[0]) <= far.high)
                    alphas.append(one.law.alpha.low <= float(name.split()[1].strip(",")) <= one.law.alpha.high)
                held = hold_out(points)
                better.append(held is not None and held.better)
            refused, bent = np.array(judged, dtype=float).T
            rows.append([name, str(seeds), share(refused), share(bent), share(alphas), share(covered), share(better)])
    head = (
        "truth", "seeds", "refused", "called not monotone", "alpha in its interval", "10 x the data in its interval",
        "beats the last value",
    )  # fmt: skip
    table("Size curves (nominal: .05 or less not monotone where it is, .95 in the intervals)", head, rows)


def grown(rng: np.random.Generator, target: str, seeds: int, slope: float, luck: FloatArray) -> Stratum:
    """One target of a size study: `none` and two arms at six sizes; `luck` is that of checkpoints, for all targets."""
    rise = slope * np.log10(SIZES / SIZES[0])
    scores = runs(rng, np.concatenate([[0.6], 0.6 + rise, 0.6 + rise]), seeds, 4) + luck[:, :, None]
    arms = [("none", None), *((name, size / SIZES[-1]) for name in ("mnli", "squad") for size in SIZES)]
    return stratum(arms, scores, target)


def slopes(studies: int) -> None:
    """Three targets against one, two intermediates: false positives, and the power for a point."""
    rows = []
    for seeds in (3, 5, 10):
        rng = np.random.default_rng(2)
        false: list[bool] = []
        seen: list[bool] = []
        said: list[float] = []
        for _ in range(studies // 4):
            luck = np.concatenate([np.zeros((1, seeds)), rng.normal(0, NOISE / 2, (12, seeds))])
            for effect, hits in ((0.0, false), (0.01, seen)):
                strata = [grown(rng, name, seeds, 0.01 + effect, luck) for name in ("udpos", "panx", "xquad")]
                strata.append(grown(rng, "pawsx", seeds, 0.01, luck))
                found = compare_slopes(strata, ["pawsx"], lambda name, part: part * SIZES[-1], never)
                assert found is not None
                assert found.p is not None
                hits.append(found.p < 0.05)
                if effect:
                    said.append(found.power or 0.0)
        rows.append([str(seeds), share(false), share(seen), f"{float(np.mean(said)):.3f}"])
    head = ("seeds", "false positives", "a true difference of 1 point is seen", "power said")
    table("Slopes of two groups of targets (nominal .05)", head, rows)


def gains(studies: int) -> None:
    """Four arms: any false gain in a family without gains, joint coverage, and the plain intervals' false gains."""
    rows = []
    for languages in (7, 15, 40):
        for seeds in (3, 5):
            rng = np.random.default_rng(3)
            false, held, naive = [], [], []
            for _ in range(max(100, studies // 10)):
                arms = [("none", None), *((name, 1.0) for name in ("mnli", "squad", "hellaswag", "ccg"))]
                found = language_gains(stratum(arms, runs(rng, np.full(5, 0.6), seeds, languages), "xnli"), never)
                members = [one for one in found if one.language is not None]
                false.append(any((one.p_holm or 1) < 0.05 for one in members))
                held.append(all((one.joint_low or 0) <= 0 <= (one.joint_high or 0) for one in members))
                naive.append(any((one.p or 1) < 0.05 for one in members))
            rows.append([str(languages), str(seeds), share(false), share(held), share(naive)])
    head = ("languages", "seeds", "any false gain (Holm)", "all joint intervals hold", "any false gain, unadjusted")
    table("Gains by language, four arms, no true gain (nominal .05, .95)", head, rows)


def similarity(studies: int) -> None:
    """No relation between gains and distance: how often one is found, done well and done badly."""
    rows = []
    for languages in (15, 40):
        rng = np.random.default_rng(4)
        found: dict[str, list[bool]] = {}
        levels = []
        for _ in range(studies):
            for name, p in _nulls(rng, languages).items():
                found.setdefault(name, []).append(p < 0.05)
            levels.append(_levels(rng, languages))
        rows += [[str(languages), name, share(hits)] for name, hits in found.items()]
        same, own = np.array(levels).T
        rows.append([str(languages), "gains with the score of the same none: mean rho", f"{same.mean():+.3f}"])
        rows.append([str(languages), "gains with the score of other seeds of none: mean rho", f"{own.mean():+.3f}"])
    table("Gains and distance, no true relation (nominal .05)", ("languages", "what is tested", "found"), rows)


def _nulls(rng: np.random.Generator, languages: int) -> dict[str, float]:
    far = rng.normal(size=languages)
    own = rng.normal(size=languages)
    tasks = own + rng.normal(size=(3, languages))
    seen = np.where(rng.random((3, languages)) < 0.8, tasks, np.nan)
    means = language_effects(seen)
    known = np.isfinite(means)
    cells = np.isfinite(seen)
    # Related languages share half of their variance of both; the size of the data drives both.
    families = rng.permutation(np.arange(languages) % max(6, languages // 4))
    kin, kin_far = rng.normal(size=(2, languages))
    related, near = (rng.normal(size=languages) + kin[families], rng.normal(size=languages) + kin_far[families])
    size = rng.normal(size=languages)
    driven, driven_far = size + rng.normal(size=languages), size + rng.normal(size=languages)
    groups = [str(family) for family in families]
    over = spearman(group_means(near, groups)[1], group_means(related, groups)[1], PERMUTATIONS).p
    pooled = np.broadcast_to(far, seen.shape)[cells]
    return {
        "means of task-centred gains": spearman(far[known], means[known], PERMUTATIONS).p,
        "cells of three tasks pooled (not done here)": spearman(pooled, seen[cells], PERMUTATIONS).p,
        "related languages, each for itself": spearman(near, related, PERMUTATIONS).p,
        "related languages, means of families": over,
        "data size drives both, not held constant": spearman(driven_far, driven, PERMUTATIONS).p,
        "data size drives both, held constant": partial_spearman(driven_far, driven, size).p,
    }


def _levels(rng: np.random.Generator, languages: int) -> tuple[float, float]:
    """Rho of gains with the level of the same `none`, and of seeds that no gain uses; levels differ by 2 points."""
    true = rng.normal(0, 0.02, languages)
    noise = 0.02 / 3**0.5
    arm, none, other = (true + rng.normal(0, noise, languages) for _ in range(3))
    same = spearman(none, arm - none, 0).rho
    return same, spearman(other, arm - none, 0).rho


def worth(studies: int) -> None:
    """An intermediate worth as many examples as there are: coverage by draws and by a bootstrap over seeds."""
    steps = np.array([100.0, 200, 400, 800, 1_600, 3_200])
    none = 0.5 + 0.04 * np.log2(steps / 100)
    rows = []
    for seeds in (3, 5):
        rng = np.random.default_rng(5)
        drawn, booted, crossing = [], [], []
        for _ in range(max(100, studies // 5)):
            helps = np.stack([none, none + 0.04], axis=1)
            fades = np.stack([none, none + 0.06 - 0.03 * np.log2(steps / 100)], axis=1)  # zero at 400
            tables = [_size_table(rng, means, seeds) for means in helps]
            curve = _curve_of(tables, steps)
            point = curve.points[2]  # at 400, where the truth is 400 more
            drawn.append((point.worth_low or -np.inf) <= 400 <= (point.worth_high or np.inf))
            booted.append(_bootstrap(rng, tables, steps))
            tables = [_size_table(rng, means, seeds) for means in fades]
            faded = _curve_of(tables, steps)
            crossing.append((faded.crossing.low or -np.inf) <= 400 <= (faded.crossing.high or np.inf))
        rows.append([str(seeds), share(drawn), share(booted), share(crossing)])
    head = ("seeds", "worth, by draws", "worth, by a bootstrap over seeds (not done here)", "crossing, by draws")
    table("Worth in target examples, and where the curves cross (nominal .95)", head, rows)


def _size_table(rng: np.random.Generator, means: FloatArray, seeds: int) -> FloatArray:
    """`none`, the arm, and two more arms that help to know the noise."""
    return runs(rng, np.array([*means, means[0], means[0]]), seeds, 4)


def _curve_of(tables: Sequence[FloatArray], steps: FloatArray) -> TargetCurve:
    """The curve of the arm that is asked about."""
    strata = _as_strata(tables, steps)
    found = target_curves(strata, None, lambda name, part: part * float(steps[-1]), never)
    return next(curve for curve in found if curve.intermediate == "snli")


def _as_strata(tables: Sequence[FloatArray], steps: FloatArray) -> list[Stratum]:
    arms = [("none", None), ("snli", 1.0), ("ccg", 1.0), ("squad", 1.0)]
    return [stratum(arms, one, "xnli", float(step / steps[-1])) for one, step in zip(tables, steps, strict=True)]


def _bootstrap(rng: np.random.Generator, tables: Sequence[FloatArray], steps: FloatArray, draws: int = 400) -> bool:
    """Whether the percentile interval over resampled seeds holds the truth."""
    scores = np.stack([one.mean(axis=2)[:2] for one in tables])  # sizes, arms, seeds
    picks = rng.integers(0, scores.shape[2], (draws, scores.shape[2]))
    means = scores[:, :, picks].mean(axis=3)
    found = size_reaching(steps, means[:, 0].T, means[2, 1]) - 400
    low, high = np.sort(found)[[round(0.025 * (draws - 1)), round(0.975 * (draws - 1))]]
    return bool(low <= 400 <= high)


PARTS = {"sizes": sizes, "slopes": slopes, "gains": gains, "similarity": similarity, "worth": worth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000)
    parser.add_argument("--only", choices=list(PARTS), action="append")
    options = parser.parse_args()
    for name in options.only or PARTS:
        PARTS[name](options.studies)


if __name__ == "__main__":
    main()
