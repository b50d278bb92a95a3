"""What has come of a run so far: counts, the best of each target, the time left; and stages as people read them."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from raystilts.planning.stage import Stage
from raystilts.results.answers import arm_label, target_label
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.pace import Pace
from raystilts.scheduling.trial_board import TrialBoard, Work

#: Lines of failed stages that `progress.json` holds.
LAST_ERRORS = 20
#: Stages or trials up to which each gets a plain line of its own.
FEW = 100


@dataclass(slots=True)
class GridTally:
    """What a run of a grid has seen so far.

    Attributes:
        started: Monotonic time of the start.
        work_done: Rough sub-words of the stages that have ended, and of those that are paused.
        shares: Share of its budget that each paused stage has reached.
        dev: Dev scores by target (see `target_name`), then arm, of what may be called best. As in answers:
            arms at the compared fraction that do not train on the target's own data, and no runs that broke.
        at_chance: How many of these runs are at chance.
        already: Stages that were in the ledger before.
        compared: The fraction of intermediates at which arms compete; None for any.
    """

    graph: StageGraph
    already: int
    started: float = field(default_factory=time.monotonic)
    work_done: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    dev: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    at_chance: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    compared: float | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def running(self) -> dict[str, float]:
        """Stages that run now, with their starts."""
        return self.pace.begun

    def start(self, key: str) -> None:
        """A stage has a device."""
        self.pace.begin(key)

    def end(self, key: str, result: Mapping[str, Any], until: float = 1.0) -> None:
        """A stage has ended, or paused at a share of its budget."""
        stage = self.graph.stages[key]
        share = until if result.get("status") == "paused" else 1.0
        work = stage_work(stage) * (share - self.shares.get(key, 0.0))
        self.pace.end(key, work, counts=result.get("status") in ("finished", "paused"))
        self.work_done += work
        self.shares[key] = share
        if result.get("status") == "finished" and not result.get("flagged"):
            self.count(stage, result.get("dev_score"), at_chance=bool(result.get("at_chance")))
        if result.get("status") not in ("finished", "paused"):
            self.errors.append(f"{describe(stage)}: {_reason(result)}")

    def count(self, stage: Stage, dev_score: float | None, *, at_chance: bool = False) -> None:
        """Takes in the dev score of a finished stage, where its arm may be called best."""
        if stage.target is not None and dev_score is not None and math.isfinite(dev_score) and self._competes(stage):
            self.dev[target_name(stage)][arm_name(stage)].append(float(dev_score))
            self.at_chance[target_name(stage)] += at_chance

    def _competes(self, stage: Stage) -> bool:
        """Whether a stage's arm may be called best."""
        fractions = (None, self.compared if self.compared is not None else stage.intermediate_fraction)
        return not stage.overlap and stage.intermediate_fraction in fractions

    @property
    def seconds_left(self) -> float | None:
        """Time left by the pace so far; None before that can be told."""
        running = {k: stage_work(self.graph.stages[k]) * (1.0 - self.shares.get(k, 0.0)) for k in self.running}
        return self.pace.seconds_left(self.work_left(), running)

    def work_left(self) -> float:
        """Rough sub-words of what runs, waits or is undecided: at most so much, where a schedule may stop some."""
        open_states = ("waiting", "ready", "running", "held", "paused")
        return sum(
            stage_work(stage) * (1.0 - self.shares.get(key, 0.0))
            for key, stage in self.graph.stages.items()
            if self.graph.state[key] in open_states
        )

    def best(self) -> dict[str, tuple[str, float]]:
        """The arm with the best mean dev score so far, by target.

        None for a target where `none` alone has run, or that is not learnt: half of its runs or more are at chance.
        """
        learnt = {t: arms for t, arms in self.dev.items() if 2 * self.at_chance[t] < sum(map(len, arms.values()))}
        means = {t: {a: sum(v) / len(v) for a, v in arms.items()} for t, arms in learnt.items()}
        return {t: max(arms.items(), key=lambda item: item[1]) for t, arms in means.items() if arms.keys() - {"none"}}

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        counts, now = self.graph.counts, time.monotonic()
        return {
            "done": counts["finished"] + self.already,
            "running": len(self.running),
            "waiting": counts["waiting"] + counts["ready"] + counts["running"] - len(self.running),
            "undecided": counts["held"],
            "paused": counts["paused"],
            "stopped": counts["stopped"],
            "failed": counts["failed"],
            "not_run": counts["skipped"],
            **_times(self.started, self.seconds_left),
            "best_so_far": {
                t: {"arm": a, "dev": round(v, 4), "arms": len(self.dev[t])} for t, (a, v) in self.best().items()
            },
            "targets": list(dict.fromkeys(target_name(s) for s in self.graph.stages.values() if s.target)),
            "running_now": [[describe(self.graph.stages[k]), round(now - t, 1)] for k, t in self.running.items()],
            "errors": self.errors[-LAST_ERRORS:],
        }

    @property
    def many(self) -> bool:
        """Whether there are too many stages to tell of each."""
        return len(self.graph.stages) > FEW


@dataclass(slots=True)
class SearchTally:
    """What a run of a search has seen so far.

    Attributes:
        best: By unit, the best finished trial's score and values.
        done: Segments that ended in this run.
    """

    board: TrialBoard
    started: float = field(default_factory=time.monotonic)
    best: dict[str, tuple[float, str]] = field(default_factory=dict)
    done: int = 0
    errors: list[str] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)

    def end(self, work: Work, result: Mapping[str, Any]) -> None:
        """A piece of work has ended."""
        self.done += 1
        self.pace.end_one(self.started, self.board.counts["running"])
        score = result.get("score")
        if result["status"] == "failed":
            self.errors.append(f"{describe_work(work)}: {_reason(result)}")
        elif result["status"] == "finished" and not work.is_parent and score is not None:
            self.best[work.unit.name] = max(self.best.get(work.unit.name, (-1.0, "")), (score, values_text(work)))

    @property
    def seconds_left(self) -> float | None:
        """Time left if the trials that are left take as long as those of this run; None before that can be told."""
        counts = self.board.counts
        ended = counts["ended"] + counts["resting"]
        if not self.done or not ended:
            return None
        segments = max(1.0, self.done / ended)  # of a trial, where it rests in between
        return self.pace.seconds_left(segments * max(0, counts["asked"] - ended))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        counts = self.board.counts
        return {
            "done": counts["ended"],
            "running": counts["running"],
            "resting": counts["resting"],
            "waiting": counts["asked"] - counts["ended"] - counts["running"] - counts["resting"],
            "failed": len(self.board.failed),
            **_times(self.started, self.seconds_left),
            "best_so_far": {name: {"dev": round(s, 4), "values": v} for name, (s, v) in self.best.items()},
            "errors": self.errors[-LAST_ERRORS:],
        }

    @property
    def many(self) -> bool:
        """Whether there are too many trials to tell of each."""
        return self.board.counts["asked"] > FEW


def stage_work(stage: Stage) -> float:
    """Rough cost of a stage: a sub-word trained on costs three times one evaluated; something for the start."""
    return 3.0 * stage.tokens + stage.eval_tokens + 2000.0


def arm_name(stage: Stage) -> str:
    """An arm as people read it: `squad`, or `squad 25%` below the whole data."""
    return arm_label(stage.intermediate.label, stage.intermediate_fraction)


def target_name(stage: Stage) -> str:
    """A target as people read it: `xnli`, `xnli 10%` below the whole data, `xnli k=16`; with its encoder of several."""
    name = target_label(str(stage.target), stage.target_fraction, stage.target_examples)
    return f"{name} ({stage.encoder})" if stage.encoder else name


def describe(stage: Stage) -> str:
    """A stage in a few words."""
    seed = "" if stage.seed is None else f" seed {stage.seed}"
    if stage.target:
        return f"{arm_name(stage)} > {target_name(stage)}{seed}"
    return f"train {arm_name(stage)}{seed}" + (f" ({stage.encoder})" if stage.encoder else "")


def share_name(share: float) -> str:
    """A share of a budget as people read it: `1/2`, or `0.37`."""
    near = Fraction(share).limit_denominator(20)
    return str(near) if abs(near - share) < 1e-3 else f"{share:.2f}"


def values_text(work: Work) -> str:
    """A trial's values in a few words."""
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in work.values.items())  # fmt: skip


def describe_work(work: Work) -> str:
    """A piece of work in a few words."""
    if work.is_parent:
        return f"train {work.stage.intermediate.label}"
    return f"{work.unit.name} ({values_text(work)})"


def _reason(result: Mapping[str, Any]) -> str:
    """Why something failed: the last line of its trace."""
    return str(result.get("error") or "the worker died").strip().splitlines()[-1]


def _times(started: float, left: float | None) -> dict[str, Any]:
    """Seconds since a monotonic time, and those that are left, for programs."""
    return {
        "seconds": round(time.monotonic() - started, 1),
        "seconds_left": None if left is None else round(left),
    }
