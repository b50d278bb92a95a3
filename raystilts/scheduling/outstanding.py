"""What is left to do of a plan: missing stages, those that a neighbour has done, which come first, how much they cost.

The ledger says what is done. A stage that another study has finished is taken over: the same key names the same
outcome. A prediction puts promising stages first. A forecast plays the schedule through, to say how much of what is
missing it will train.
"""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import Folder, open_folder
from raystilts.planning.cost import checkpoints_folder, estimate, stage_tokens
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan
from raystilts.results.earlier import earlier_studies
from raystilts.results.items import copy_items
from raystilts.results.joint_choice import prior_from
from raystilts.results.ledger import Ledger, next_attempt, read_scores, write_attempt
from raystilts.results.reader import ResultsWarning, load_manifest
from raystilts.results.schema import RunRow, ScoreRow, parse_name
from raystilts.schedules import rungs_of
from raystilts.schedules.top_two import TopTwo
from raystilts.scheduling.claims import neighbours
from raystilts.scheduling.graph import StageGraph, Turn
from raystilts.scheduling.record import Attempt
from raystilts.scheduling.sampling import prior_of, spent_by
from raystilts.scheduling.schedule import Curve, Strata, known_curves
from raystilts.training.checkpoints import Checkpoints, open_checkpoints

#: What this study calls things, and which attempt it was; all else is how the stage was run.
_OWN = (
    "study", "attempt", "intermediate", "intermediate_fraction", "target", "target_fraction", "seed",
    "hyperparameters", "encoder", "encoder_revision", "selection", "parent_stage",
)  # fmt: skip


def outstanding(planned: Plan, results: str, turns: Mapping[str, Turn] | None = None) -> StageGraph:
    """What is left to do of a plan: what its ledger lacks, and its schedule wants by the scores that are there.

    Args:
        turns: Which stages are to run first, see `StageGraph`.
    """
    todo = missing_stages(planned, Ledger(results), open_checkpoints(checkpoints_folder(planned.study)))
    if planned.study.schedule == "full":
        return StageGraph(todo, turns=turns)
    known = known_curves(planned, results) if open_folder(results).exists() else {}
    schedule = planned.study.schedule
    prior = prior_of(planned, schedule.prior) if isinstance(schedule, TopTwo) else None
    return StageGraph(todo, Strata(planned, known, prior, spent_by(results)), turns)


def missing_stages(planned: Plan, ledger: Ledger, checkpoints: Checkpoints) -> dict[str, Stage]:
    """The stages to run: those without a finished row, and parents whose weights are gone but needed."""
    done = ledger.finished().keys()
    missing = {key for key in planned.stages if key not in done}
    for key in reversed(planned.stages):  # what stages start from stands before them
        if key in missing:
            sources = planned.stages[key].sources
            missing |= {one for one in sources if not checkpoints.has(planned.stages[one].train_key)}
    return {key: stage for key, stage in planned.stages.items() if key in missing}


def adopt(planned: Plan, results: str) -> int:
    """Copies the rows of missing stages that another study below the same `storage_path` has finished.

    Args:
        results: This study's folder; its neighbours are the other studies' folders.

    Returns:
        The number of stages taken over.
    """
    missing = planned.stages.keys() - Ledger(results).finished().keys()
    adopted = 0
    for name, folder in neighbours(results):
        found = _finished_of(folder, missing)
        if found and planned.study.predictions != "none":
            copy_items(folder, results, found)
        for key, (row, scores) in found.items():
            write_attempt(results, *_copy(planned, results, name, row, scores))
            missing.discard(key)
            adopted += 1
    return adopted


def _finished_of(folder: Folder, wanted: Collection[str]) -> dict[str, tuple[RunRow, list[ScoreRow]]]:
    """Those of the wanted stages that a neighbour has finished; a neighbour that cannot be read has none."""
    try:
        shared = _stages(folder).intersection(wanted) if wanted else set()
        rows = {key: row for key, row in Ledger(folder).finished().items() if key in shared} if shared else {}
        return {key: (row, read_scores(folder, key, row.attempt)) for key, row in rows.items()}
    except (StorageError, OSError, ValueError) as error:
        warnings.warn(f"Nothing is taken over from {folder.url}: {error}", ResultsWarning, stacklevel=3)
        return {}


def _stages(folder: Folder) -> set[str]:
    """Stages with any attempt in a results folder, by the names of its files alone."""
    names = [*folder.names("runs"), *load_manifest(folder).consumed["runs"]]
    return {parsed[0] for name in names if (parsed := parse_name(name))}


def _copy(
    planned: Plan, results: str, neighbour: str, row: RunRow, scores: list[ScoreRow]
) -> tuple[RunRow, list[ScoreRow]]:
    stage = planned.stages[row.stage]
    number = next_attempt(results, row.stage)
    study, encoder = planned.study_of(stage), planned.encoder_of(stage)
    own = Attempt(stage, study, encoder, number, datetime.now(UTC), row.device_share).failed("", "")
    named = {name: getattr(own, name) for name in _OWN}
    mine = replace(row, **named, source=f"study {neighbour}")
    names = {name: named[name] for name in ("study", "attempt", "intermediate", "intermediate_fraction",
                                            "target_fraction", "seed")}  # fmt: skip
    return mine, [replace(score, **names) for score in scores]


def only_intermediates(planned: Plan) -> Plan:
    """The plan without its targets: all intermediates, to the end, whose checkpoints stay."""
    stages = {key: stage for key, stage in planned.stages.items() if stage.kind == "intermediate"}
    study = planned.study.model_copy(update={"schedule": "full", "keep": "all"})
    return replace(planned, study=study, cells=(), cell_stages=(), stages=stages)


def promising_first(planned: Plan, path: str | Path) -> dict[str, int]:
    """The place of each target stage by a prediction: 1 for the arm that is ranked first for its target, and so on.

    It decides which stages run first, and nothing else: all of them run, or those that the schedule asks for.

    Args:
        path: What `raystilts predict STUDY --json` wrote, or the results folder of an earlier study.

    Raises:
        UserError: It cannot be read, or ranks no arm of this plan.
    """
    rows = _predicted(planned, str(path))
    ranked: dict[str, list[str]] = defaultdict(list)
    for target, arm, _ in sorted(rows, key=lambda row: -row[2]):
        ranked[target].append(arm)
    places = {}
    for key, stage in planned.stages.items():
        arms = ranked.get(str(stage.target), [])
        if stage.kind == "target" and stage.intermediate.label in arms:
            places[key] = 1 + arms.index(stage.intermediate.label)
    if not places:
        raise UserError(f"--first {path}: it ranks no arm and target of this study; predict with the same study file")
    # What is not ranked comes last.
    last = 1 + max(places.values())
    targets = (key for key, stage in planned.stages.items() if stage.kind == "target")
    return dict.fromkeys(targets, last) | places


def _predicted(planned: Plan, path: str) -> list[tuple[str, str, float]]:
    """Target, arm, and what is expected of it."""
    if "://" in path or Path(path).is_dir():
        expected = prior_from(earlier_studies(path), planned.study)
        return [(target, arm, score) for (target, arm), score in expected.items()]
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = found["predictions"]
        return [(str(r["target"]), str(r["intermediate"]), float(r.get("score", r.get("logme")))) for r in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"--first {path}: expected a results folder, or the output of raystilts predict STUDY --json > {path}"
        ) from None


_SEEDS_AHEAD, _AFTER_ALL = 2, 1_000_000


def turns_of(planned: Plan, first: Mapping[str, int] | None = None) -> dict[str, Turn]:
    """When each stage of a plan is handed out.

    `order: anytime` takes the first seeds of all arms on all targets before the second seeds of any, and of the first
    seeds one arm after the other on all targets: so each target has an answer early, which gets better. Stages that
    others start from come with the first of these; of later seeds two seeds ahead, so that they are not waited for at
    the end. `order: longest_first` takes the longest chains first, which many devices finish a little sooner. Of
    several encoders the first seeds of one come before those of the next: a process holds one encoder at a time.

    Args:
        first: Place of each target stage by a prediction, see `promising_first`.
    """
    first = first or {}
    if planned.study.order == "longest_first":
        return {key: (place,) for key, place in first.items()}
    arms = {arm.label: number for number, arm in enumerate(planned.study.intermediates)}
    seeds: dict[str, dict[int | None, int]] = defaultdict(dict)  # of each arm, numbered as they come
    encoders = {name: number for number, name in enumerate(planned.encoders)}
    turns: dict[str, Turn] = {}
    for key, stage in planned.stages.items():
        encoder = encoders.get(stage.encoder, 0)
        if stage.kind != "intermediate":
            label = stage.intermediate.label
            seed = seeds[label].setdefault(stage.seed, len(seeds[label]))
            turns[key] = (seed, encoder, first.get(key, 0), 0 if seed else arms.get(label, 0))
    for key, stage in reversed(planned.stages.items()):
        turn = turns.get(key)
        if turn is None:
            continue
        if stage.kind != "intermediate" and turn[0]:
            turn = (max(0, turn[0] - _SEEDS_AHEAD), _AFTER_ALL, turn[1], 0)
        for source in stage.after:
            turns[source] = min(turn, turns.get(source, turn))
    return turns


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
    return Forecast(_shares(planned, graph.strata, "far apart"), _shares(planned, graph.strata, "equal"))


def _shares(planned: Plan, now: Strata | None, arms: Literal["far apart", "equal"]) -> dict[str, float]:
    """The share that each stage is trained to if the arms' scores are far apart, or equal."""
    schedule = planned.study.schedule
    if schedule == "full":
        return dict.fromkeys(planned.stages, 1.0)
    known, prior = ({}, {}) if now is None else (now.curves, now.prior)
    levels = {arm.label: 10.0 * i * (arms == "far apart") for i, arm in enumerate(planned.study.intermediates)}
    rungs = rungs_of(schedule)
    curves = {}
    for key, stage in planned.stages.items():
        if stage.kind == "target":
            level = levels[stage.intermediate.label]
            steps = dict.fromkeys((planned.study.evaluation.rung(rung, stage.steps) for rung in rungs), level)
            curve = known.get(key, Curve())
            final = level if curve.final is None else curve.final
            curves[key] = replace(curve, steps=steps | curve.steps, final=final)
    strata = Strata(planned, curves, prior, partial(_expected_seconds, planned))
    shares = {key: _target_share(key, stage, strata) for key, stage in planned.stages.items()}
    begun: set[str] = set()
    for key, stage in reversed(planned.stages.items()):
        if key in begun or (stage.kind != "intermediate" and shares[key] > 0):
            begun.update(stage.after)
    return {
        key: share if stage.kind != "intermediate" else float(key in begun)
        for (key, stage), share in zip(planned.stages.items(), shares.values(), strict=True)
    }


def _expected_seconds(planned: Plan, stages: Collection[str]) -> float:
    return 3600 * estimate(planned, {key: planned.stages[key] for key in stages if key in planned.stages}, ()).hours


def _target_share(key: str, stage: Stage, strata: Strata) -> float:
    if not strata.governs(key) or strata.finish_stopped:
        return 1.0
    return strata.stopped.get(key, strata.reached.get(key, 0.0))
