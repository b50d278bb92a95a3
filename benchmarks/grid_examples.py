"""Training examples of a study's whole grid by plan: one chain a cell, shared intermediates, and schedules.

    python benchmarks/grid_examples.py search_spaces/phang2020.yaml

Nothing is trained. One chain a cell trains its intermediate and its target, as scripts do that hand over checkpoints by
path. Shared, each distinct stage is trained once. A schedule trains a range: the least where the first comparison
settles everything, the most where no arm is ever outclassed; what it comes to on simulated curves is in
docs/measurements/schedules.md. Repeated epochs count.
"""

from __future__ import annotations

import argparse
from typing import Any

from raystilts import Study, plan
from raystilts.planning.stages import Plan
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import forecast
from raystilts.scheduling.schedule import Strata

#: Name, schedule and number of seeds.
SCHEDULES: tuple[tuple[str, Any, int], ...] = (
    ("full", "full", 3),
    ("asha", "asha", 3),
    ("full", "full", 5),
    ("race, 2 to 5 seeds", {"race": {"min_seeds": 2, "max_seeds": 5}}, 5),
)


def chains(planned: Plan) -> int:
    """Examples with one chain a cell."""
    found = 0
    for key in planned.cell_stages:
        stage = planned.stages[key]
        found += stage.examples + (planned.stages[stage.parent].examples if stage.parent else 0)
    return found


def trained(planned: Plan) -> tuple[float, float]:
    """Examples that the schedule trains, least and most."""
    graph = StageGraph(planned.stages, None if planned.study.schedule == "full" else Strata(planned, {}))
    expected = forecast(planned, graph)
    low, high = (
        sum(shares[key] * stage.examples for key, stage in planned.stages.items())
        for shares in (expected.low, expected.high)
    )
    return low, high


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", help="a study file")
    asked = parser.parse_args()
    fields = Study.from_file(asked.study).model_dump(exclude={"schedule", "seeds"})
    print("|seeds|cells|schedule|one chain a cell|trained, least|trained, most|ratio to chains|")
    print("|---|---|---|---|---|---|---|")
    for name, schedule, seeds in SCHEDULES:
        study = Study.model_validate({**fields, "schedule": schedule, "seeds": list(range(seeds))})
        planned = plan(study)
        every, (low, high) = chains(planned), trained(planned)
        ratio = f"{every / high:.1f}" if low == high else f"{every / high:.1f} to {every / low:.1f}"
        print(f"|{seeds}|{len(planned.cells)}|{name}|{every / 1e6:.1f} M|{low / 1e6:.1f} M|{high / 1e6:.1f} M|{ratio}|")


if __name__ == "__main__":
    main()
