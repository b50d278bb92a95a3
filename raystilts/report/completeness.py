"""How much of a study is there, which every answer begins with.

Only the study's own words are read: no task file of it is run, and no data is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from raystilts.analysis.presentation import count, listed
from raystilts.results.answers import arm_label
from raystilts.results.ledger import counting
from raystilts.results.results import Results
from raystilts.results.schema import RunRow
from raystilts.results.task_facts import KnownTasks
from raystilts.study.arms import Arms
from raystilts.study.schema import Study
from raystilts.tasks.registry import all_tasks

#: What tells target stages apart, in the order of `_asked`.
_COLUMNS = ("intermediate", "intermediate_fraction", "target", "target_fraction", "seed", "encoder")
#: How a stage ends that the study is not to run again.
_ENDED = ("finished", "stopped")
#: Missing things that a sentence names; the others are counted.
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Completeness:
    """What a study asks for of its targets, and what is there.

    Attributes:
        unit: What is counted: cells, or, where a schedule may end arms early, pairs of an arm and a target.
        done: Finished ones, or ended by the schedule.
        asked: All of them.
        missing: What is missing, as people read it: an arm, a target, or an arm for a target.
    """

    unit: str
    done: int
    asked: int
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.done >= self.asked

    def sentence(self) -> str:
        """`28 of 38 cells; missing: uner; panx for masakhanews`."""
        text = f"{self.done} of {count(self.asked, self.unit)}"
        if self.complete:
            return text
        more = len(self.missing) - _NAMED
        rest = [count(more, "other")] if more > 0 else []
        return f"{text}; missing: {'; '.join([*self.missing[:_NAMED], *rest])}"


def completeness(results: Results, attempts: Sequence[RunRow] | None = None) -> Completeness | None:
    """Compares the study with its results; None for tables without a study, and for searches.

    Args:
        attempts: All rows of the ledger in its order, where they have been read already.
    """
    study = results.study()
    if study is None or study.search is not None:
        return None
    whole = study.schedule == "full"
    asked = _asked(study, results.tasks())
    ended = _ended_runs(results) if attempts is None else _ended_attempts(attempts)
    several = study.encoders is not None
    there = {_key((*key[:5], key[5] if several else ""), whole) for key in ended}
    wanted = {_key(key, whole) for key in asked}
    done = wanted & there
    return Completeness(
        unit="cell" if whole else "arm and target pair",
        done=len(done),
        asked=len(wanted),
        missing=_words(sorted(wanted, key=str), there),
    )


def _ended_runs(results: Results) -> set[tuple[object, ...]]:
    """The target stages that have ended, as `_asked` names them but with their encoder."""
    runs = results.runs()
    targets = runs.loc[(runs["kind"] != "intermediate") & runs["status"].isin(_ENDED), list(_COLUMNS)].astype(object)
    return set(targets.where(targets.notna(), None).itertuples(index=False, name=None))


def _ended_attempts(attempts: Sequence[RunRow]) -> set[tuple[object, ...]]:
    """The same from the attempts themselves."""
    rows = counting(attempts).values()
    targets = [row for row in rows if row.kind != "intermediate" and row.status in _ENDED]
    return {tuple(getattr(row, name) for name in _COLUMNS) for row in targets}


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
