"""What a results folder says of its tasks: types, main scores, languages, whose training data they share.

The run writes `tasks.json`, so that opening the folder runs no code and needs no task file. A folder without it (an
older one, or an imported table) has its tasks looked up in the catalogue by their names.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from raystilts.filesystem import Folder
from raystilts.results.reader import ResultsWarning

if TYPE_CHECKING:
    from raystilts.study.schema import Study
    from raystilts.study.target import Target

FILE = "tasks.json"
#: Raised where a field changes its meaning. New fields do not raise it: readers leave out what they do not know.
VERSION = 1


@dataclass(frozen=True, slots=True)
class SharedRows:
    """What test data of a task has in common with another split in its language, by content.

    Attributes:
        split: The other split: train or dev.
        items: Test rows that are rows of it too.
        texts: Test rows that hold a text of it, be it in another item; of training data only.
        rows: All test rows of the language.
    """

    split: str
    language: str
    items: int
    texts: int
    rows: int


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One task.

    Attributes:
        type: Kind of task, such as `classification`.
        languages: Languages that it is tested in; likewise those with dev data and those of the training data.
        trains: Whether a model is trained on it as a target.
        train_data: What tells its training items apart: tasks where it is equal train on the same ones.
        rows: Training examples at fraction 1, under the limits of the study; None where that is not known.
        labels: Names of classes or tags in the order of the head's outputs.
        scale: Of regression the lowest and the highest number that there is; empty for others.
        data: Where the training data is from, with its revision; empty where that is not known.
        licence: Licence of the data.
        url: Home page of the data.
        shared: What its test data has in common with its training and dev data.
        shared_key: Names the data that were compared for it; empty where none were.
    """

    type: str
    main_score: str
    languages: tuple[str, ...]
    dev_languages: tuple[str, ...]
    train_languages: tuple[str, ...]
    trains: bool
    train_data: tuple[str, ...] | None
    rows: int | None = None
    labels: tuple[str, ...] = ()
    scale: tuple[float, ...] = ()
    data: str = ""
    licence: str = ""
    url: str = ""
    shared: tuple[SharedRows, ...] = ()
    shared_key: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TaskFacts:
        """From an object of `tasks.json`; fields of newer versions are left out.

        Raises:
            TypeError: A field is missing.
        """
        known: dict[str, Any] = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        known |= {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        if "shared" in known:
            known["shared"] = tuple(SharedRows(**one) for one in known["shared"])
        return cls(**known)


class KnownTasks:
    """The tasks of a results folder.

    Args:
        facts: By name, as the folder has them.
        study: Says which tasks the arms of its labels train on; without it a label is its tasks joined by "+".
    """

    def __init__(self, facts: Mapping[str, TaskFacts], study: Study | None) -> None:
        self._known: dict[str, TaskFacts | None] = dict(facts)
        self._parts = {} if study is None else _parts(study)

    def get(self, name: str) -> TaskFacts | None:
        """A task by its name; None where neither the folder nor the catalogue has it."""
        if name not in self._known:
            from raystilts.tasks.facts import describe_task  # a folder with facts of its own loads no tasks

            found = describe_task(name)
            self._known[name] = None if found is None else TaskFacts.from_json(found)
        return self._known[name]

    def parts(self, intermediate: str) -> tuple[str, ...]:
        """The tasks whose training data is in an intermediate's weights, by its label."""
        return self._parts[intermediate] if intermediate in self._parts else tuple(intermediate.split("+"))

    def train_language(self, target: str) -> str:
        """The (first) language that a target trains in; English for tasks that nobody knows."""
        task = self.get(target)
        return "en" if task is None else task.train_languages[0]

    def points(self, study: Study, target: Target) -> dict[float, int | None]:
        """The shares of a target's data that a study trains it on, see `Study.target_points`.

        None where its number of examples is not known, or is smaller than what is asked for.
        """
        facts = self.get(target.task)
        rows = 0 if facts is None or facts.rows is None else facts.rows
        with suppress(ValueError):
            return study.target_points(target, study.hyperparameters.resolve(target.task).examples(rows))
        return {}

    def examples_of(self, study: Study | None, name: str, fraction: float | None) -> int | None:
        """The training examples of a target at a share of its data, where the study sets their number."""
        target = None if study is None else next((one for one in study.targets if one.task == name), None)
        if study is None or target is None or fraction is None:
            return None
        return self.points(study, target).get(fraction)

    def overlaps(self, intermediate: str, target: str) -> bool:
        """Whether an intermediate trains on the target's own training data."""
        own = self.get(target)
        if own is None or own.train_data is None:
            return False
        tasks = (self.get(name) for name in self.parts(intermediate) if name not in ("none", "mlm"))
        return any(task is not None and task.train_data == own.train_data for task in tasks)


def _parts(study: Study) -> dict[str, tuple[str, ...]]:
    """The tasks whose training data is in the weights of each arm, as far as its label does not say so."""
    from raystilts.study.arms import Arms

    arms = Arms(study.intermediates)
    parts = {label: arms.tasks_of(arm) for label, arm in arms.by_label.items()}
    return {label: tasks for label, tasks in parts.items() if tasks or arms.by_label[label].is_composed}


def read_tasks(folder: Folder, study: Study | None) -> KnownTasks:
    """The tasks of a results folder; of a damaged file nothing but what the catalogue says."""
    return KnownTasks(_read(folder), study)


def write_tasks(folder: Folder, tasks: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the facts of tasks beside those that the folder has already; newer ones count.

    Raises:
        StorageError: The folder cannot be written.
    """
    found = {name: asdict(one) for name, one in _read(folder).items()}
    values = {"version": VERSION, "tasks": dict(sorted({**found, **tasks}.items()))}
    folder.write(FILE, json.dumps(values, indent=1).encode(), overwrite=True)


def _read(folder: Folder) -> dict[str, TaskFacts]:
    try:
        tasks: dict[str, Mapping[str, Any]] = json.loads(folder.read(FILE))["tasks"]
        return {name: TaskFacts.from_json(values) for name, values in tasks.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError):
        warnings.warn(
            f"{folder.url}/{FILE} cannot be read; tasks are looked up by their names. Run the study again to mend it.",
            ResultsWarning,
            stacklevel=2,
        )
        return {}
