"""False-positive rates of the tests behind `raystilts analyze domain-shift`, by simulation without any effect.

    python benchmarks/domain_simulation.py

Gains and distances of pairs are made of parts of the intermediate, of the target and of the pair, drawn independently
of each other: whatever goes together does so by chance. Two sets of embeddings are drawn from one distribution.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from raystilts.analysis.domain_distances import mmd
from raystilts.analysis.domain_shift import Embedded, shift, study_offsets
from raystilts.analysis.inference import qap

Matrix = NDArray[np.float64]


def pairs(rng: np.random.Generator, rows: int, columns: int, share: float) -> Matrix:
    """Intermediates by targets; `share` of the variance within targets belongs to the intermediate."""
    own, level = rng.normal(size=(rows, 1)), 3 * rng.normal(size=(1, columns))
    found: Matrix = np.sqrt(share) * own + level + np.sqrt(1 - share) * rng.normal(size=(rows, columns))
    return found


def relation_rates(rows: int, share: float, gaps: bool, times: int, rng: np.random.Generator) -> tuple[float, float]:
    """Shares of p below .05: of the permutation of intermediates, and of Spearman over centred pairs."""
    ours, naive = 0, 0
    for time in range(times):
        one, other = pairs(rng, rows, 5, share), pairs(rng, rows, 5, share)
        if gaps:  # arms that train on a target's own data are left out there
            other[rng.integers(rows), rng.integers(5)] = np.nan
        ours += qap(one, other, 199, seed=time).p <= 0.05
        known = np.isfinite(other)
        centred = [(x - np.nanmean(np.where(known, x, np.nan), axis=0))[known] for x in (one, other)]
        naive += spearmanr(*centred).pvalue <= 0.05
    return ours / times, naive / times


def power(rows: int, rho: float, times: int, rng: np.random.Generator) -> float:
    """Share of p below .05 where gains follow distance with a correlation of about `rho` within targets."""
    found = 0
    for time in range(times):
        one = pairs(rng, rows, 5, 0.4)
        other = rho * one + np.sqrt(1 - rho**2) * pairs(rng, rows, 5, 0.4)
        found += qap(one, other, 199, seed=time).p <= 0.05
    return found / times


def mmd_rate(texts: int, width: int, times: int, rng: np.random.Generator, languages: int = 1) -> tuple[float, float]:
    """Shares of p below .05 for two sets of one domain, of which the second is in several languages.

    Of the test that is made, of the English texts; and of one over all texts, whose zero points are estimates.
    """
    ours, naive = 0, 0
    scale = np.linspace(0.2, 2, width)
    for time in range(times):
        one, other = (rng.normal(size=(texts, width)) * scale for _ in range(2))
        parts = np.array_split(other, languages)
        moved = {("en" if i == 0 else str(i)): part + i for i, part in enumerate(parts)}
        sets = {"one": Embedded({"en": one}, None), "other": Embedded(moved, None)}
        offsets = study_offsets(sets)
        found = shift(("one", "other"), sets["one"], sets["other"], offsets, (), 199).mmd_p
        ours += found is not None and found <= 0.05
        naive += mmd(sets["one"].centred(offsets)[0], sets["other"].centred(offsets)[0], 199, seed=time).p <= 0.05
    return ours / times, naive / times


def main() -> None:
    """Prints the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    times = parser.parse_args().times
    rng = np.random.default_rng(0)
    error = np.sqrt(0.05 * 0.95 / times)
    print(f"rates at a nominal .050, {times} simulations (s.e. {error:.3f})")
    for rows in (8, 10, 15):
        for share in (0.0, 0.4):
            for gaps in (False, True):
                ours, naive = relation_rates(rows, share, gaps, times // (10 if gaps else 1), rng)
                words = (
                    f"{rows} intermediates, {share:.0%} of the variance theirs{', one pair missing' if gaps else ''}"
                )
                print(f"  relation, {words}: permuting intermediates {ours:.3f}, Spearman over pairs {naive:.3f}")
    for rows in (8, 10, 15):
        rates = ", ".join(f"rho {rho} {power(rows, rho, times // 2, rng):.2f}" for rho in (0.3, 0.6))
        print(f"  power with {rows} intermediates: {rates}")
    for texts, width, languages in ((50, 16, 1), (100, 64, 1), (100, 16, 5)):
        ours, naive = mmd_rate(texts, width, times // 2, rng, languages)
        words = f"{texts} texts a set, {width} dimensions, the second in {languages} language(s)"
        print(f"  MMD, {words}: English texts {ours:.3f}, all texts at one zero point {naive:.3f}")


if __name__ == "__main__":
    main()
