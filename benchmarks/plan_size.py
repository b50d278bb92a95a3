"""How long a plan of 100,000 cells takes: prints cells, stages and seconds.

python benchmarks/plan_size.py [--cells 100000]
"""

from __future__ import annotations

import argparse
import time

from raystilts.planning.stages import plan
from raystilts.study.schema import Study

ARMS = ["cldr_names", "cldr_units", "cldr_span", "cldr_same", "cldr_choice"]
TARGETS = ["cldr_dates", "cldr_units", "cldr_span", "cldr_same", "cldr_match"]
FRACTIONS = [0.05, 0.1, 0.25, 0.5, 1.0]


def study(cells: int) -> Study:
    """A study of at least so many cells: single tasks and pairs, fractions on both sides, as many seeds as it takes."""
    pairs = [{"tasks": [one, other]} for one in ARMS for other in ARMS if one < other]
    arms = ["none", *ARMS, *pairs]
    a_seed = len(FRACTIONS) * (1 + len(FRACTIONS) * (len(arms) - 1)) * (len(TARGETS) - 1)
    return Study.model_validate(
        {
            "name": "plan_size",
            "intermediates": arms,
            "targets": [{"task": name, "languages": ["de"]} for name in TARGETS],
            "intermediate_fractions": FRACTIONS,
            "target_fractions": FRACTIONS,
            "seeds": list(range(-(-cells // a_seed))),
        }
    )


def main() -> None:
    """Plans once and prints what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    one = study(parser.parse_args().cells)
    started, worked = time.perf_counter(), time.process_time()
    planned = plan(one)
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    print(
        f"cells {len(planned.cells)}  stages {len(planned.stages)}  seconds {seconds:.2f}  of processor {processor:.2f}"
    )


if __name__ == "__main__":
    main()
