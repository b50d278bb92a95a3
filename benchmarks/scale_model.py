"""Replays recorded stage times on simulated clusters of 8 to 1,000 GPUs that lose machines now and then.

The order of stages is the real one: the graph that the driver uses hands them out. The simulation adds what a cluster
adds: a driver that handles one stage after the other, processes that take time to start, Tune runs that end with their
last stage, machines that go (as spot machines do) and come back, and stages that then go on from their last snapshot.
Prints, for each size, the makespan, the use of the GPUs, the driver's load and the requests to an object store.

Stage times are drawn from a results folder, by kind of stage, and scaled to a mean: times on another device keep their
spread. What the driver takes for a stage is measured by benchmarks/scheduling_scale.py, requests by
benchmarks/storage_requests.py.

python benchmarks/scale_model.py RESULTS [--stages 20000] [--mean 300] [--driver 0.016] [--trials 2500] [--lost 0.05]
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from statistics import fmean

from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import Ledger
from raystilts.scheduling.fit import TRIALS_A_FIT, trials_a_fit
from raystilts.scheduling.graph import StageGraph

sys.path.insert(0, str(Path(__file__).parent))
from plan_size import study

SIZES = (8, 32, 64, 128, 256, 512, 1000)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a cluster costs beside the stages.

    Attributes:
        driver: Seconds of the driver for each stage.
        start: Seconds until a process has imported everything and loaded the encoder.
        lost: Machines lost per GPU and hour.
        back: Seconds until a lost machine has been replaced.
        snapshot: Seconds between snapshots.
        trials: Trials of one Tune run; None for what `raystilts run` takes.
        requests: Requests to the object store for each stage, and for each snapshot.
    """

    driver: float
    start: float
    lost: float
    back: float
    snapshot: float
    trials: int | None
    requests: tuple[float, float]


@dataclass(slots=True)
class Outcome:
    """What a simulated run came to; times in seconds."""

    makespan: float = 0.0
    work: float = 0.0
    again: float = 0.0
    losses: int = 0
    driver: float = 0.0
    requests: list[tuple[float, float]] = field(default_factory=list)


def recorded(results: str) -> dict[str, list[float]]:
    """Seconds of each finished stage, by kind."""
    times: dict[str, list[float]] = {}
    for row in Ledger(results).finished().values():
        times.setdefault(row.kind, []).append(row.train_seconds + row.eval_seconds)
    if not times:
        raise SystemExit(f"{results}: no finished stage to take times from")
    return times


def durations(planned: Plan, times: dict[str, list[float]], mean: float | None, seed: int) -> dict[str, float]:
    """A recorded time for each stage of a plan, scaled so that their mean is `mean` seconds."""
    chance = random.Random(seed)
    everything = [one for some in times.values() for one in some]
    drawn = {key: chance.choice(times.get(stage.kind, everything)) for key, stage in planned.stages.items()}
    factor = 1.0 if mean is None else mean / fmean(drawn.values())
    return {key: seconds * factor for key, seconds in drawn.items()}


class Simulation:
    """One run of a plan on so many GPUs."""

    def __init__(self, planned: Plan, seconds: dict[str, float], gpus: int, costs: Costs, seed: int) -> None:
        self.graph, self.left, self.costs = StageGraph(planned.stages), dict(seconds), costs
        self.out = Outcome(work=sum(seconds.values()))
        self.chance = random.Random(seed)
        self.idle = list(range(gpus))
        self.gpus, self.driver_free = gpus, 0.0
        self.trials = costs.trials or trials_a_fit(gpus)
        self.handed = self.running = 0
        self.cold = set(self.idle)
        self.again: list[str] = []
        # (time, order, what, slot, stage): a stage ends, or its machine is lost, or a machine is back.
        self.events: list[tuple[float, int, str, int, str]] = []
        self.order = 0

    def run(self) -> Outcome:
        """Plays to the end."""
        now = 0.0
        self._hand_out(now)
        while self.events:
            now, _, what, slot, key = heapq.heappop(self.events)
            if what == "end":
                now = self._drive(now)
                self.graph.finish(key)
                self._ask(now, self.costs.requests[0])
                self.running -= 1
                self.idle.append(slot)
            elif what == "lost":
                self.out.losses += 1
                self.running -= 1
                self.again.append(key)
                self.cold.add(slot)
                self._push(now + self.costs.back, "back", slot, "")
            else:
                self.idle.append(slot)
            self._hand_out(now)
            self.out.makespan = max(self.out.makespan, now)
        return self.out

    def _hand_out(self, now: float) -> None:
        if self.handed >= self.trials and not self.running and not self.again:
            self.handed, self.cold = 0, set(range(self.gpus))  # another Tune run, with processes of its own
        while self.idle:
            if self.again:
                key: str | None = self.again.pop()
            elif self.handed >= self.trials or (key := self.graph.take()) is None:
                return
            else:
                self.handed += 1
            assert key is not None
            self._begin(self._drive(now), self.idle.pop(), key)

    def _begin(self, now: float, slot: int, key: str) -> None:
        start = self.costs.start if slot in self.cold else 0.0
        self.cold.discard(slot)
        self.running += 1
        whole = start + self.left[key]
        lost = self.chance.expovariate(self.costs.lost / 3600) if self.costs.lost else float("inf")
        if lost >= whole:
            self._snapshots(now + start, self.left[key])
            self._push(now + whole, "end", slot, key)
            return
        trained = max(0.0, lost - start)
        kept = trained - trained % self.costs.snapshot
        self._snapshots(now + start, trained)
        self.out.again += trained - kept
        self.left[key] -= kept
        self._push(now + lost, "lost", slot, key)

    def _drive(self, now: float) -> float:
        """The driver handles half of what a stage takes of it: handing it out, or taking its result."""
        self.driver_free = max(self.driver_free, now) + self.costs.driver / 2
        self.out.driver += self.costs.driver / 2
        return self.driver_free

    def _snapshots(self, start: float, seconds: float) -> None:
        for number in range(1, int(seconds / self.costs.snapshot) + 1):
            self._ask(start + number * self.costs.snapshot, self.costs.requests[1])

    def _ask(self, now: float, requests: float) -> None:
        self.out.requests.append((now, requests))

    def _push(self, when: float, what: str, slot: int, key: str) -> None:
        self.order += 1
        heapq.heappush(self.events, (when, self.order, what, slot, key))


def peak(requests: list[tuple[float, float]], window: float = 10.0) -> float:
    """The most requests a second over any ten seconds."""
    bins: dict[int, float] = {}
    for when, number in requests:
        bins[int(when / window)] = bins.get(int(when / window), 0.0) + number
    return max(bins.values(), default=0.0) / window


def line(gpus: int, out: Outcome, longest: float) -> str:
    """A row of the table."""
    ideal = max(out.work / gpus, longest)
    requests = sum(number for _, number in out.requests) / out.makespan
    return (
        f"| {gpus:,} | {out.makespan / 3600:.2f} | {ideal / 3600:.2f} | {out.work / gpus / out.makespan:.1%} "
        f"| {out.losses:,} | {out.again / out.work:.1%} | {out.driver / out.makespan:.1%} "
        f"| {requests:.1f} | {peak(out.requests):.0f} |"
    )


def longest_path(planned: Plan, seconds: dict[str, float]) -> float:
    """Seconds of the longest chain of stages, which no number of GPUs shortens."""
    ends: dict[str, float] = {}
    for key, stage in planned.stages.items():
        ends[key] = seconds[key] + ends.get(str(stage.parent), 0.0)
    return max(ends.values())


def main() -> None:
    """Simulates each size and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", help="a results folder to take stage times from")
    parser.add_argument("--stages", type=int, default=20_000)
    parser.add_argument("--mean", type=float, help="scale the times to this mean, in seconds")
    parser.add_argument("--driver", type=float, default=0.016, help="the driver's seconds a stage")
    parser.add_argument("--start", type=float, default=30.0)
    parser.add_argument("--lost", type=float, default=0.05, help="machines lost per GPU and hour")
    parser.add_argument("--back", type=float, default=240.0)
    parser.add_argument("--snapshot", type=float, default=120.0)
    parser.add_argument("--trials", type=int, help="trials of one Tune run; default what raystilts run takes")
    parser.add_argument("--requests", type=float, nargs=2, default=(20.0, 8.0), help="a stage, a snapshot")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    planned = plan(study(asked.stages + asked.stages // 20))
    planned = replace(planned, stages=dict(islice(planned.stages.items(), asked.stages)))
    seconds = durations(planned, recorded(asked.results), asked.mean, asked.seed)
    costs = Costs(
        asked.driver, asked.start, asked.lost, asked.back, asked.snapshot, asked.trials, tuple(asked.requests)
    )
    print(
        f"{len(planned.stages):,} stages, mean {fmean(seconds.values()):.0f} s, longest {max(seconds.values()):.0f} s; "
        f"{costs}, at least {TRIALS_A_FIT} trials a Tune run"
    )
    print("| GPUs | hours | ideal | use | machines lost | done again | driver busy | requests/s | peak |")
    print("|---|---|---|---|---|---|---|---|---|")
    for gpus in asked.sizes:
        out = Simulation(planned, seconds, gpus, costs, asked.seed).run()
        print(line(gpus, out, longest_path(planned, seconds)), flush=True)


if __name__ == "__main__":
    main()
