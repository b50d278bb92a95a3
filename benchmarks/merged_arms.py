"""Do merged arms beat their members, the mixture of the members' tasks, and no intermediate task?

    python benchmarks/merged_arms.py RESULTS

For each target: the mean test score of a merge minus that of each of its members, of the arm that trains on the same
tasks mixed, and of `none`, over the seeds that they share, with 95 % t intervals. The variance is the residual one of
an additive model of arms and seeds, pooled over all arms of the target (`raystilts.ranking.intervals`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from raystilts import Results
from raystilts.analysis.inference import student_half
from raystilts.analysis.reading import read_strata, table_of
from raystilts.ranking.intervals import decompose, gain_variance
from raystilts.study.arms import Arms
from raystilts.study.schema import Study


def comparisons(study: Study) -> Iterator[tuple[str, str]]:
    """Each merge with its members, with the mixture of all their tasks, and with no intermediate task."""
    arms = Arms(study.intermediates)
    for arm in study.intermediates:
        if arm.merge is None:
            continue
        yield from ((arm.label, member.label) for member in arms.members(arm))
        tasks = set(arms.tasks_of(arm))
        mixed = (one for one in study.intermediates if len(one.tasks) > 1 and set(one.tasks) == tasks)
        yield from ((arm.label, one.label) for one in mixed)
        yield arm.label, "none"


def main() -> None:
    results = Results(sys.argv[1])
    study = results.study()
    if study is None:
        sys.exit(f"{sys.argv[1]} holds no study.json")
    print(f"{'target':<10} {'merge':<20} {'minus':<14} {'points':>7}  {'95 % interval':<16} seeds")
    for stratum in read_strata(results):
        fit = decompose(table_of(stratum, None), deterministic=stratum.deterministic)
        rows = {arm.intermediate: row for row, arm in enumerate(stratum.arms)
                if arm.intermediate_fraction in (None, study.compared_fraction)}  # fmt: skip
        for merge, other in comparisons(study):
            if merge not in rows or other not in rows or not (fit.present[rows[merge]] and fit.present[rows[other]]):
                continue
            one, two = rows[merge], rows[other]
            difference = 100 * float(fit.effects[one] - fit.effects[two])
            half = 100 * student_half(*gain_variance(fit, one, two)) if fit.df > 0 else float("nan")
            interval = f"[{difference - half:+.1f}, {difference + half:+.1f}]"
            seeds = min(int(fit.counts[one]), int(fit.counts[two]))
            print(f"{stratum.target:<10} {merge:<20} {other:<14} {difference:>+7.1f}  {interval:<16} {seeds}")


if __name__ == "__main__":
    main()
