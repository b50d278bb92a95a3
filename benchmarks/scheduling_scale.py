"""What scheduling costs: a study of many stages that do nothing, run by Ray Tune as any study is.

Prints stages a second, and the driver's memory as the run goes on. `--ledger` also writes each stage's rows, as a
real stage does; `--trials` is the number of trials of one Tune run.

python benchmarks/scheduling_scale.py --stages 10000 [--ledger] [--slots 2] [--trials 2500]
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import ray
from ray import tune
from rich.console import Console

from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import write_attempt
from raystilts.scheduling.cluster import RAY_ENVIRONMENT
from raystilts.scheduling.fit import TRIALS_A_FIT, fit
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.progress import GridProgress
from raystilts.scheduling.record import Attempt
from raystilts.scheduling.searchers import StageSearch
from raystilts.scheduling.tally import GridTally
from raystilts.scheduling.trainable import Assignment, StageTrainable
from raystilts.training.result import Score, StageResult

sys.path.insert(0, str(Path(__file__).parent))
from plan_size import study


class IdleStage(StageTrainable):
    """A stage that trains nothing; with a ledger it writes the rows of one that has."""

    def setup(self, config: dict[str, Any], assignment: Assignment, ledger: bool = False) -> None:
        """Takes the stage named by the config."""
        super().setup(config, assignment)
        self.ledger = ledger

    def step(self) -> dict[str, Any]:
        """Ends at once."""
        assignment = self.assignment
        stage = assignment.plan.stages[self.config["stage"]]
        if self.ledger:
            planned = assignment.plan
            attempt = Attempt(stage, planned.study, planned.encoder, 1, datetime.now(UTC), 1.0)
            write_attempt(assignment.results, *attempt.finished(nothing(stage.target or "cldr_names")))
        return {"done": True, "status": "finished", "dev_score": 0.5, "seconds": 0.0}


def nothing(task: str) -> StageResult:
    """A result with as many scores as a small stage has."""
    scores = tuple(
        Score(task, split, language, "accuracy", 0.5, 10, 100, True, True)
        for split in ("dev", "test")
        for language in ("en", "de", "fr", "sw")
    )
    return StageResult(
        scores=scores, dev_score=0.5, losses=(), steps_done=10, steps_planned=10, best_step=10, examples=320,
        tokens=1000, micro_batch=8, train_seconds=0.0, eval_seconds=0.0, threads=1, device="none", precision="fp32",
        trained=True, checkpoint=None,
    )  # fmt: skip


class Memory(tune.Callback):  # type: ignore[misc]
    """The driver's resident memory at each tenth of the run."""

    def __init__(self, stages: int) -> None:
        self.every, self.done, self.megabytes = max(1, stages // 10), 0, list[int]()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """One stage more."""
        self.done += 1
        if self.done % self.every == 0:
            self.megabytes.append(resident())


def resident() -> int:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def synthetic(stages: int) -> Plan:
    """The first so many stages of a real plan: 4 or 5 in a hundred are intermediates, the rest start from them."""
    planned = plan(study(stages + stages // 20))
    return replace(planned, stages=dict(islice(planned.stages.items(), stages)))


def main() -> None:
    """Runs one size and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--stages", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--trials", type=int, default=TRIALS_A_FIT)
    parser.add_argument("--ledger", action="store_true")
    asked = parser.parse_args()
    os.environ.update(RAY_ENVIRONMENT)
    planned = synthetic(asked.stages)
    before = resident()
    ray.init(address="local", num_cpus=asked.slots, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory(prefix="raystilts-scale-") as folder:
        results = Path(folder) / planned.study.name
        results.mkdir()
        assignment = Assignment(planned, str(results), str(results.parent / "checkpoints"))
        search = StageSearch(StageGraph(planned.stages))
        memory = Memory(len(planned.stages))
        tally = GridTally(search.graph, 0)
        trainable = tune.with_parameters(IdleStage, assignment=assignment, ledger=asked.ledger)
        started = time.monotonic()
        with GridProgress(tally, results, Console(file=io.StringIO())) as view:
            fit(search, trainable, planned.study.resources.of, asked.slots, [view, memory], asked.trials)
        seconds = time.monotonic() - started
    ray.shutdown()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    counts = search.graph.counts
    print(
        f"stages {len(planned.stages)}  finished {counts['finished']}  ledger {'on' if asked.ledger else 'off'}  "
        f"slots {asked.slots}  trials a fit {asked.trials}  seconds {seconds:.1f}  "
        f"stages/s {len(planned.stages) / seconds:.1f}  driver MB: plan {before}, by tenths {memory.megabytes}, "
        f"peak {peak:.0f}  load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
