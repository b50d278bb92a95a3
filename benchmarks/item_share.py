"""How much of the binomial variance p(1-p)/n is an arm's luck with its items? From results with `predictions: all`.

Of each target, in each language and over the mean of its languages: what the seeds of an arm have in common on an item
beyond what all arms share (the part that no seed shows; unlike `item_noise` it may come out below 0, so that means
over sets are not too high), and what one run of an arm has beyond what all arms share (the part that is left to arms
without seeds). Both as a share of the binomial variance of the scores, summed over sets. Targets that are not learnt
are left out: their arms differ by the class that they guess.

    python benchmarks/item_share.py RESULTS...
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raystilts.results.results import Results

FloatArray = npt.NDArray[np.float64]
MEAN = "mean over languages"


@dataclass(frozen=True, slots=True)
class Found:
    """One set of items that all arms of a target were scored on.

    Attributes:
        binomial: Mean over arms of p(1-p)/n.
        alike: Mean over arms of the variance that its seeds have in common beyond all arms'; nan without seeds.
        alone: Mean over arms of the variance of one run beyond what all arms share.
    """

    study: str
    target: str
    kind: str
    split: str
    scope: str
    items: int
    arms: int
    seeds: int
    binomial: float
    alike: float
    alone: float


def variances(table: FloatArray) -> tuple[float, float]:
    """`Found.alike` and `Found.alone` of ``[arms, seeds, items]``; runs that are missing are nan."""
    number = table.shape[2]
    runs = ~np.isnan(table).any(axis=2)
    arm = np.nonzero(runs)[0]
    rows = table[runs]
    between = np.cov(rows) / number
    other = ~np.eye(len(rows), dtype=np.bool_)
    same = arm[:, None] == arm[None, :]
    # each arm counts once, however many seeds it has
    weight = 1.0 / np.bincount(arm, minlength=len(table))[arm]
    common = np.average(between[~same], weights=np.outer(weight, weight)[~same])
    alone = np.average(np.diag(between), weights=weight)
    within = same & other
    alike = [between[np.ix_(arm == one, arm == one)] for one in np.unique(arm[within.any(axis=1)])]
    own = [float(part[~np.eye(len(part), dtype=np.bool_)].mean()) for part in alike]
    return float(np.mean(own) - common) if own else float("nan"), float(alone - common)


def sets(results: Results, name: str) -> Iterator[Found]:
    """Every set of items of a results folder."""
    known = results.known_items()
    learnt = {(a.target, a.target_fraction): a.learnt for a in results.answers()}
    for split in ("dev", "test"):
        for stratum in results.strata(split):
            if not learnt.get((stratum.target, stratum.target_fraction)):
                continue
            facts = results.tasks().get(stratum.target)
            tables = {one: known[split].table(stratum, one) for one in stratum.languages}
            there = {one: table for one, table in tables.items() if table is not None}
            alike = len({table.shape[2] for table in there.values()}) == 1 and len(there) > 1
            over = {MEAN: np.mean(list(there.values()), axis=0)} if alike else {}
            for scope, table in (there | over).items():
                factor = len(there) if scope == MEAN else 1
                present = ~np.isnan(table).all(axis=(1, 2))
                means = np.nanmean(table[present], axis=(1, 2))
                yield Found(
                    name, stratum.target, "" if facts is None else facts.type, split, scope, factor * table.shape[2],
                    len(means), int((~np.isnan(table[:, :, 0])).sum(axis=1).max()),
                    float(np.mean(means * (1 - means))) / (factor * table.shape[2]), *variances(table),
                )  # fmt: skip


def shares(found: list[Found]) -> tuple[float, float]:
    """What seeds have in common, and what one run has, over the binomial variance; each set as much as any other."""
    binomial = np.array([one.binomial * one.items for one in found])
    alike, alone = (np.array([getattr(one, name) * one.items for one in found]) for name in ("alike", "alone"))
    seen = ~np.isnan(alike)
    shared = float(alike[seen].sum() / binomial[seen].sum()) if seen.any() else float("nan")
    return shared, float(alone.sum() / binomial.sum())


def tell(title: str, found: list[Found], key: Callable[[Found], tuple[object, ...]]) -> None:
    """One table: a row a group."""
    groups: dict[tuple[object, ...], list[Found]] = defaultdict(list)
    for one in found:
        groups[key(one)].append(one)
    print(f"\n|{title}|sets|items a set|seeds|share, seeds alike|share, one run|\n|---|---|---|---|---|---|")
    for name, several in sorted(groups.items(), key=lambda pair: str(pair[0])):
        alike, alone = shares(several)
        items, seeds = ([getattr(one, field) for one in several] for field in ("items", "seeds"))
        print(
            f"|{', '.join(str(part) for part in name)}|{len(several)}|{_range(items)}|{_range(seeds)}"
            f"|{alike:.2f}|{alone:.2f}|"
        )


def _range(values: list[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", nargs="+")
    found = []
    for place in parser.parse_args().results:
        results = Results(place)
        study = results.study()
        found += list(sets(results, place if study is None else study.name))
    single = [one for one in found if one.scope != MEAN]
    tell("target, in one language", single, lambda one: (one.study, one.target, one.split))
    tell("kind of task", single, lambda one: (one.kind,))
    tell("items", single, lambda one: (f"{100 * (one.items // 100):>4} to {100 * (one.items // 100) + 99}",))
    tell(MEAN, [one for one in found if one.scope == MEAN], lambda one: (one.study, one.target, one.split))
    tell("all", single, lambda one: ("one language",))


if __name__ == "__main__":
    main()
