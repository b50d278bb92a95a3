"""How much of a study is there, which every answer begins with.

Only the study's own words are read: no task file of it is run, and no data is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from raystilts.analysis.presentation import count, listed
from raystilts.results.answers import arm_label
from raystilts.results.results import Results
from raystilts.results.task_facts import KnownTasks
from raystilts.study.arms import Arms
from raystilts.study.schema import Study
from raystilts.tasks.registry import all_tasks

#: Missing things that a sentence names; the others are counted.
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Completeness:
    """What a study asks for of its targets, and what is there.

    Attributes:
        unit: What is counted: target stages, or, where a schedule may end arms early, pairs of an arm and a target.
        done: Finished ones, or ended by the schedule.
        asked: All of them.
        missing: What is missing, as people read it: an arm, a target, or an arm for a target.
        only_baseline: Whether `none` alone has a finished stage.
    """

    unit: str
    done: int
    asked: int
    missing: tuple[str, ...]
    only_baseline: bool

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.done >= self.asked

    def sentence(self) -> str:
        """`28 of 38 target stages; missing: uner; panx for masakhanews`."""
        text = f"{self.done} of {count(self.asked, self.unit)}"
        if self.complete:
            return text
        more = len(self.missing) - _NAMED
        rest = [count(more, "other")] if more > 0 else []
        return f"{text}; missing: {'; '.join([*self.missing[:_NAMED], *rest])}"


def completeness(results: Results) -> Completeness | None:
    """Compares the study with its results; None for tables without a study, and for searches."""
    study = results.study()
    if study is None or study.search is not None:
        return None
    whole = study.schedule == "full"
    asked = _asked(study, results.tasks())
    runs = results.runs()
    targets = runs[(runs["kind"] != "intermediate") & runs["status"].isin(["finished", "stopped"])]
    several = study.encoders is not None
    targets = targets.assign(of=targets["encoder"] if several else "")
    rows = targets[["intermediate", "intermediate_fraction", "target", "target_fraction", "seed", "of"]]
    rows = rows.astype(object).where(rows.notna(), None)
    there = {_key(row, whole) for row in rows.itertuples(index=False)}
    wanted = {_key(key, whole) for key in asked}
    done = wanted & there
    finished = targets[targets["status"] == "finished"]["intermediate"]
    return Completeness(
        unit="target stage" if whole else "arm and target pair",
        done=len(done),
        asked=len(wanted),
        missing=_words(sorted(wanted, key=str), there),
        only_baseline=len(finished) > 0 and set(finished) == {"none"} and len(study.intermediates) > 1,
    )


def _asked(study: Study, tasks: KnownTasks) -> list[tuple[object, ...]]:
    """Intermediate, fraction, target, target fraction, seed and encoder (where several) of every target stage."""
    known, arms = all_tasks(), Arms(study.intermediates)
    found: list[tuple[object, ...]] = []
    for target, arm in product(study.targets, study.intermediates):
        task = known.get(target.task.partition("@")[0])
        trained = task is None or task.requires_training
        fractions = study.intermediate_fractions.values if arms.has_fractions(arm) else (None,)
        seeds: Iterable[int | None] = (study.baseline_seeds or study.seeds) if arm.is_none else study.seeds
        if not arms.has_seeds(arm) and not trained:
            seeds = (None,)
        shares = tasks.points(study, target) if trained else (None,)
        found += [(arm.label, f, target.task, s, seed) for f, s, seed in product(fractions, shares, seeds)]
    encoders = [one.label for one in study.encoders or ()] or [""]
    return [(*key, encoder) for encoder in encoders for key in found]


def _key(row: Iterable[object], whole: bool) -> tuple[object, ...]:
    arm, fraction, target, share, seed, encoder = row
    return (arm, fraction, target, share, seed if whole else None, encoder)


def _words(wanted: list[tuple[object, ...]], there: set[tuple[object, ...]]) -> tuple[str, ...]:
    """Arms and targets that have nothing at all, then what an arm lacks in a target."""
    lacking = [key for key in wanted if key not in there]
    arms = {_arm(key) for key in lacking} - {_arm(key) for key in wanted if key in there}
    targets = {_target(key) for key in lacking} - {_target(key) for key in wanted if key in there}
    pairs: dict[str, list[str]] = {}
    for key in lacking:
        if _arm(key) not in arms and _target(key) not in targets:
            pairs.setdefault(_arm(key), []).append(_target(key))
    some = [f"{arm} for {listed(sorted(set(names)))}" for arm, names in sorted(pairs.items())]
    return (*sorted(arms), *(f"target {name}" for name in sorted(targets)), *some)


def _arm(key: tuple[object, ...]) -> str:
    fraction = key[1] if isinstance(key[1], float) else None
    return arm_label(str(key[0]), fraction) + (f" ({key[5]})" if key[5] else "")


def _target(key: tuple[object, ...]) -> str:
    return arm_label(str(key[2]), key[3] if isinstance(key[3], float) else None)
