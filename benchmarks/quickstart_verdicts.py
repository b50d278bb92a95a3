"""How often the quickstart says what its page says: verdicts over fresh sets of seeds, machines and threads.

    python benchmarks/quickstart_verdicts.py --sets 10 --out verdicts.jsonl
    ATEN_CPU_CAPABILITY=default python benchmarks/quickstart_verdicts.py --sets 10 --out verdicts.jsonl
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/quickstart_verdicts.py --sets 10 --threads 2 --out verdicts.jsonl
    python benchmarks/quickstart_verdicts.py --table verdicts.jsonl

A set of seeds is a whole study with seeds of its own: set 0 has those of the study file, set 1 the next as many. The
stages run one after the other in this process, without Ray; their rows are written as a run writes them, and the
product's own ranking answers. The environment (`ATEN_CPU_CAPABILITY`, `ONEDNN_MAX_CPU_ISA`) and the threads stand for
a machine; a set of one machine is compared with the same set of the first machine in the file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import numpy as np
from machine import machine_line

from raystilts import Results
from raystilts.analysis.above_chance import above_chance
from raystilts.planning.resolve import load_study
from raystilts.planning.stages import Plan, plan
from raystilts.report.matrix import matrix_text, transfer_matrix
from raystilts.report.text import verdict
from raystilts.results.ledger import write_attempt
from raystilts.scheduling.record import Attempt
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.training.stage import run_stage

MACHINE = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
KINDS = ("intermediate", "target", "retrieval")


@dataclass(frozen=True)
class Verdicts:
    """What one study said.

    Attributes:
        seconds: CPU time of the process.
        signs: Target -> arm -> "+" or "-" where the interval of the gain excludes zero, "0" where it does not.
        best: Target -> the arms not told apart from the best.
        gains: Target -> arm -> gain, low and high end of its interval, in points.
        learnt: Target -> stages whose English dev score beats every constant answer, and all stages.
        scores: Target -> language -> mean test score of `none` and over all arms, and its chance.
    """

    machine: str
    first: int
    seconds: float
    signs: dict[str, dict[str, str]]
    best: dict[str, list[str]]
    gains: dict[str, dict[str, list[float]]]
    learnt: dict[str, list[int]]
    scores: dict[str, dict[str, list[float]]]


def main() -> None:
    """Runs sets of seeds, or prints the table of those that were run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--study", default="search_spaces/quickstart.yaml")
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--sets", type=int, default=10, help="how many sets of seeds")
    parser.add_argument("--skip", type=int, default=0, help="sets to leave out at the beginning")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a file of JSON lines; one is added for each set")
    parser.add_argument("--table", type=Path, help="print the table of such a file, and end")
    asked = parser.parse_args()
    if asked.table is not None:
        lines = asked.table.read_text(encoding="utf-8").splitlines()
        print_table([Verdicts(**json.loads(line)) for line in lines])
        return
    study = load_study(Path(asked.study), tuple(asked.assignments))
    print(machine_line(asked.threads), file=sys.stderr)
    for number in range(asked.skip, asked.sets):
        seeds = [seed + number * len(study.seeds) for seed in study.seeds]
        found = run_set(study.model_copy(update={"seeds": tuple(seeds)}), asked.threads)
        if asked.out is not None:
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(found)) + "\n")


def run_set(study: Study, threads: int) -> Verdicts:
    """Runs a study stage by stage, prints what its run would print, and returns the verdicts."""
    begin = process_time()
    with tempfile.TemporaryDirectory() as folder:
        planned = plan(study.model_copy(update={"storage_path": folder}))
        run_stages(planned, folder, threads)
        Path(folder, "study.json").write_text(json.dumps(planned.study.model_dump(mode="json")), encoding="utf-8")
        found = read(Results(folder), study.seeds[0], threads, process_time() - begin)
    print(f"{found.machine}, seeds {study.seeds}: {found.seconds:.0f} s of CPU time\n", flush=True)
    return found


def run_stages(planned: Plan, folder: str, threads: int) -> None:
    """Every stage after its parent, with its rows in the folder's ledger."""
    for stage in sorted(planned.stages.values(), key=lambda stage: KINDS.index(stage.kind)):
        attempt = Attempt(stage, planned.study, planned.encoder, 1, datetime.now(UTC), 1.0)
        result = run_stage(stage, planned.study, f"{folder}/checkpoints", threads=threads, encoder=planned.encoder)
        write_attempt(folder, *attempt.finished(result))


def read(results: Results, first: int, threads: int, seconds: float) -> Verdicts:
    """The verdicts of a results folder, which are printed as well."""
    answers = results.answers()
    print(matrix_text(transfer_matrix(answers, "gain")))
    signs: dict[str, dict[str, str]] = {}
    gains: dict[str, dict[str, list[float]]] = {}
    for answer in answers:
        print(f"{answer.target}: {verdict(answer)}")
        for arm in sorted((arm for arm in answer.arms if arm.gain is not None), key=lambda arm: arm.label):
            gain, low, high = (100 * (value or 0.0) for value in (arm.gain, arm.gain_low, arm.gain_high))
            sign = "0" if not arm.certain else "+" if gain > 0 else "-"
            signs.setdefault(answer.target, {})[arm.label] = sign
            gains.setdefault(answer.target, {})[arm.label] = [round(value, 2) for value in (gain, low, high)]
    learnt = above_chance(results)
    return Verdicts(
        machine=machine(threads),
        first=first,
        seconds=round(seconds, 1),
        signs=signs,
        best={answer.target: sorted(answer.best) for answer in answers},
        gains=gains,
        learnt={} if learnt is None else {name: list(counts) for name, counts in learnt.by_target.items()},
        scores=scores_by_language(results),
    )


def machine(threads: int) -> str:
    """What stands for a machine, in words."""
    named = [f"{name}={os.environ[name]}" for name in MACHINE if name in os.environ]
    return ", ".join([*(named or ["as it is"]), f"{threads} thread{'' if threads == 1 else 's'}"])


def scores_by_language(results: Results) -> dict[str, dict[str, list[float]]]:
    """Mean final test scores of `none`, of all arms, and what guessing gets, by target and language."""
    scores = results.scores(split="test", final=True)
    scores = scores[scores["is_main"]]
    found: dict[str, dict[str, list[float]]] = {}
    for key, group in scores.groupby(["target", "language"]):
        target, language = map(str, key)
        task = get_task(target)
        answers = group["examples"].iloc[0] if task.train is None else len(getattr(task.type, "labels", ()))
        chance = 1 / float(answers) if task.main_score == "accuracy" else 0.0
        bare = group.loc[group["intermediate"] == "none", "value"].mean()
        found.setdefault(target, {})[language] = [round(float(v), 4) for v in (bare, group["value"].mean(), chance)]
    return found


def print_table(found: list[Verdicts]) -> None:
    """Markdown: how often each cell of the matrix had each sign, by machine, and how often verdicts agree."""
    machines = list(dict.fromkeys(one.machine for one in found))
    first = {one.first: one for one in found if one.machine == machines[0]}
    for name in machines:
        mine = [one for one in found if one.machine == name]
        print(f"\n{name}: {len(mine)} sets of seeds, {np.mean([one.seconds for one in mine]):.0f} s of CPU time each\n")
        print_counts(mine)
        if len(mine) > 2:
            print_spread(mine)
        if name != machines[0]:
            print(f"\nSame verdicts as {machines[0]!r}:\n")
            print_agreement([(one, first[one.first]) for one in mine if one.first in first])
    print_scores(found)


def print_counts(found: list[Verdicts]) -> None:
    """Markdown: how often each gain was above zero, below it or open, and which arms were best."""
    print("| target | arm | gain, mean | above 0 | open | below 0 |\n|---|---|---|---|---|---|")
    for target, arms in found[0].signs.items():
        for arm in arms:
            signs = Counter(one.signs[target][arm] for one in found)
            gain = np.mean([one.gains[target][arm][0] for one in found])
            print(f"| {target} | {arm} | {gain:+.1f} | {signs['+']} | {signs['0']} | {signs['-']} |")
    print("\n| target | best | sets |\n|---|---|---|")
    for target in found[0].best:
        for best, count in Counter(" or ".join(one.best[target]) for one in found).most_common():
            print(f"| {target} | {best} | {count} |")


def print_spread(found: list[Verdicts]) -> None:
    """Markdown: whether gains differ among sets as much as their intervals say.

    A set's interval that is as wide as it claims holds the mean of the other sets in about 95 of 100 sets, and the
    standard deviation of the gains over the sets is about half its half-width.
    """
    heads = ("target", "arm", "gains of the sets", "their SD", "half-width, mean", "hold the mean of the other sets")
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for target, arms in found[0].gains.items():
        for arm in arms:
            gains = np.array([one.gains[target][arm] for one in found])
            others = (gains[:, 0].sum() - gains[:, 0]) / (len(gains) - 1)
            held = int(((gains[:, 1] <= others) & (others <= gains[:, 2])).sum())
            shown = ", ".join(f"{gain:+.1f}" for gain in gains[:, 0])
            half = float((gains[:, 2] - gains[:, 1]).mean() / 2)
            spread = float(gains[:, 0].std(ddof=1))
            print(f"| {target} | {arm} | {shown} | {spread:.1f} | {half:.1f} | {held} of {len(gains)} |")


def print_agreement(pairs: list[tuple[Verdicts, Verdicts]]) -> None:
    """Markdown: in how many sets two machines say the same of a target."""
    print(f"| target | all signs of gains, of {len(pairs)} sets | best arms |\n|---|---|---|")
    for target in pairs[0][0].best if pairs else ():
        signs = sum(one.signs[target] == other.signs[target] for one, other in pairs)
        best = sum(one.best[target] == other.best[target] for one, other in pairs)
        print(f"| {target} | {signs} | {best} |")


def print_scores(found: list[Verdicts]) -> None:
    """Markdown: mean scores by language over everything that was run, beside chance."""
    print("\n| target | score | " + "language: none / all arms / chance |\n|---|---|---|")
    for target in found[0].scores:
        cells: list[str] = []
        for language in found[0].scores[target]:
            values = np.mean([one.scores[target][language] for one in found], axis=0)
            cells.append(f"{language} {values[0]:.2f} / {values[1]:.2f} / {values[2]:.2f}")
        above = [sum(one.learnt.get(target, [0, 0])[i] for one in found) for i in (0, 1)]
        print(f"| {target} | {above[0]} of {above[1]} stages beat every constant answer | {', '.join(cells)} |")


if __name__ == "__main__":
    main()
