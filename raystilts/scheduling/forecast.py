"""How much of a plan its schedule will train: the same rules, played through with scores that might come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.strata import Curve, Strata
from raystilts.study.cost import stage_tokens
from raystilts.study.plan import Plan, Stage
from raystilts.study.schedule import Asha


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a schedule is expected to train.

    Attributes:
        low: Share of its budget that each stage is trained to, where the arms differ so much that the first comparison
            settles it; likewise `high`, where none is ever outclassed.
    """

    low: Mapping[str, float]
    high: Mapping[str, float]

    def of_grid(self, plan: Plan) -> tuple[float, float]:
        """The share of the full grid's work that is trained, low and high."""
        total = sum(map(stage_tokens, plan.stages.values()))
        low, high = (
            sum(share * stage_tokens(plan.stages[key]) for key, share in shares.items())
            for shares in (self.low, self.high)
        )
        return (low / total, high / total) if total else (1.0, 1.0)

    def left(self, graph: StageGraph) -> dict[str, tuple[float, float]]:
        """The shares of their budgets that the stages of a graph are still to be trained, low and high."""
        return {
            key: (max(0.0, self.low[key] - graph.reached(key)), max(0.0, self.high[key] - graph.reached(key)))
            for key in graph.stages
        }


def forecast(planned: Plan, graph: StageGraph) -> Forecast:
    """Plays a plan's schedule through, from the scores on that its graph knows."""
    known = graph.strata.curves if graph.strata is not None else {}
    return Forecast(_shares(planned, known, "far apart"), _shares(planned, known, "equal"))


def _shares(planned: Plan, known: Mapping[str, Curve], arms: Literal["far apart", "equal"]) -> dict[str, float]:
    """The share that each stage is trained to if the arms' scores are far apart, or equal."""
    schedule = planned.study.schedule
    if schedule == "full":
        return dict.fromkeys(planned.stages, 1.0)
    levels = {arm.label: 10.0 * i * (arms == "far apart") for i, arm in enumerate(planned.study.intermediates)}
    rungs = schedule.rungs if isinstance(schedule, Asha) else ()
    curves = {}
    for key, stage in planned.stages.items():
        if stage.kind == "target":
            level = levels[stage.intermediate.label]
            steps = dict.fromkeys((planned.study.evaluation.rung(rung, stage.steps) for rung in rungs), level)
            curve = known.get(key, Curve())
            final = level if curve.final is None else curve.final
            curves[key] = replace(curve, steps=steps | curve.steps, final=final)
    strata = Strata(planned, curves)
    shares = {key: _target_share(key, stage, strata) for key, stage in planned.stages.items()}
    begun = {stage.parent for key, stage in planned.stages.items() if stage.parent is not None and shares[key] > 0}
    return {
        key: share if stage.kind != "intermediate" else float(key in begun)
        for (key, stage), share in zip(planned.stages.items(), shares.values(), strict=True)
    }


def _target_share(key: str, stage: Stage, strata: Strata) -> float:
    if not strata.governs(key) or strata.finish_stopped:
        return 1.0
    return strata.stopped.get(key, strata.reached.get(key, 0.0))
