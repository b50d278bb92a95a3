"""What a study would do, before it does it: counts, savings, cost, overlap."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from raystilts.planning.adapters import parts_of_encoder, trained_count
from raystilts.planning.cost import Cost, disk_bytes
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, overlaps
from raystilts.schedules import schedule_name
from raystilts.study.adapters import FULL, Tuning
from raystilts.study.intermediate import domain_of

#: Below this a learning rate is one of whole encoders; adapters are trained at 1e-4 and more (Hu et al. 2022, table 9).
LOW_RATE = 1e-4


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan in numbers.

    Attributes:
        cells: Numbers of the transfer matrix.
        stages: Distinct stages; by kind in the next three. `made_stages` of the intermediate ones train nothing: they
            merge weights, or take them from elsewhere.
        steps: Updates to train in all stages.
        examples: Training examples, repeats counted; with one chain a cell in `examples_without_sharing`.
        in_ledger: Stages that the ledger holds as finished.
        missing: Stages to run; those that only score kept weights count too. Some of them the schedule may spare.
        spared: Stages that the schedule has stopped or done without, by the scores in the ledger.
        schedule: Its name.
        trained_low: The share of the full grid's work that the schedule trains, at least; likewise `trained_high`.
        disk_bytes: Of all checkpoints that are kept, None where the encoder's size is not known.
        overlap: Pairs (intermediate, target) that train on the same data.
        verified: Whether all data and the encoder are here; otherwise counts rest on declared sizes.
        encoders: Their names, where there are several: the counts are over all of them.
        aligned: Arms that read another task's training texts, without labels, and which task's.
        elsewhere: Arms that are a checkpoint from elsewhere, with what it is and what it is said to be trained on.
        tuned: Trainings that change a part of the encoder, and how much of it.
    """

    study: str
    cells: int
    stages: int
    intermediate_stages: int
    target_stages: int
    retrieval_stages: int
    steps: int
    examples: int
    examples_without_sharing: int
    in_ledger: int
    missing: int
    spared: int
    schedule: str
    trained_low: float
    trained_high: float
    cost: Cost
    disk_bytes: int | None
    overlap: tuple[tuple[str, str], ...]
    keep_targets: str
    verified: bool
    aligned: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    made_stages: int = 0
    elsewhere: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def summarise(
    plan: Plan, missing: dict[str, Stage], cost: Cost, trained: tuple[float, float] = (1.0, 1.0), spared: int = 0
) -> PlanSummary:
    """The numbers of a plan.

    Args:
        missing: The stages to run.
        trained: The share of the full grid's work that its schedule trains, low and high.
        spared: Stages that its schedule has stopped or done without.
    """
    chains = 0
    for key in plan.cell_stages:
        stage = plan.stages[key]
        chains += stage.examples + sum(plan.stages[one].examples for one in plan.behind(key))
    return PlanSummary(
        study=plan.study.name,
        cells=len(plan.cells),
        stages=len(plan.stages),
        intermediate_stages=len(plan.of_kind("intermediate")),
        target_stages=len(plan.of_kind("target")),
        retrieval_stages=len(plan.of_kind("retrieval")),
        steps=sum(stage.steps - stage.begins for stage in plan.stages.values()),
        examples=sum(stage.examples for stage in plan.stages.values()),
        examples_without_sharing=chains,
        in_ledger=len(plan.stages) - len(missing.keys() & plan.stages.keys()) - spared,
        missing=len(missing),
        spared=spared,
        schedule=schedule_name(plan.study.schedule),
        trained_low=trained[0],
        trained_high=trained[1],
        cost=cost,
        disk_bytes=disk_bytes(plan),
        overlap=overlaps(plan),
        keep_targets=plan.study.keep_targets,
        verified=plan.verified,
        aligned=tuple(f"{arm.label} (to {domain_of(arm)})" for arm in plan.study.intermediates if domain_of(arm)),
        encoders=tuple(plan.encoders),
        made_stages=sum(not stage.trains for stage in plan.of_kind("intermediate")),
        elsewhere=tuple(_elsewhere(stage) for stage in plan.stages.values() if stage.foreign is not None),
        tuned=_tuned(plan),
    )


def _elsewhere(stage: Stage) -> str:
    """A checkpoint from elsewhere, in words."""
    assert stage.foreign is not None
    given = stage.intermediate.checkpoint
    trained_on = "" if given is None else ", ".join(given.trained_on)
    told = f"trained on {trained_on} by its trained_on" if trained_on else "what it was trained on is not stated"
    return f"{stage.intermediate.label} ({stage.foreign.location}, fingerprint {stage.foreign.fingerprint}; {told})"


def _tuned(plan: Plan) -> tuple[str, ...]:
    """A line for each tuning, with a word on learning rates that are those of whole encoders."""
    lines = []
    for part, name in zip(plan.each(), plan.encoders or ("the encoder",), strict=True):
        tuned = {stage.tuning: stage.hyperparameters.learning_rate for stage in part.stages.values()}
        lines += [_tuning_line(part, name, tuning, rate) for tuning, rate in tuned.items() if not tuning.is_full]
    return tuple(lines)


def _tuning_line(plan: Plan, encoder: str, tuning: Tuning, rate: float) -> str:
    parts = parts_of_encoder(plan.encoder)
    count = "" if parts is None else f"{trained_count(tuning, parts):,} of {trained_count(FULL, parts):,} "
    line = f"{tuning.word} trains {count}weights of {encoder}"
    if tuning.method == "full" or rate >= LOW_RATE:
        return line
    return f"{line}; its learning rate, {rate:g}, is one of whole encoders: try ten times as much"


def plan_view(summary: PlanSummary) -> Group:
    """A plan for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    alone = summary.examples_without_sharing
    saved = 1 - summary.examples / alone if alone else 0.0
    hours = summary.cost
    if summary.encoders:
        table.add_row("encoders", ", ".join(summary.encoders))
    table.add_row("cells", f"{summary.cells:,}: an arm on a target with a seed")
    table.add_row(
        "stages",
        f"{summary.stages:,}, each done once for all its cells: {summary.intermediate_stages:,} "
        f"intermediate{_made(summary)}, {summary.target_stages:,} target, {summary.retrieval_stages:,} retrieval",
    )
    table.add_row("training", f"{summary.steps:,} updates, {summary.examples:,} examples")
    table.add_row("sharing", f"saves {saved:.0%} of the {alone:,} examples of cells trained alone")
    if summary.schedule != "full":
        table.add_row("schedule", _schedule(summary))
    spared = f", {summary.spared:,} stopped or not needed" if summary.spared else ""
    table.add_row("done already", f"{summary.in_ledger:,} stages{spared}; {summary.missing:,} to run")
    table.add_row("device hours", f"{_hours(hours.hours)} ({_hours(hours.low)} to {_hours(hours.high)}; {hours.basis})")
    if hours.price is not None:
        low, high = _money(hours.low * hours.price), _money(hours.high * hours.price)
        table.add_row("cost", f"{_money(hours.hours * hours.price)} ({low} to {high}; a device hour {hours.price:.2f})")
    if hours.kwh is not None:
        table.add_row("energy", f"{hours.hours * hours.kwh:.2f} kWh (by what recorded stages took)")
    disk = "unknown (the encoder is not here)" if summary.disk_bytes is None else f"{summary.disk_bytes / 1e9:.2f} GB"
    table.add_row("checkpoints", disk)
    lines: list[Any] = [Text(summary.study, style="bold"), table]
    lines += [Text(f"note: {note}", style="dim") for note in _notes(summary)]
    return Group(*lines)


def _made(summary: PlanSummary) -> str:
    return f" ({summary.made_stages:,} of them without training)" if summary.made_stages else ""


def _schedule(summary: PlanSummary) -> str:
    """What the schedule trains of the grid; what it saves is counted in device hours."""
    low, high = f"{summary.trained_low:.0%}", f"{summary.trained_high:.0%}"
    if low == high:
        return f"{summary.schedule}: trains {low} of the grid's work"
    return f"{summary.schedule}: trains {low} to {high} of the grid's work, by how far apart the arms are"


def _hours(hours: float) -> str:
    return f"{hours:.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def _money(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.2f}"


#: What to expect of a schedule, by docs/explanation/schedules.md (real runs).
_EXPECTED = {
    "halve": "halve: on 63 real targets a third of a four-seed grid found the best arm less often by .03 ± .03",
    "top_two": "top_two: on 63 real targets .27 of a four-seed grid with a prior found the best arm less often by "
    ".03 ± .03, .35 without a prior by .01 ± .02, and .30 without one by .05 ± .03",
}


def _notes(summary: PlanSummary) -> list[str]:
    notes = [f"{_EXPECTED[summary.schedule]} (docs/explanation/schedules.md)"] if summary.schedule in _EXPECTED else []
    for target in dict.fromkeys(target for _, target in summary.overlap):
        arms = ", ".join(arm for arm, other in summary.overlap if other == target)
        notes.append(f"{target} trains on the same data as {arms}: shown, left out of best")
    if summary.aligned:
        notes.append(f"drawn to another task's texts without its labels: {', '.join(summary.aligned)}")
    notes += [f"{one} is one checkpoint for all seeds: it has no seed variance of its own" for one in summary.elsewhere]
    notes += summary.tuned
    if summary.keep_targets == "none":
        notes.append("target checkpoints are not kept: a new language or metric will train the targets again")
    if not summary.verified:
        notes.append("data or encoder are not here yet: sizes are declared ones, keys are made when the run starts")
    return notes
