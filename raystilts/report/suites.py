"""A suite's score for `none`, for each intermediate, and for the best intermediate per target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from raystilts.errors import UserError
from raystilts.ranking.contrasts import Contrasts, Difference
from raystilts.report.answers import Results, Selection, TargetAnswer, arm_label
from raystilts.report.suite_parts import Key, Part, best_arm, read_part, runs_of, score_table
from raystilts.study.schema import Study
from raystilts.tasks.languages import check_language
from raystilts.tasks.suites import Suite

#: The row that takes the best arm of each target.
BEST = "best per target"
NONE: Key = ("none", None)


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One arm's scores, 0 to 1.

    Attributes:
        scores: By target, mean over languages and seeds.
        groups: Mean over a group's targets.
        overall: Mean over all targets that the arm has.
        gain: The arm's overall score minus that of `none`, over the targets that both have, with its 95 % interval;
            None for `none`.
        group_gains: The same within each group.
        lacks: Targets of the table that the arm has no finished run for: they are in none of its means.
        overlap: Targets whose own training data the arm trains on.
        seeds: Finished runs in the target where it has fewest; 0 where no score depends on a seed.
    """

    arm: str
    scores: dict[str, float]
    groups: dict[str, float]
    overall: float | None
    gain: Difference | None
    group_gains: dict[str, Difference]
    lacks: tuple[str, ...]
    overlap: tuple[str, ...]
    seeds: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The best arm of one target.

    Attributes:
        selection: Which data chose it (see `ArmAnswer`).
        gain: Its score minus that of `none`; None where `none` is it or is not there.
    """

    target: str
    group: str
    arm: str
    selection: Selection
    score: float
    none: float | None
    gain: Difference | None
    overlap: bool


@dataclass(frozen=True, slots=True)
class SuiteTable:
    """The suite over one choice of languages.

    Attributes:
        asked: The one set of languages for all targets; empty for the suite's own, which differ by target.
        languages: The languages behind every score, by target; the targets of the table in the suite's order.
        missing: Targets of the suite that are not in the table, and why.
        missing_languages: Languages of the suite that a target of the table lacks.
        rows: `none`, the intermediates by falling overall score, the best per target.
        choices: What the last row is made of.
    """

    asked: tuple[str, ...]
    languages: dict[str, tuple[str, ...]]
    missing: dict[str, str]
    missing_languages: dict[str, tuple[str, ...]]
    rows: tuple[SuiteRow, ...]
    choices: tuple[Choice, ...]

    @property
    def complete(self) -> bool:
        """Whether every target is there, in every language asked for, for every arm."""
        return not self.missing and not self.missing_languages and not any(row.lacks for row in self.rows)


@dataclass(frozen=True, slots=True)
class SuiteAnswer:
    """A suite over its own languages, and over one stated set.

    Attributes:
        fixed: None where no set is stated.
    """

    suite: str
    title: str
    own: SuiteTable
    fixed: SuiteTable | None
    notes: tuple[str, ...]


def benchmark(
    results: Results,
    suite: Suite,
    *,
    languages: Sequence[str] = (),
    intermediate_fraction: float | None = None,
    include_overlap: bool = False,
) -> SuiteAnswer:
    """The suite's numbers from a results folder.

    Args:
        languages: The fixed set; default the suite's.
        intermediate_fraction: The fraction at which arms compete; default the study's.
        include_overlap: Let arms be best that train on the target's own data.

    Raises:
        UserError: The results hold no target of the suite, or something that was asked for is unknown.
    """
    answers = results.answers(intermediate_fraction=intermediate_fraction, include_overlap=include_overlap)
    # The largest share of a target's training data, where there are several.
    kept = {answer.target: answer for answer in sorted(answers, key=lambda a: a.target_fraction or 1.0)}
    matrix = results.matrix("score", split="test")
    if not any(member.target in kept for member in suite.members):
        wanted = ", ".join(member.target for member in suite.members)
        raise UserError(f"--suite {suite.name}: no target of it is in these results (they hold {', '.join(kept)}); "
                        f"it is made of {wanted}")  # fmt: skip
    asked = tuple(check_language(code) for code in languages) or suite.fixed_languages
    return SuiteAnswer(
        suite=suite.name,
        title=suite.title,
        own=_table(suite, kept, matrix, ()),
        fixed=_table(suite, kept, matrix, asked) if asked else None,
        notes=_notes(suite, kept, results.study()),
    )


def _table(suite: Suite, answers: dict[str, TargetAnswer], matrix: pd.DataFrame, asked: tuple[str, ...]) -> SuiteTable:
    compared = _compared(answers)
    parts: list[Part] = []
    missing: dict[str, str] = {}
    absent: dict[str, tuple[str, ...]] = {}
    for member in suite.members:
        wanted = tuple(code for code in member.languages if not asked or code in asked)
        found = read_part(member, answers.get(member.target), matrix, wanted, compared)
        if isinstance(found, str):
            missing[member.target] = found
            continue
        parts.append(found)
        lost = tuple(code for code in wanted if code not in found.languages)
        if lost:
            absent[member.target] = lost
    rows, choices = _rows(suite, parts) if parts else ((), ())
    return SuiteTable(asked, {p.member.target: p.languages for p in parts}, missing, absent, rows, choices)


def _compared(answers: dict[str, TargetAnswer]) -> float | None:
    """The fraction of intermediate data at which arms compete."""
    arms = [arm for answer in answers.values() for arm in answer.arms if arm.intermediate_fraction is not None]
    # Where every arm overlaps with its target, none competes.
    arms = [arm for arm in arms if arm.competes] or arms
    return max((arm.intermediate_fraction for arm in arms if arm.intermediate_fraction is not None), default=None)


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """All targets of a table side by side, the same arms in each; arm 0 is `none`."""

    suite: Suite
    parts: list[Part]
    keys: list[Key]
    contrasts: Contrasts

    def effect(self, t: int, arm: int) -> float | None:
        """An arm's mean score in a target, adjusted for its seeds; None without a run (or without an arm: -1)."""
        value = self.contrasts.effects[t, arm] if arm >= 0 else np.nan
        return None if np.isnan(value) else float(value)

    def gain(self, picks: list[int], targets: list[int]) -> Difference:
        """The mean over targets of the picked arms' scores minus that of `none`."""
        weights = [1 / len(targets) if t in targets else 0.0 for t in range(len(picks))]
        return self.contrasts.difference(picks, [0] * len(picks), weights)


def _rows(suite: Suite, parts: list[Part]) -> tuple[tuple[SuiteRow, ...], tuple[Choice, ...]]:
    keys = sorted({key for part in parts for key in part.scores} - {NONE}, key=lambda key: (key[0], key[1] or 0.0))
    keys = [NONE, *keys]
    grid = _Grid(suite, parts, keys, Contrasts(*score_table(parts, keys)))
    rows = [_row(grid, arm_label(*key), [i] * len(parts)) for i, key in enumerate(keys)]
    rows[1:] = sorted(rows[1:], key=lambda row: (len(row.lacks), -(row.overall or 0.0)))
    best = [best_arm(part) for part in parts]
    picks = [-1 if key is None else keys.index(key) for key in best]
    choices = tuple(_choice(grid, t, pick) for t, pick in enumerate(picks) if pick >= 0)
    return (*rows, _row(grid, BEST, picks)), choices


def _row(grid: _Grid, name: str, picks: list[int]) -> SuiteRow:
    """One arm, or one arm a target (-1 where none can be chosen)."""
    parts = grid.parts
    effects = {t: effect for t, pick in enumerate(picks) if (effect := grid.effect(t, pick)) is not None}
    means = grid.suite.aggregate({parts[t].member.target: effect for t, effect in effects.items()})
    both = [t for t in effects if grid.effect(t, 0) is not None]
    inside = {group: [t for t in both if parts[t].member.group == group] for group in means.groups}
    baseline = name == NONE[0]
    return SuiteRow(
        arm=name,
        scores={parts[t].member.target: effect for t, effect in effects.items()},
        groups=means.groups,
        overall=means.overall,
        gain=None if baseline else grid.gain(picks, both),
        group_gains={} if baseline else {group: grid.gain(picks, members) for group, members in inside.items()},
        lacks=tuple(part.member.target for t, part in enumerate(parts) if t not in effects),
        overlap=tuple(parts[t].member.target for t in effects if parts[t].arms[grid.keys[picks[t]]].overlap),
        seeds=min((runs_of(parts[t], grid.keys[picks[t]]) for t in effects), default=0),
    )


def _choice(grid: _Grid, t: int, pick: int) -> Choice:
    part, none = grid.parts[t], grid.effect(t, 0)
    score = grid.effect(t, pick)
    assert score is not None
    arm = part.arms[grid.keys[pick]]
    return Choice(
        target=part.member.target,
        group=part.member.group,
        arm=arm_label(*grid.keys[pick]),
        selection=arm.selection,
        score=score,
        none=none,
        gain=None if pick == 0 or none is None else grid.gain([pick] * len(grid.parts), [t]),
        overlap=arm.overlap,
    )


def _notes(suite: Suite, answers: dict[str, TargetAnswer], study: Study | None) -> tuple[str, ...]:
    members = [answers[member.target] for member in suite.members if member.target in answers]
    notes = [
        f"{answer.target}: trained on {100 * answer.target_fraction:g}% of its data"
        for answer in members
        if answer.target_fraction not in (None, 1.0) and answer.target_fraction is not None
    ]
    limit = study.evaluation.max_test_samples if study is not None else None
    if limit is not None:
        notes.append(f"at most {limit} test rows a language were scored, so these are not the benchmark's full scores")
    blind = [answer.target for answer in members if any(arm.selection == "test" for arm in answer.arms)]
    if blind:
        notes.append(f"{', '.join(blind)}: no dev data, so the best arm is chosen and scored on the same test data")
    if any(arm.overlap for answer in members for arm in answer.arms):
        notes.append("(...) the arm trains on a target's own training data; see `raystilts best` for which")
    notes += [note for answer in members for note in answer.notes if note.startswith("the encoder has seen")]
    return tuple(dict.fromkeys(notes))
