"""How often the intervals of a suite's differences hold what they promise, in simulated studies.

Nine targets, of which two need no training for `none`; eight arms; the runs of one seed move together between targets
(correlation --together). The difference is that of a fixed mixture of arms, one a target, to `none`; its true value is
0. Beside it: the interval of who takes the targets' noise for independent.

    python benchmarks/suite_intervals.py
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from raystilts.ranking.contrasts import Contrasts

TARGETS, ARMS, UNTRAINED = 9, 8, 2
PICKS = [1, 1, 2, 2, 0, 3, 3, 1, 1]


def main() -> None:
    """Prints a line a number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--together", type=float, default=0.5, help="correlation of one run's noise between targets")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    print("seeds  holds 0 (of 0.95)  taking targets for independent  half width")
    for seeds in (2, 3, 5):
        worlds = [_world(rng, seeds, arguments.together) for _ in range(arguments.worlds)]
        holds, naive, width = np.mean(worlds, axis=0)
        print(f"{seeds:5d}  {holds:17.3f}  {naive:30.3f}  {width:10.3f}")


def _world(rng: np.random.Generator, seeds: int, together: float) -> tuple[bool, bool, float]:
    mix = np.linalg.cholesky((1 - together) * np.eye(TARGETS) + together)
    scores = np.einsum("tu,uas->tas", mix, rng.normal(size=(TARGETS, ARMS, seeds)))
    scores += np.einsum("tu,us->ts", mix, rng.normal(size=(TARGETS, seeds)))[:, None]
    fixed = np.zeros((TARGETS, ARMS), dtype=np.bool_)
    fixed[-UNTRAINED:, 0] = True
    scores[-UNTRAINED:, 0] = 0.0
    whole = Contrasts(scores, fixed).difference(PICKS, [0] * TARGETS, [1 / TARGETS] * TARGETS)
    apart = [_alone(scores[t], fixed[t], pick) for t, pick in enumerate(PICKS)]
    half = sum(width**2 for _, width in apart) ** 0.5
    value = sum(gain for gain, _ in apart)
    assert whole.low is not None
    assert whole.high is not None
    return whole.low <= 0 <= whole.high, abs(value) <= half, (whole.high - whole.low) / 2


def _alone(scores: npt.NDArray[np.float64], fixed: npt.NDArray[np.bool_], pick: int) -> tuple[float, float]:
    """One target's share of the difference, and half the width of its own interval."""
    found = Contrasts(scores[None], fixed[None]).difference([pick], [0], [1 / TARGETS])
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found.value, (found.high - found.low) / 2


if __name__ == "__main__":
    main()
