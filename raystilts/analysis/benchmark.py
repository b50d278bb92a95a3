"""A suite's score for `none`, for each intermediate, and for the best intermediate per target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raystilts.analysis.presentation import count
from raystilts.errors import UserError
from raystilts.ranking.contrasts import Contrasts, Difference
from raystilts.ranking.intervals import BoolArray, FloatArray
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_label
from raystilts.results.notes import Selection
from raystilts.results.reader import json_column
from raystilts.results.results import Results
from raystilts.study.schema import Study
from raystilts.tasks.languages import check_language
from raystilts.tasks.suites import Member, Suite

#: An intermediate at one fraction of its data.
Key = tuple[str, float | None]
NONE: Key = ("none", None)
#: The row that takes the best arm of each target.
BEST = "best per target"


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
        baseline: What the arm `none` is called.
    """

    suite: str
    title: str
    own: SuiteTable
    fixed: SuiteTable | None
    notes: tuple[str, ...]
    baseline: str = "none"


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
        baseline=results.baseline,
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


def _part_of(answer: TargetAnswer) -> str:
    """How much of its data a target was trained on."""
    if answer.target_examples is not None:
        return count(answer.target_examples, "example")
    return f"{100 * (answer.target_fraction or 1.0):g}% of its data"


def _notes(suite: Suite, answers: dict[str, TargetAnswer], study: Study | None) -> tuple[str, ...]:
    members = [answers[member.target] for member in suite.members if member.target in answers]
    notes = [
        f"{answer.target}: trained on {_part_of(answer)}"
        for answer in members
        if answer.target_fraction not in (None, 1.0) and answer.target_fraction is not None
    ]
    limit = study.evaluation.max_test_samples if study is not None else None
    if limit is not None:
        notes.append(f"at most {limit} test rows a language were scored, so these are not the benchmark's full scores")
    blind = [answer.target for answer in members if any(arm.selection == "test" for arm in answer.arms)]
    if blind:
        notes.append(f"{', '.join(blind)}: no dev data choose: the best arm is chosen and scored on the same test data")
    if any(arm.overlap for answer in members for arm in answer.arms):
        notes.append("(...) the arm trains on a target's own training data; see `raystilts best` for which")
    notes += [note for answer in members for note in answer.notes if note.startswith("the encoder has seen")]
    return tuple(dict.fromkeys(notes))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One target of a table.

    Attributes:
        languages: Those of the wanted languages that every run has.
        arms: The arms that compete, or would but for their overlap, each with its best hyperparameters.
        scores: Mean over `languages` of each finished run by arm and seed; seed None where none matters.
    """

    member: Member
    answer: TargetAnswer
    languages: tuple[str, ...]
    arms: dict[Key, ArmAnswer]
    scores: dict[Key, dict[int | None, float]]


def read_part(
    member: Member, answer: TargetAnswer | None, matrix: pd.DataFrame, wanted: tuple[str, ...], compared: float | None
) -> Part | str:
    """A target's scores in the wanted languages and at the compared fraction, or why there are none."""
    if answer is None:
        return "not in these results"
    if answer.metric != member.metric:
        return f"scored by {answer.metric}, not by {member.metric}"
    if not wanted:
        return "has none of these languages"
    arms: dict[Key, ArmAnswer] = {}
    for arm in sorted(answer.arms, key=_preference):
        if arm.intermediate_fraction in (None, compared):
            arms.setdefault((arm.intermediate, arm.intermediate_fraction), arm)
    values = _runs(matrix, answer, wanted, arms)
    languages = tuple(code for code in wanted if values and all(code in run for run in values.values()))
    if not languages:
        return "no language that every run has" if values else "no finished run in these languages"
    scores: dict[Key, dict[int | None, float]] = {}
    for (key, number), run in values.items():
        scores.setdefault(key, {})[number] = sum(run[code] for code in languages) / len(languages)
    return Part(member, answer, languages, arms, scores)


def _runs(
    matrix: pd.DataFrame, answer: TargetAnswer, wanted: tuple[str, ...], arms: dict[Key, ArmAnswer]
) -> dict[tuple[Key, int | None], dict[str, float]]:
    """Scores by language of every run that is not degenerate."""
    fraction = matrix["target_fraction"]
    same = fraction.isna() if answer.target_fraction is None else fraction == answer.target_fraction
    rows = matrix[(matrix["target"] == answer.target) & same & matrix["language"].isin(wanted)]
    rows = rows[~rows["degenerate"].astype(bool)]
    values: dict[tuple[Key, int | None], dict[str, float]] = {}
    for name, part, settings, seed, language, score in rows[
        ["intermediate", "intermediate_fraction", "hyperparameters", "seed", "language", "score"]
    ].itertuples(index=False):
        key = (str(name), None if pd.isna(part) else float(part))
        if key in arms and json_column(settings, dict) == arms[key].hyperparameters:
            run = values.setdefault((key, None if pd.isna(seed) else int(seed)), {})
            run[str(language)] = float(score)
    return values


def _preference(arm: ArmAnswer) -> tuple[bool, float, float, float]:
    """The best arm first, by the data that chooses."""
    regret = np.inf if arm.expected_regret is None else arm.expected_regret
    return (not arm.competes, regret, -(arm.p_best or 0.0), -(arm.mean or 0.0))


def best_arm(part: Part) -> Key | None:
    """The arm with the least expected regret; without a posterior the first of the best set."""
    arms = [(key, arm) for key, arm in part.arms.items() if arm.competes and key in part.scores]
    if part.answer.best and all(arm.expected_regret is None for _, arm in arms):
        best = {label: place for place, label in enumerate(part.answer.best)}
        arms = [pair for pair in arms if pair[1].label in best]
        arms.sort(key=lambda pair: best[pair[1].label])
    return arms[0][0] if arms else None


def score_table(parts: list[Part], keys: list[Key]) -> tuple[FloatArray, BoolArray]:
    """``[targets, arms, seeds]`` scores, and which arms' scores depend on no seed."""
    seeds = sorted({s for part in parts for runs in part.scores.values() for s in runs if s is not None}) or [0]
    table = np.full((len(parts), len(keys), len(seeds)), np.nan)
    fixed = np.zeros(table.shape[:2], dtype=np.bool_)
    for t, part in enumerate(parts):
        for key, runs in part.scores.items():
            row = keys.index(key)
            for seed, value in runs.items():
                fixed[t, row] |= seed is None
                table[t, row, slice(None) if seed is None else seeds.index(seed)] = value
    return table, fixed


def runs_of(part: Part, key: Key) -> int:
    """Runs of an arm; a score that depends on no seed limits nothing."""
    runs = part.scores[key]
    return max((len(other) for other in part.scores.values()), default=0) if None in runs else len(runs)


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
    rows = [_row(grid, arm_label(*key, parts[0].answer.baseline), [i] * len(parts)) for i, key in enumerate(keys)]
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
        arm=arm.label,
        selection=arm.selection,
        score=score,
        none=none,
        gain=None if pick == 0 or none is None else grid.gain([pick] * len(grid.parts), [t]),
        overlap=arm.overlap,
    )


def suite_view(answer: SuiteAnswer) -> Group:
    """What is there, the scores over the suite's languages, over the fixed set, and the best per target."""
    parts: list[RenderableType] = [Text(f"{answer.title}, scores x 100 on test", style="bold")]
    parts += _completeness(answer.own)
    parts += [Text(""), Text("mean over each target's own languages"), _scores(answer.own)]
    if answer.fixed is not None:
        parts += [Text(""), Text(f"mean over one set of languages: {' '.join(answer.fixed.asked)}")]
        parts += [Text(f"  without {line}") for line in _missing(answer.fixed)]
        parts.append(_scores(answer.fixed) if answer.fixed.rows else Text("  no target has any of these"))
    parts += [Text(""), Text(f"the best arm per target, against {answer.baseline}")]
    parts.append(_choices(answer.own.choices, answer.baseline))
    parts += [Text(f"note: {note}", style="dim") for note in answer.notes]
    return Group(*parts)


def _completeness(table: SuiteTable) -> list[Text]:
    there, number = len(table.languages), len(table.languages) + len(table.missing)
    if table.complete:
        return [Text(f"complete: all {number} targets in all their languages", style="green")]
    lines = [f"INCOMPLETE: {there} of {number} targets; every average is over what is there, not the suite's score"]
    lines += [f"  without {line}" for line in _missing(table)]
    for target, languages in table.missing_languages.items():
        used = len(table.languages[target])
        lines.append(f"  {target}: {used} of {used + len(languages)} languages, without {' '.join(languages)}")
    lines += [f"  {row.arm}: without {', '.join(row.lacks)}" for row in table.rows if row.lacks]
    return [Text(line, style="yellow") for line in lines]


def _missing(table: SuiteTable) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for target, reason in table.missing.items():
        reasons.setdefault(reason, []).append(target)
    return [f"{', '.join(targets)} ({reason})" for reason, targets in reasons.items()]


def _scores(table: SuiteTable) -> Table:
    """An arm a row; groups, overall, and the overall difference from `none`."""
    groups = list(dict.fromkeys(group for row in table.rows for group in row.groups))
    view = Table(box=None, pad_edge=False)
    view.add_column("arm", overflow="fold", max_width=24)
    for name in (*groups, "overall", "gain", "95 % interval", "seeds"):
        view.add_column(name, justify="right", no_wrap=True)
    for row in table.rows:
        cells = [f"{100 * row.groups[group]:.1f}" if group in row.groups else "-" for group in groups]
        overall = "-" if row.overall is None else f"{100 * row.overall:.1f}"
        view.add_row(f"({row.arm})" if row.overlap else row.arm, *cells, overall, *gain_cells(row.gain), str(row.seeds))
    return view


def gain_cells(gain: Difference | None) -> tuple[str, str]:
    """A difference in points, and its interval."""
    if gain is None or gain.value is None:
        return "", ""
    if gain.low is None or gain.high is None:
        return f"{100 * gain.value:+.1f}", ""
    return f"{100 * gain.value:+.1f}", f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def _choices(choices: tuple[Choice, ...], baseline: str) -> Table:
    view = Table(box=None, pad_edge=False)
    for name, justify in (("target", "left"), ("group", "left"), ("best", "left"), ("chosen on", "left")):
        view.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in ("score", baseline, "gain", "95 % interval"):
        view.add_column(name, justify="right", no_wrap=True)
    for one in choices:
        arm = f"({one.arm})" if one.overlap else one.arm
        none = "-" if one.none is None else f"{100 * one.none:.1f}"
        source = {"en_dev": "English dev", "target_dev": "target dev", "test": "test"}[one.selection]
        view.add_row(one.target, one.group, arm, source, f"{100 * one.score:.1f}", none, *gain_cells(one.gain))
    return view
