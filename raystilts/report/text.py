"""Answers as text for a terminal of 80 columns and more.

Whether a study trained enough to compare anything: how many of its target stages learnt their task.

The answer of a hyperparameter search: the best values, what they rest on, and whether to search on.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from raystilts.planning.data import data_folder
from raystilts.ranking.degenerate import chance_p_value
from raystilts.results.answers import Results
from raystilts.results.overall import ArmOverall, OverallAnswer
from raystilts.results.target_answer import LOOK_AHEAD, ArmAnswer, TargetAnswer, arm_names
from raystilts.study.schema import Study
from raystilts.study.search import Value
from raystilts.tasks.check import constant_score
from raystilts.tasks.registry import get_task
from raystilts.tuning.outcome import ENOUGH, UnitOutcome

#: Columns of a terminal that nobody has widened.
WIDTH = 80
_ARM, _NUMBERS = 24, (5, 6, 15, 7, 6, 5)


def best_table(answer: TargetAnswer) -> str:
    """One stratum in 80 columns: what follows in words, its arms, and what must be told."""
    share = answer.target_fraction or 1.0
    part = "" if share == 1.0 else f", {100 * share:g}% of its training data"
    where = answer.language or f"mean of {len(answer.languages)}: {' '.join(answer.languages)}"
    lines = wrap(f"{answer.target}: {answer.metric} x 100 on test, {where}{part}")
    lines += wrap(verdict(answer), "  ")
    lines.append(_row("arm", ("mean", "gain", "95 % interval", "P(best)", "regret", "seeds")))
    for label, arm in zip(arm_names(answer.arms), answer.arms, strict=True):
        lines += _arm_lines(label, arm)
    if answer.best:
        bound = "Hsu's worst-case test at 95 %" if answer.strict else "it holds the best with at least 95 %"
        lines += wrap(f"* best set, the arms not told apart from the best: {bound}", "  ")
    for note in answer.notes:
        lines += wrap(f"note: {note}", "  ")
    return "\n".join(lines) + "\n"


def wrap(text: str, indent: str = "") -> list[str]:
    """A sentence in lines of at most 80 columns."""
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)


def _row(name: str, cells: Sequence[str]) -> str:
    numbers = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _NUMBERS, strict=True))
    return f"  {name:<{_ARM}} {numbers}".rstrip()


def _arm_lines(label: str, arm: ArmAnswer) -> list[str]:
    """The arm's row; a long name, and what is odd about the arm, have lines of their own."""
    star = "*" if arm.in_best_set else " "
    known = arm.competes and arm.p_best is not None
    cells = (
        "-" if arm.mean is None else f"{100 * arm.mean:.1f}",
        "" if arm.gain is None else f"{100 * arm.gain:+.1f}",
        interval(arm),
        f"{arm.p_best:.2f}" if known else "",
        f"{100 * arm.expected_regret:.1f}" if known and arm.expected_regret is not None else "",
        str(arm.seeds),
    )
    long = len(label) > _ARM
    row = _row("" if long else label, cells)
    lines = [f"  {label}", row] if long else [row]
    lines[0] = star + lines[0][1:]
    return lines + (wrap(f"({', '.join(marks(arm))})", "    ") if marks(arm) else [])


def marks(arm: ArmAnswer) -> list[str]:
    """What is odd about an arm: why it does not compete, and runs that are not among its seeds."""
    found = ["overlap: trains on the target's own data"] if arm.overlap else []
    if arm.stopped:
        found.append(f"{count(arm.stopped, 'run')} stopped{stopped_at(arm)}")
    if arm.failed:
        found.append(f"{count(arm.failed, 'run')} failed")
    if arm.degenerate:
        found.append(f"{count(arm.degenerate, 'run')} degenerate")
    return found


def stopped_at(arm: ArmAnswer) -> str:
    """Where the longest of an arm's stopped runs stands: " at 1/2"."""
    return "" if arm.stopped_at is None else f" at {Fraction(arm.stopped_at).limit_denominator(100)}"


def count(number: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def interval(arm: ArmAnswer) -> str:
    """The 95 % interval of a gain in points."""
    if arm.gain_low is None or arm.gain_high is None:
        return ""
    return f"[{100 * arm.gain_low:+.1f}, {100 * arm.gain_high:+.1f}]"


def verdict(answer: TargetAnswer) -> str:
    """What follows, in words, and how many more seeds would decide."""
    if not answer.best:
        return "No arm can be called best yet: run more seeds."
    if len(answer.best) == 1:
        nothing = "; no intermediate helps" if answer.best[0] == "none" and len(answer.arms) > 1 else ""
        return f"{answer.best[0]} is best{nothing}."
    seeds = max((arm.seeds for arm in answer.arms if arm.in_best_set), default=0)
    names = " or ".join([", ".join(answer.best[:-1]), answer.best[-1]])
    return f"{names}: not told apart with {count(seeds, 'seed')}{_outlook(answer)}."


def _outlook(answer: TargetAnswer) -> str:
    """The seeds that would decide, as the end of a sentence."""
    advice = answer.advice
    if advice is None or advice.probability is None:
        return "; nothing is told apart without a second seed" if advice is not None else ""
    if not advice.arms or advice.seeds == 0:
        return ""
    these = "these" if "none" in answer.best or "none" not in answer.advised(advice) else "these and none"
    if advice.seeds is None:
        few = "less than 0.01" if advice.probability < 0.01 else f"{advice.probability:.2f}"
        return f"; {LOOK_AHEAD} more seeds of {these} would decide with probability {few} only"
    seeds = count(advice.seeds, "more seed")
    return f"; {seeds} of {these} would decide with probability {advice.probability:.2f}"


def overall_table(answer: OverallAnswer) -> str:
    """All targets together in 80 columns."""
    lines = wrap(f"over {count(len(answer.targets), 'target')}: {', '.join(answer.targets)}")
    lines += wrap(_overall_verdict(answer), "  ")
    lines.append(f"  {'arm':<{_ARM}} {'mean rank':>9} {'95 % interval':>14} {'P(best)':>7} {'scaled gain':>20}")
    for arm in answer.arms:
        if arm.mean_rank is not None and arm.p_best_rank is not None:
            star = "*" if arm.in_rank_set else " "
            ranks = f"[{arm.rank_low:.1f}, {arm.rank_high:.1f}]"
            name = textwrap.shorten(arm.label, _ARM, placeholder="...")
            row = f"{star} {name:<{_ARM}} {arm.mean_rank:>9.2f} {ranks:>14} {arm.p_best_rank:>7.2f}"
            lines.append(f"{row} {_scaled(arm):>20}".rstrip())
    notes = ["scaled gain: over none, in units of the spread of one run's score in each target"] if answer.arms else []
    if answer.left_out:
        notes.append(f"left out for want of repeated seeds: {', '.join(answer.left_out)}")
    for note in (*notes, *answer.notes):
        lines += wrap(f"note: {note}", "  ")
    return "\n".join(lines) + "\n"


def _scaled(arm: ArmOverall) -> str:
    if arm.scaled_gain is None or arm.intermediate == "none":
        return ""
    return f"{arm.scaled_gain:+.2f} [{arm.scaled_low:+.2f}, {arm.scaled_high:+.2f}]"


def _overall_verdict(answer: OverallAnswer) -> str:
    if not answer.by_rank:
        return "No arm competes in every target, so none can be called best over all of them."
    if answer.by_rank == answer.by_gain:
        return f"Best on average, by mean rank and by scaled gain: {' or '.join(answer.by_rank)}."
    by_gain = f"; by scaled gain: {' or '.join(answer.by_gain)}" if answer.by_gain else ""
    return f"Best on average by mean rank: {' or '.join(answer.by_rank)}{by_gain}."


@dataclass(frozen=True, slots=True)
class AboveChance:
    """Trained target stages whose final English dev score is above that of the best constant answer.

    Attributes:
        above: Stages above it, one-sided binomial test at .05 with the number of dev rows (F1 scores are treated as
            shares of rows; where no constant answer scores, such as span questions, any score above 0 counts).
        stages: Finished trained target stages with an English dev score.
        by_target: The same two numbers by target.
    """

    above: int
    stages: int
    by_target: dict[str, tuple[int, int]]


def above_chance(results: Results) -> AboveChance | None:
    """The share of trained target stages that learnt their task; None for tables without their study.

    Reads the dev data again, for the score of constant answers.
    """
    study = results.study()
    if study is None:
        return None
    folder, limit = data_folder(study), study.evaluation.max_dev_samples
    scores = results.scores(split="dev", final=True)
    wanted = scores[scores["kind"] == "target"]
    counts: dict[str, tuple[int, int]] = {}
    columns = (wanted[name].tolist() for name in ("target", "language", "value", "examples"))
    for name, language, value, examples in zip(*columns, strict=True):
        task = get_task(name)
        if language == task.train_languages[0]:
            chance = constant_score(name, language, limit, folder)
            learnt = value > chance and (chance == 0 or chance_p_value(value, examples, chance) < 0.05)
            above, stages = counts.get(name, (0, 0))
            counts[name] = (above + learnt, stages + 1)
    return AboveChance(sum(a for a, _ in counts.values()), sum(n for _, n in counts.values()), counts)


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
            "failed": one.count("failed"),
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
    failed = f", {one.count('failed')} failed" if one.count("failed") else ""
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
