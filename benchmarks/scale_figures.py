"""What scale costs, today beside earlier measurements: a plan, a run of stages that do nothing, questions to tables.

    python benchmarks/scale_figures.py                      # all: half an hour on two cores
    python benchmarks/scale_figures.py --stages 2000 --seeds 1 --cells 100000
    python benchmarks/scale_figures.py --keep 0.2.0         # adds what was measured to scale_figures.json

Runs `plan_size.py`, `scheduling_scale.py` and `results_queries.py`, each in a process of its own, and prints a
row for each figure with the goal it has and what earlier measurements of the same size came to, with their machines.
Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine_line

HERE = Path(__file__).parent
KEPT = HERE / "scale_figures.json"
#: Questions of `results_queries.py` that are told.
QUESTIONS = ("best of all strata", "matrix of gains, first", "one target in one language, first")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        what: What was measured, with its size: figures of the same words can be compared.
        goal: The most, or the least where more is better, that it may be; None where there is none.
    """

    what: str
    value: float
    unit: str
    goal: float | None = None
    more_is_better: bool = False

    @property
    def missed(self) -> bool:
        """Whether it has a goal and does not reach it."""
        if self.goal is None:
            return False
        return self.value < self.goal if self.more_is_better else self.value > self.goal


def output(script: str, *arguments: str) -> str:
    """What a benchmark prints."""
    command = [sys.executable, str(HERE / script), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def found(pattern: str, text: str) -> float:
    """The number that a pattern finds."""
    match = re.search(pattern, text)
    assert match is not None, text
    return float(match[1])


def planning(cells: int) -> list[Figure]:
    """Seconds of a plan: of the processor, which neighbours on the machine leave as they are, and on the clock."""
    text = output("plan_size.py", "--cells", str(cells))
    what = f"a plan of {cells:,} cells"
    return [
        Figure(
            f"{what}, processor time", found(r"of processor ([\d.]+)", text), "s", 3.0 if cells <= 100_000 else None
        ),
        Figure(what, found(r"seconds ([\d.]+)", text), "s"),
    ]


def scheduling(stages: int) -> list[Figure]:
    """Stages a second, and the driver's memory."""
    text = output("scheduling_scale.py", "--stages", str(stages))
    what = f"{stages:,} stages that do nothing"
    return [
        Figure(what, found(r"stages/s ([\d.]+)", text), "stages/s", 42.0 if stages >= 50_000 else None, True),
        Figure(f"{what}: the driver's peak", found(r"peak (\d+)", text), "MB"),
    ]


def questions(seeds: int) -> list[Figure]:
    """Seconds of some questions to compacted tables."""
    lines = [json.loads(line) for line in output("results_queries.py", "--seeds", str(seeds)).splitlines()]
    rows = next(line["count"] for line in lines if line["what"] == "generate")
    return [
        Figure(f"{line['what']}, {rows:,} rows", line["seconds"], "s") for line in lines if line["what"] in QUESTIONS
    ]


def earlier(kept: list[dict[str, object]], what: str) -> str:
    """What a figure was before, the newest first."""
    values = []
    for release in reversed(kept):
        figures = release["figures"]
        assert isinstance(figures, list)
        values += [f"{one['value']:g} ({release['release']})" for one in figures if one["what"] == what]
    return ", ".join(values) or "-"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--stages", type=int, default=50_000, help="0 leaves scheduling out")
    parser.add_argument("--seeds", type=int, default=5, help="1.6 million rows each; 0 leaves questions out")
    parser.add_argument("--keep", metavar="RELEASE", help="adds the figures to scale_figures.json under this name")
    asked = parser.parse_args()
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    machine = machine_line(1)
    print(machine)
    for release in kept:
        print(f"{release['release']}: {release['machine']}")
    figures = planning(asked.cells)
    figures += scheduling(asked.stages) if asked.stages else []
    figures += questions(asked.seeds) if asked.seeds else []
    print("|what|today|goal|earlier|\n|---|---|---|---|")
    for one in figures:
        sign = "at least" if one.more_is_better else "at most"
        goal = "-" if one.goal is None else f"{sign} {one.goal:g}{' (MISSED)' if one.missed else ''}"
        print(f"|{one.what}|{one.value:g} {one.unit}|{goal}|{earlier(kept, one.what)}|")
    if asked.keep:
        kept.append({"release": asked.keep, "machine": machine, "figures": [asdict(one) for one in figures]})
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(one.missed for one in figures))


if __name__ == "__main__":
    main()
