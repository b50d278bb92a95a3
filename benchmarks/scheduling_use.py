"""How busy scheduling keeps devices: 104 stages that sleep, eight intermediates with twelve targets each.

One intermediate takes six times as long as the others. Prints the share of the ideal time (the lower bound of any
schedule: all work spread over all slots, or the longest chain), beside that of two Tune runs one after the other, all
intermediates first; and how many targets of other intermediates had ended when the slow one did.

python benchmarks/scheduling_use.py [--slots 4] [--second 2.0]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray import tune

from raystilts.planning.stage import Stage
from raystilts.scheduling.cluster import RAY_ENVIRONMENT
from raystilts.scheduling.fit import fit
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.searchers import StageSearch
from raystilts.study.intermediate import Intermediate
from raystilts.study.resources import Resources

INTERMEDIATES, TARGETS, SLOW = 8, 12, 6.0
#: Sub-words that stand for a second: what the schedule knows of the length of a stage.
TOKENS = 1000


class SleepingStage(tune.Trainable):  # type: ignore[misc]
    """A stage that takes a slot for a while."""

    def setup(self, config: dict[str, Any], lengths: Mapping[str, float]) -> None:
        """Takes the stage named by the config."""
        self.lengths = lengths

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes another stage in the same process."""
        return True

    def step(self) -> dict[str, Any]:
        """Sleeps."""
        started = time.time()
        time.sleep(self.lengths[self.config["stage"]])
        return {"done": True, "status": "finished", "started": started, "ended": time.time()}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way to run all stages: its seconds, and the times at which each stage ended."""

    seconds: float
    ended: dict[str, float]


class Ends(tune.Callback):  # type: ignore[misc]
    """When each stage ended."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """One stage more."""
        self.ended[trial.config["stage"]] = trial.last_result["ended"]


def lengths(seconds: float) -> dict[str, float]:
    """Seconds of each stage: intermediates about two units, the slow one twelve, targets a half to three."""
    rng = np.random.default_rng(0)
    found = {f"i{i}": seconds * float(rng.uniform(1.5, 2.5)) for i in range(INTERMEDIATES)}
    found["i3"] = seconds * 2.0 * SLOW
    return found | {
        f"i{i}t{j}": seconds * float(rng.uniform(0.5, 3.0)) for i in range(INTERMEDIATES) for j in range(TARGETS)
    }


def stages(found: Mapping[str, float]) -> dict[str, Stage]:
    """The stages of these lengths, as a plan would hold them."""

    def one(key: str) -> Stage:
        parent = key.partition("t")[0] if "t" in key else None
        return Stage(
            key=key, train_key=key, eval_key=key, kind="target" if parent else "intermediate",
            intermediate=Intermediate(), intermediate_fraction=1.0, target="t" if parent else None,
            target_fraction=1.0 if parent else None, seed=0, parent=parent, parent_train_key=parent, steps=1,
            examples=1, tokens=round(TOKENS * found[key]), eval_tokens=0, data_hash="",
        )  # fmt: skip

    return {key: one(key) for key in found}


def ideal(found: Mapping[str, float], slots: int) -> float:
    """Seconds below which no schedule can be."""
    chains = [found[key] + found[key.partition("t")[0]] for key in found if "t" in key]
    return max(sum(found.values()) / slots, *chains)


def run(parts: list[dict[str, Stage]], found: Mapping[str, float], slots: int) -> Outcome:
    """Runs sets of stages one after the other."""
    ends = Ends()
    trainable = tune.with_parameters(SleepingStage, lengths=found)
    started = time.time()
    for part in parts:
        fit(StageSearch(StageGraph(part)), trainable, Resources().of, slots, [ends])
    return Outcome(time.time() - started, ends.ended)


def main() -> None:
    """Runs both ways and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--second", type=float, default=2.0, help="length of the unit of time")
    asked = parser.parse_args()
    os.environ.update(RAY_ENVIRONMENT)
    ray.init(address="local", num_cpus=asked.slots, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    found = lengths(asked.second)
    everything, bound = stages(found), ideal(found, asked.slots)
    one = run([everything], found, asked.slots)
    first = {key: stage for key, stage in everything.items() if stage.parent is None}
    two = run([first, {key: stage for key, stage in everything.items() if key not in first}], found, asked.slots)
    ray.shutdown()
    print(f"{len(found)} stages, {sum(found.values()):.0f} s of work, {asked.slots} slots: ideal {bound:.1f} s")
    for name, outcome in (("one run", one), ("two runs, intermediates first", two)):
        share = bound / outcome.seconds
        early = sum(
            outcome.ended[key] < outcome.ended["i3"]
            for key in found if "t" in key and not key.startswith("i3")
        )  # fmt: skip
        print(
            f"{name}: {outcome.seconds:.1f} s, {share:.1%} of the ideal; {early} of {(INTERMEDIATES - 1) * TARGETS} "
            "targets of other intermediates had ended when the slow intermediate did"
        )
    print(f"one run takes {one.seconds / two.seconds:.2f} of the time of two; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
