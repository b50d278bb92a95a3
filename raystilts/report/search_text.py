"""The answer of a hyperparameter search: the best values, what they rest on, and whether to search on."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from raystilts.results.results import Results
from raystilts.study.schema import Study
from raystilts.study.search import Value
from raystilts.tuning.outcome import ENOUGH, UnitOutcome

#: Trials that a table shows of each unit.
SHOWN = 5


def search_of(results: Results) -> Study | None:
    """The study of a results folder if it is a search."""
    study = results.study()
    return study if study is not None and study.search is not None else None


def search_json(found: list[UnitOutcome]) -> list[dict[str, Any]]:
    """For programs: a list of objects, one a unit."""
    return [
        {
            "name": one.unit.name,
            "role": one.unit.role,
            "metric": one.metric,
            "best": None if one.best is None else dict(one.best.values),
            "score": None if one.best is None else one.best.value,
            "next_best": list(one.next_best),
            "trials": len(one.trials),
            "finished": one.count("finished"),
            "stopped": one.count("stopped"),
            "failed": one.count("failed") + one.count("lost"),
            "converged": one.converged,
            "importance": dict(one.importance),
            "notes": list(one.notes),
        }
        for one in found
    ]


def search_table(one: UnitOutcome) -> Group:
    """A unit's search for people: its best trials, importance, and what follows in words."""
    names = list(one.best.values) if one.best is not None else []
    table = Table(box=None, pad_edge=False)
    table.add_column("dev", justify="right")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    finished = [t for t in one.trials if t.state == "finished" and t.value is not None]
    for trial in sorted(finished, key=lambda t: -(t.value or 0.0))[:SHOWN]:
        table.add_row(f"{100 * (trial.value or 0.0):.1f}", *(value_text(trial.values[name]) for name in names))
    if one.importance:
        shares = (f"{share:.0%}" for share in (one.importance.get(name, 0.0) for name in names))
        table.add_row("matters", *shares, style="dim")
    counted = f"{len(one.trials)} trials: {one.count('finished')} finished, {one.count('stopped')} stopped"
    number = one.count("failed") + one.count("lost")
    failed = f", {number} failed" if number else ""
    head = Text(f"{one.unit.name} ({one.unit.role}, {one.metric} on dev; {counted}{failed})", style="bold")
    return Group(head, table, Text(search_verdict(one)), Text(""))


def value_text(value: Value) -> str:
    """A value in few digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def search_verdict(one: UnitOutcome) -> str:
    """What follows, in words."""
    if one.best is None:
        return "No trial has finished: nothing can be chosen yet."
    parts = [_convergence(one), *(f"{note}." for note in one.notes)]
    return " ".join(part for part in parts if part)


def _convergence(one: UnitOutcome) -> str:
    if one.converged is None:
        return f"Too few trials to tell whether the search has converged (fewer than {ENOUGH})."
    if one.converged:
        return "Converged: the last third of the trials brought no more than the noise of the dev sample."
    return "Not converged: the last third of the trials still brought more; raise search.num_samples and run again."
