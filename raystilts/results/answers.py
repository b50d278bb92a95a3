"""What is answered for one target: its arms with score, gain and certainty, and what a reader must be told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from raystilts.ranking.advice import Advice, advise
from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.mcb import compare_with_best
from raystilts.ranking.posterior import NO_BASELINE, NO_REPEATS, Posterior, number, with_items
from raystilts.results.baseline import NONE, without_runs
from raystilts.results.ceiling import Ceiling, find_ceiling
from raystilts.results.collapsed import collapsed_note
from raystilts.results.item_noise import ItemLuck, KnownItems
from raystilts.results.notes import GAINS_ALONE, TOGETHER, Selection, answer_notes, parsed, shared_notes, unused_dev
from raystilts.results.stratum import Arm, Stratum, rank_stratum, scores_of, was_run
from raystilts.results.task_facts import KnownTasks

if TYPE_CHECKING:
    from raystilts.study.schema import Study


#: Further seeds that are thought about in a sentence.
LOOK_AHEAD = 8


@dataclass(frozen=True, slots=True)
class ArmAnswer:
    """One arm of one stratum.

    Attributes:
        language: None for the mean over languages.
        mean: Mean score over the finished seeds, 0 to 1.
        gain: Posterior mean of the score minus that of `none` on `split`, with its 95 % interval.
        p_best: Probability that no competing arm is better, by the data of `selection`.
        expected_regret: What choosing this arm is expected to lose against the best, by the data of `selection`.
        in_best_set: Whether the arm is among those not told apart from the best.
        competes: Whether the arm may be called best (its fraction is compared, its data is not the target's own).
        overlap: Whether the intermediate trains on the target's own training data.
        seeds: Finished runs; `stopped`, `failed` and `degenerate` ones are not among them.
        selection: Which data chose: English dev, the target language's dev, or (for want of dev data) test itself.
        stopped_at: The largest share of the budget that a stopped run has reached.
        posterior: Whose runs P(best) and regret are from: the target's alone, or all of the study's, as after the
            schedules `halve`, `top_two` and a `race` from one seed.
        baseline: What the arm `none` is called, see `results.baseline`.
    """

    target: str
    language: str | None
    target_fraction: float | None
    intermediate: str
    intermediate_fraction: float | None
    mean: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    p_best: float | None
    expected_regret: float | None
    in_best_set: bool
    competes: bool
    overlap: bool
    seeds: int
    stopped: int
    failed: int
    degenerate: int
    hyperparameters: dict[str, Any]
    metric: str
    split: str
    selection: Selection
    stopped_at: float | None = None
    posterior: Literal["target", "study"] = "target"
    baseline: str = NONE

    @property
    def label(self) -> str:
        """The arm as people read it."""
        return arm_label(self.intermediate, self.intermediate_fraction, self.baseline)

    @property
    def certain(self) -> bool:
        """Whether the 95 % interval of the gain excludes zero."""
        return self.gain_low is not None and self.gain_high is not None and (self.gain_low > 0 or self.gain_high < 0)

    def to_json(self) -> dict[str, Any]:
        """As JSON: every field by its name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class TargetAnswer:
    """One stratum: its arms, best first, and what a reader must be told.

    Attributes:
        languages: The languages behind every score.
        best: Arms not told apart from the best, by falling P(best).
        strict: Whether `best` is Hsu's worst-case set instead of the posterior's.
        choice: The posterior that chose, None where nothing has been ranked.
        gains: The posterior that the gains are from.
        choice_arms: Intermediate and fraction of each row of `choice`; likewise `gain_arms`.
        target_examples: The training examples of the target, where the study sets their number.
        constant: Where the target is not learnt, the dev score of the best constant answer, 0 to 1, if it has been
            looked up (`analysis.above_chance.with_constants`).
        baseline: What the arm `none` is called, see `results.baseline`.
        choice_languages: The languages of the data that chose.
        ceiling: Why these data cannot choose, where they cannot.
        data: What the means are of: test, or dev where it stands in for test in an imported table.
        no_gains: Why no arm has a gain, and what to do; empty where the baseline has a finished run.
    """

    target: str
    target_fraction: float | None
    language: str | None
    languages: tuple[str, ...]
    metric: str
    arms: tuple[ArmAnswer, ...]
    best: tuple[str, ...]
    notes: tuple[str, ...]
    strict: bool = False
    choice: Posterior | None = field(default=None, repr=False, compare=False)
    gains: Posterior | None = field(default=None, repr=False, compare=False)
    choice_arms: tuple[tuple[str, float | None], ...] = field(default=(), repr=False, compare=False)
    gain_arms: tuple[tuple[str, float | None], ...] = field(default=(), repr=False, compare=False)
    constant: float | None = None
    target_examples: int | None = None
    baseline: str = NONE
    choice_languages: tuple[str, ...] = ()
    ceiling: Ceiling | None = None
    data: str = "test"
    no_gains: str = ""

    @property
    def learnt(self) -> bool:
        """Whether the target is learnt at all: if not, no arm is called better than another."""
        return self.choice is None or self.choice.learnt

    @property
    def repeated(self) -> bool:
        """Whether an arm has a second seed: without one there is no interval over seeds, and no P(best)."""
        return self.choice is not None and self.choice.determined

    @property
    def label(self) -> str:
        """The target as people read it: `xnli`; for a part of its data `xnli 25%`, or `xnli k=16`."""
        return target_label(self.target, self.target_fraction, self.target_examples)

    @cached_property
    def advice(self) -> Advice | None:
        """How many more seeds of which arms would decide; None where nothing has been ranked."""
        return None if self.choice is None else advise(self.choice, max_seeds=LOOK_AHEAD)

    def advised(self, advice: Advice) -> tuple[str, ...]:
        """Labels of the arms that an advice names."""
        return tuple(arm_label(*self.choice_arms[i], self.baseline) for i in advice.arms)


def arm_label(intermediate: str, fraction: float | None, baseline: str = NONE) -> str:
    """An arm as people read it: `squad`, or `squad 25%` for a part of its data; `none` by its given name."""
    if intermediate == NONE:
        return baseline
    return intermediate if fraction is None or fraction == 1.0 else f"{intermediate} {100 * fraction:g}%"


def target_label(target: str, fraction: float | None, examples: int | None = None) -> str:
    """A target as people read it: `xnli`; for a part of its data `xnli 25%`, or `xnli k=16` where the number is set."""
    return arm_label(target, fraction) if examples is None else f"{target} k={examples}"


def arm_names(arms: Sequence[ArmAnswer]) -> list[str]:
    """Labels of a target's arms; where one stands for several, with the settings that differ."""
    labels = Counter(arm.label for arm in arms)
    return [arm.label if labels[arm.label] == 1 else f"{arm.label} ({_differing(arm, arms)})" for arm in arms]


def _differing(arm: ArmAnswer, arms: Sequence[ArmAnswer]) -> str:
    twins = [other.hyperparameters for other in arms if other.label == arm.label]
    names = sorted({name for twin in twins for name in twin})
    odd = [name for name in names if len({json.dumps(twin.get(name)) for twin in twins}) > 1]
    return ", ".join(f"{name}={json.dumps(arm.hyperparameters.get(name))}" for name in odd)


@dataclass(frozen=True, slots=True)
class Question:
    """What a question leaves out or lets in; see `Results.answers`.

    Attributes:
        stand_ins: Targets whose dev scores stand in for test scores, see `results.stand_ins`.
        dev_languages: Languages of dev scores that cannot choose, by target and fraction.
    """

    target: str | None
    language: str | None
    compared: float | None
    include_overlap: bool
    strict: bool
    study: Study | None
    tasks: KnownTasks
    baseline: str = NONE
    stand_ins: frozenset[str] = frozenset()
    dev_languages: Mapping[tuple[str, float | None], Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What one posterior of all targets says of one.

    Attributes:
        arms: Its rows: those of the dev scores, then arms that have not been run on this target.
        notes: What a reader must be told.
    """

    posterior: Posterior
    arms: tuple[Arm, ...]
    notes: tuple[str, ...] = ()


def eligible_arms(arms: Sequence[Arm], target: str, asked: Question) -> list[bool]:
    """Which arms may be called best: at the fraction that is compared, and not trained on the target's own data."""
    return [
        arm.intermediate_fraction in (None, asked.compared)
        and (asked.include_overlap or not asked.tasks.overlaps(arm.intermediate, target))
        for arm in arms
    ]


def answer_target(
    test: Stratum,
    dev: Stratum | None,
    rule: Selection,
    asked: Question,
    together: Chosen | None = None,
    items: Mapping[str, KnownItems] | None = None,
) -> TargetAnswer:
    """The answer for one stratum.

    Args:
        dev: The scores that choose; the test scores do where there are none.
        rule: Which data `dev` is of.
        together: What all targets together say of it, in place of its own dev scores alone.
        items: What is known of the items of each split.
    """
    overlap = [asked.tasks.overlaps(arm.intermediate, test.target) for arm in test.arms]
    eligible = eligible_arms(test.arms, test.target, asked)
    stream = f"{test.target} {test.target_fraction} {asked.language}"
    luck = _luck(items, test, asked.language)
    gains = rank_stratum(test, asked.language, eligible, stream, items=_variances(luck))
    chosen, chooser, may, by = gains, test, eligible, asked.language
    luck_of_choice: ItemLuck | None = None
    learnt = gains.learnt
    together = together if learnt else None
    if dev is not None:
        allowed = dict(zip(test.arms, eligible, strict=True))
        may = [allowed.get(arm, False) for arm in dev.arms]
        chooser, by = dev, asked.language if rule == "target_dev" else None
        luck_of_choice = _luck(items, dev, by)
        variances = _variances(luck_of_choice)
        if together is not None:
            chosen = with_items(together.posterior, variances, f"{stream} dev")
        else:
            chosen = rank_stratum(dev, by, may, f"{stream} dev", learnt, variances)
        if learnt and not chosen.learnt:
            gains = rank_stratum(test, asked.language, eligible, stream, learnt=False)
    selection = rule if dev is not None else "test"
    data = "dev" if test.target in asked.stand_ins else "test"
    best = chosen.best_set
    extra: list[str] = []
    if asked.strict and chosen.learnt:
        mcb = compare_with_best(scores_of(chooser, by), deterministic=chooser.deterministic, eligible=may)
        best, extra = mcb.best_set, [mcb.note] if mcb.note else []
    choice_arms = together.arms if together else tuple(chooser.arms)
    row_of = {arm: row for row, arm in enumerate(choice_arms)}
    arms = [
        _arm_answer(test, asked, gains, i, chosen, row_of.get(arm), best, eligible[i], overlap[i], selection)
        for i, arm in enumerate(test.arms)
        if was_run(test, i)
    ]
    if together is not None:
        arms = [replace(arm, posterior="study") for arm in arms]
        arms += _not_run(arms, together, best)
    arms.sort(key=lambda a: (not a.competes, -(a.p_best or 0.0), -(a.mean or 0.0), a.intermediate))
    unused = _unused_dev(test, rule, asked)
    notes = answer_notes(test, gains, chosen, selection, overlap, asked.include_overlap, asked.study, data, unused)
    notes = (*notes, *_collapsed(test, gains, eligible, asked, dev is None))
    if dev is not None and together is None:
        names = [arm_label(*arm[:2], asked.baseline) for arm in dev.arms]
        notes = (*notes, *collapsed_note(scores_of(dev, by), chosen, names, may, "P(best)", "dev"))
    for one, answer in ((luck_of_choice, chosen), (luck, gains)):
        if one is not None and answer.determined:  # elsewhere there is no interval that it could be in
            notes = (*notes, (replace(one, split=data) if one is luck else one).note())
    if gains.base is not None and gains.determined and gains.base.any():
        notes = (*notes, f"several settings of {asked.baseline}: each gain is over {asked.baseline} with the arm's own")
    if together is not None:
        notes = (TOGETHER, *(GAINS_ALONE if note == NO_REPEATS else note for note in notes), *together.notes)
    no_gains = "" if gains.fit.present[0] else without_runs(asked.baseline, asked.study)
    one_luck = luck if dev is None else luck_of_choice
    facts = asked.tasks.get(test.target)
    shared = shared_notes(() if facts is None else facts.shared, [asked.language] if asked.language else test.languages)
    return TargetAnswer(
        target=test.target,
        target_fraction=test.target_fraction,
        language=asked.language,
        languages=(asked.language,) if asked.language else test.languages,
        metric=test.metric or "",
        arms=tuple(arms),
        best=tuple(arm_label(*choice_arms[i][:2], asked.baseline) for i in _in_order(best, choice_arms, arms)),
        notes=(*(f"{no_gains}: gain unavailable" if one == NO_BASELINE else one for one in notes), *shared, *extra),
        strict=asked.strict,
        choice=chosen,
        gains=gains,
        choice_arms=tuple(arm[:2] for arm in choice_arms),
        gain_arms=tuple(arm[:2] for arm in test.arms),
        target_examples=asked.tasks.examples_of(asked.study, test.target, test.target_fraction),
        baseline=asked.baseline,
        choice_languages=chooser.languages if by is None else (by,),
        ceiling=find_ceiling(
            scores_of(chooser, by), may, None if one_luck is None else one_luck.items,
            data if dev is None else "dev", _other_choice(test, selection, asked),
        ),
        data=data,
        no_gains=no_gains,
    )  # fmt: skip


def _collapsed(
    test: Stratum, gains: Posterior, eligible: Sequence[bool], asked: Question, chooses: bool
) -> list[str]:
    """The note on collapsed runs among those that the means are of."""
    names = [arm_label(*arm[:2], asked.baseline) for arm in test.arms]
    shown = ["the gain"] * test.has_baseline + ["P(best)"] * chooses
    return collapsed_note(scores_of(test, asked.language), gains, names, eligible, " and ".join(shown))


def _unused_dev(test: Stratum, rule: Selection, asked: Question) -> str:
    """Why the dev scores that there are do not choose; empty where there are none."""
    languages = asked.dev_languages.get((test.target, test.target_fraction), ())
    if rule == "en_dev":
        wanted = asked.tasks.train_language(test.target)
        taken = "" if asked.tasks.get(test.target) else "taken to be "
        return unused_dev(languages, wanted, f"the training language is {taken}{wanted}")
    return unused_dev(languages, asked.language, f"the answer is in {asked.language}")


def _other_choice(test: Stratum, selection: Selection, asked: Question) -> str:
    """What else may choose where the dev data in the training language cannot."""
    facts = asked.tasks.get(test.target)
    if asked.study is None or selection != "en_dev" or facts is None:
        return ""
    others = {*test.languages} & {*facts.dev_languages} - {asked.tasks.train_language(test.target)}
    return "selection: target_dev" if others else ""


def _in_order(best: Sequence[int], choice_arms: Sequence[Arm], arms: Sequence[ArmAnswer]) -> list[int]:
    """The best set in the order of the arms of the answer, so that of arms that tie all answers name the same one."""
    place: dict[tuple[str, float | None], int] = {}
    for at, arm in enumerate(arms):
        place.setdefault((arm.intermediate, arm.intermediate_fraction), at)
    return sorted(best, key=lambda row: place.get(choice_arms[row][:2], len(arms)))


def _luck(items: Mapping[str, KnownItems] | None, stratum: Stratum, language: str | None) -> ItemLuck | None:
    known = None if items is None else items.get(stratum.split)
    return None if known is None else known.luck(stratum, language)


def _variances(luck: ItemLuck | None) -> FloatArray | None:
    return None if luck is None else luck.variances


def _not_run(arms: Sequence[ArmAnswer], together: Chosen, best: Sequence[int]) -> list[ArmAnswer]:
    """Arms that have no run on the target and may still be the best there."""
    there = {(arm.intermediate, arm.intermediate_fraction) for arm in arms}
    empty: dict[str, Any] = dict.fromkeys(("mean", "gain", "gain_low", "gain_high", "stopped_at"))
    empty |= dict.fromkeys(("seeds", "stopped", "failed", "degenerate"), 0)
    return [
        replace(
            arms[0],
            intermediate=together.arms[row].intermediate,
            intermediate_fraction=together.arms[row].intermediate_fraction,
            p_best=number(together.posterior.p_best[row]),
            expected_regret=number(together.posterior.regret[row]),
            in_best_set=True,
            competes=True,
            overlap=False,
            hyperparameters={},
            **empty,
        )
        for row in best
        if together.arms[row][:2] not in there
    ]


def _arm_answer(
    test: Stratum,
    asked: Question,
    gains: Posterior,
    i: int,
    chosen: Posterior,
    row: int | None,
    best: Sequence[int],
    competes: bool,
    overlap: bool,
    selection: Selection,
) -> ArmAnswer:
    arm = test.arms[i]
    gain, low, high = (None if arm.intermediate == NONE else number(values[i]) for values in gains.gains)
    return ArmAnswer(
        target=test.target,
        language=asked.language,
        target_fraction=test.target_fraction,
        intermediate=arm.intermediate,
        intermediate_fraction=arm.intermediate_fraction,
        mean=number(gains.fit.effects[i]),
        gain=gain,
        gain_low=low,
        gain_high=high,
        p_best=None if row is None else number(chosen.p_best[row]),
        expected_regret=None if row is None else number(chosen.regret[row]),
        in_best_set=row is not None and row in best,
        competes=competes,
        overlap=overlap,
        seeds=int(gains.fit.counts[i]),
        stopped=int(test.stopped[i]),
        failed=int(test.failed[i]),
        degenerate=int(test.degenerate[i]),
        hyperparameters=dict(parsed(arm.hyperparameters)),
        metric=test.metric or "",
        split="dev" if test.target in asked.stand_ins else "test",
        selection=selection,
        baseline=asked.baseline,
        stopped_at=test.stopped_at[i] if test.stopped_at else None,
    )
