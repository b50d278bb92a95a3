"""`order: anytime` beside `longest_first`: when every target has an answer, and when all is done.

    python benchmarks/study_order.py quickstart phang2020

Stages are played on so many devices, each as long as its work in sub-words; nothing is trained.
"""

from __future__ import annotations

import argparse
import heapq
from collections import defaultdict
from pathlib import Path

from raystilts import Study
from raystilts.planning.cost import stage_tokens
from raystilts.planning.stages import Plan, plan
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import turns_of

SLOTS = (1, 8, 16, 32)
STUDIES = Path(__file__).parents[1] / "search_spaces"


def play(planned: Plan, slots: int) -> tuple[float, float]:
    """When all is done, and the share of that time after which every target has two arms that can be compared."""
    graph = StageGraph(planned.stages, turns=turns_of(planned))
    arms: dict[str, set[str]] = defaultdict(set)
    now, number, answered = 0.0, 0, None
    running: list[tuple[float, int, str]] = []
    while not graph.ended or running:
        while len(running) < slots and (key := graph.take()) is not None:
            number += 1
            heapq.heappush(running, (now + stage_tokens(planned.stages[key]), number, key))
        now, _, key = heapq.heappop(running)
        graph.finish(key)
        stage = planned.stages[key]
        if stage.target is not None:
            arms[stage.target].add(stage.intermediate.label)
        compared = sum(len(found) > 1 for found in arms.values())
        if answered is None and compared == len(planned.study.targets):
            answered = now
    return now, (answered or now) / now


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("studies", nargs="+", help="names in search_spaces")
    print("|study|stages|devices|wall, of longest_first's|two arms of every target after: anytime|longest_first|")
    print("|---|---|---|---|---|---|")
    for name in parser.parse_args().studies:
        study = Study.from_file(STUDIES / f"{name}.yaml", ("schedule=full", "order=anytime"))
        anytime, longest = plan(study), plan(study.model_copy(update={"order": "longest_first"}))
        for slots in SLOTS:
            (wall, early), (least, late) = play(anytime, slots), play(longest, slots)
            print(f"|{name}|{len(anytime.stages)}|{slots}|{wall / least:.2f}|{early:.2f}|{late:.2f}|")


if __name__ == "__main__":
    main()
