"""One study under several schedules: device seconds and answers, and where these differ.

    python benchmarks/schedules_study.py search_spaces/quickstart.yaml --set 'seeds=[0,1,2,3]' --storage-path DIR
    RAYSTILTS_DATA_DIR=DATA python benchmarks/schedules_study.py search_spaces/xtreme_small.yaml --storage-path DIR \
      --set 'seeds=[0,1,2,3]' --set 'intermediate_fractions=[1.0]' --set encoder.model_name_or_path=E5_SMALL

The study is trained once, in full. What another schedule would have trained of it follows from the scores alone, since
a stage that has the same key has the same outcome: the schedule's own rules are played over the ledger, and its answers
are those of the stages that they wanted. Device seconds are those of these stages in the ledger.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from raystilts import Study
from raystilts.planning.cost import results_folder
from raystilts.planning.stages import plan
from raystilts.results.answers import TargetAnswer
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.scheduling.announce import Steps
from raystilts.scheduling.driver import checked
from raystilts.scheduling.outstanding import outstanding

SCHEDULES = ("full", "halve", "{top_two: {budget: 0.35}}", "race")


@dataclass(frozen=True, slots=True)
class Played:
    """What a schedule made of the study.

    Attributes:
        targets: Target stages that it trained.
        seconds: Device seconds of all that it trained.
        answers: By target: the arm first by P(best), that probability, its mean score in points, arms not told apart.
    """

    schedule: str
    targets: int
    intermediates: int
    seconds: float
    answers: dict[str, tuple[str, float, float, int]]


def play(study: Study, schedule: str) -> Played:
    """The study under a schedule, from the ledger of its full grid."""
    planned = plan(study)
    results = results_folder(study)
    strata = outstanding(planned, results).strata
    trained = {
        key for key, stage in planned.stages.items()
        if stage.kind != "intermediate" and (strata is None or not strata.governs(key) or strata.reached.get(key))
    }  # fmt: skip
    parents = {str(planned.stages[key].parent) for key in trained} & planned.stages.keys()
    rows = [row for row in Ledger(results).finished().values() if row.stage in trained | parents]
    found = Results(results, stages=trained | parents).answers()
    return Played(
        schedule,
        sum(planned.stages[key].kind == "target" for key in trained),
        len(parents),
        sum(row.seconds * row.device_share for row in rows),
        {answer.target: _answer(answer) for answer in found},
    )


def _answer(answer: TargetAnswer) -> tuple[str, float, float, int]:
    if not answer.best:
        return "not learnt", float("nan"), float("nan"), 0
    first = next(arm for arm in answer.arms if arm.label == answer.best[0])
    return first.label, first.p_best or float("nan"), 100 * (first.mean or 0.0), len(answer.best)


def _cell(arm: str, p_best: float, mean: float, alike: int) -> str:
    if not alike:
        return arm
    return f"{arm} ({'-' if math.isnan(p_best) else f'{p_best:.2f}'}, {mean:.1f}, {alike})"


def main() -> None:
    """Trains the study in full, and prints a line a schedule and a table of answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    parser.add_argument("--storage-path", required=True)
    parser.add_argument("--set", dest="assignments", action="append", default=[])
    parser.add_argument("--schedules", nargs="+", default=SCHEDULES)
    arguments = parser.parse_args()
    given = (f"storage_path={arguments.storage_path}", *arguments.assignments)
    options = [part for one in given for part in ("--set", one)]
    command = [
        sys.executable,
        "-c",
        "from raystilts.cli import script; script()",
        "run",
        str(arguments.study),
        *options,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    played = []
    for schedule in arguments.schedules:
        asked = Study.from_file(arguments.study, (*given, f"schedule={schedule}"))
        ready = checked(asked, None, Steps(Console(stderr=True)))
        played.append(play(ready.resolved.study, schedule))
    full = played[0]
    print("|schedule|target stages|intermediates|device seconds|of the full grid|answers as the full grid|")
    print("|---|---|---|---|---|---|")
    for one in played:
        same = sum(one.answers[target][0] == answer[0] for target, answer in full.answers.items())
        print(
            f"|{one.schedule}|{one.targets}|{one.intermediates}|{one.seconds:.0f}|{one.seconds / full.seconds:.2f}"
            f"|{same} of {len(full.answers)}|"
        )
    print("\n|target|" + "|".join(one.schedule for one in played) + "|\n|---|" + "---|" * len(played))
    for target in full.answers:
        print(f"|{target}|{'|'.join(_cell(*one.answers[target]) for one in played)}|")
    print("\nIn brackets: P(best) (- with one seed), mean score on test in points, arms not told apart.")


if __name__ == "__main__":
    main()
