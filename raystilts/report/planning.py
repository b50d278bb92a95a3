"""What a study would do, before it does it: counts, savings, cost, overlap."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from raystilts.scheduling.preflight import disk_bytes
from raystilts.study.cost import Cost
from raystilts.study.plan import Plan, Stage
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import shares_training_data


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan in numbers.

    Attributes:
        cells: Numbers of the transfer matrix.
        stages: Distinct stages; by kind in the next three.
        steps: Updates to train in all stages.
        examples: Training examples, repeats counted; with one chain a cell in `examples_without_sharing`.
        in_ledger: Stages that the ledger holds as finished.
        missing: Stages to run; those that only score kept weights count too.
        disk_bytes: Of all checkpoints that are kept, None where the encoder's size is not known.
        overlap: Pairs (intermediate, target) that train on the same data.
        verified: Whether all data and the encoder are here; otherwise counts rest on declared sizes.
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
    cost: Cost
    disk_bytes: int | None
    overlap: tuple[tuple[str, str], ...]
    keep_targets: str
    verified: bool

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def summarise(plan: Plan, missing: dict[str, Stage], cost: Cost) -> PlanSummary:
    """The numbers of a plan."""
    chains = 0
    for key in plan.cell_stages:
        stage = plan.stages[key]
        chains += stage.examples + (plan.stages[stage.parent].examples if stage.parent else 0)
    return PlanSummary(
        study=plan.study.name,
        cells=len(plan.cells),
        stages=len(plan.stages),
        intermediate_stages=len(plan.of_kind("intermediate")),
        target_stages=len(plan.of_kind("target")),
        retrieval_stages=len(plan.of_kind("retrieval")),
        steps=sum(stage.steps for stage in plan.stages.values()),
        examples=sum(stage.examples for stage in plan.stages.values()),
        examples_without_sharing=chains,
        in_ledger=len(plan.stages) - len(missing.keys() & plan.stages.keys()),
        missing=len(missing),
        cost=cost,
        disk_bytes=disk_bytes(plan),
        overlap=overlaps(plan),
        keep_targets=plan.study.keep_targets,
        verified=plan.verified,
    )


def overlaps(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Intermediates that train on a target's own training data."""
    return tuple(
        (arm.label, target.task)
        for arm in plan.study.intermediates
        for target in plan.study.targets
        if any(shares_training_data(get_task(name), get_task(target.task)) for name in arm.tasks)
    )


def plan_view(summary: PlanSummary) -> Group:
    """A plan for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    saved = 1 - summary.examples / summary.examples_without_sharing if summary.examples_without_sharing else 0.0
    hours = summary.cost
    table.add_row("cells", f"{summary.cells:,}")
    table.add_row(
        "stages",
        f"{summary.stages:,} distinct: {summary.intermediate_stages:,} intermediate, {summary.target_stages:,} target, "
        f"{summary.retrieval_stages:,} retrieval",
    )
    table.add_row("training", f"{summary.steps:,} updates, {summary.examples:,} examples")
    table.add_row(
        "sharing", f"saves {saved:.0%} of {summary.examples_without_sharing:,} examples (one chain a cell)"
    )
    table.add_row("in ledger", f"{summary.in_ledger:,} finished; {summary.missing:,} to run")
    table.add_row("device hours", f"{_hours(hours.hours)} ({_hours(hours.low)} to {_hours(hours.high)}; {hours.basis})")
    disk = "unknown (the encoder is not here)" if summary.disk_bytes is None else f"{summary.disk_bytes / 1e9:.2f} GB"
    table.add_row("checkpoints", disk)
    lines: list[Any] = [Text(summary.study, style="bold"), table]
    lines += [Text(f"note: {note}", style="dim") for note in _notes(summary)]
    return Group(*lines)


def _hours(hours: float) -> str:
    return f"{hours:.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def _notes(summary: PlanSummary) -> list[str]:
    notes = []
    for target in dict.fromkeys(target for _, target in summary.overlap):
        arms = ", ".join(arm for arm, other in summary.overlap if other == target)
        notes.append(f"{target} trains on the same data as {arms}: shown, left out of best")
    if summary.keep_targets == "none":
        notes.append("target checkpoints are not kept: a new language or metric will train the targets again")
    if not summary.verified:
        notes.append("data or encoder are not here yet: sizes are declared ones, keys are made when the run starts")
    return notes
