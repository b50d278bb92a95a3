"""What a study knows of its data before it trains: how much there is, and fingerprints."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from raystilts.errors import UserError, did_you_mean
from raystilts.planning import keys
from raystilts.study.arms import Arms
from raystilts.study.base import expanded
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import MaskedLM
from raystilts.study.schema import Study
from raystilts.tasks.folder import HUB, beside_hub, data_dirs, joined_dirs
from raystilts.tasks.loading import Fingerprint, fingerprint
from raystilts.tasks.registry import all_tasks
from raystilts.tasks.source import AnySource, Source
from raystilts.tasks.task import Split, Task
from raystilts.tasks.types.masked_lm import MaskedLM as MaskedLMType


def data_folder(study: Study) -> Path | None:
    """The folder of the study's data, or several joined (the last may be the hub), or None for the hub alone.

    Raises:
        UserError: it does not exist.
    """
    given = study.data_dir or os.environ.get("RAYSTILTS_DATA_DIR")
    if not given:
        return None
    origin = "data_dir" if study.data_dir else "RAYSTILTS_DATA_DIR"
    named = expanded(given, origin)
    parts = [expanded(part, origin) for part in data_dirs(named)]
    missing = next((part for part in parts if not part.is_dir()), None)
    if missing is not None:
        raise UserError(f"{origin}: {missing}: no such folder; expected <dataset>/<language>/<split>.parquet below it")
    if beside_hub(named):
        return Path(joined_dirs([*(str(part.absolute()) for part in parts), HUB]))
    return parts[0] if len(parts) == 1 else Path(joined_dirs([str(part.absolute()) for part in parts]))


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A task's training data under a study's limits.

    Attributes:
        rows: Examples at fraction 1.
        fingerprint: Changes with the data, the task's definition and the limit.
        verified: Whether it was read off the data itself.
    """

    rows: int
    fingerprint: str
    verified: bool
    tokens_per_row: int


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """One split of a task in some languages under a study's limits.

    Attributes:
        rows: Rows of each language, in the order of the languages.
        fingerprint: Changes with the data and the task's definition.
        verified: Whether it was read off the data itself.
        tokens: Rough sub-words of all of them.
    """

    rows: tuple[int, ...]
    fingerprint: str
    verified: bool
    tokens: int


def tokens_per_row(task: Task, source: AnySource | None) -> int:
    """Rough sub-words a row, as declared by the source or else by the type of task."""
    declared = source.tokens_per_row if source is not None else None
    return declared or task.type.tokens_per_row


def masked_lm_task(masked_lm: MaskedLM) -> Task:
    """Plain text as a task: a dataset of the folder layout, or Wikipedia on the hub.

    Text of another task (`text_of`) is read by its own source; this one's is not used then.
    """
    languages = masked_lm.languages or ("en",)
    source = Source(
        dataset=masked_lm.dataset,
        split="train",
        path="wikimedia/wikipedia",
        name="20231101.{language}",
        revision="b04c8d1ceb2f5cd4588862100d08de323dccfbaa",
        hub_rows=masked_lm.max_samples,
        rows=masked_lm.max_samples,
    )
    return Task(
        name=f"mlm@{masked_lm.text_of or '+'.join(languages)}",
        type=MaskedLMType(text="text"),
        train=source,
        train_language="+".join(languages),
        languages=languages,
        main_score="accuracy",
        description="masked language modelling on plain text",
        licence="see the data",
        citation="",
        url="",
    )


class StudyData:
    """Fingerprints and sizes of a study's data, each looked up once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.folder = data_folder(study)
        self._training: dict[tuple[str, int | None, int | None], TrainingSet] = {}
        self._evaluation: dict[tuple[str, str, tuple[str, ...]], EvaluationSet] = {}

    def training(self, task: Task, hp: Hyperparameters) -> TrainingSet:
        """A task's training set.

        Raises:
            UserError: the data is not there, empty, or of the wrong form.
        """
        key = (task.name, hp.max_train_samples, hp.max_length)
        if key not in self._training:
            assert task.train is not None
            self._check_languages(task, task.train)
            found = [self._look(task, task.train, language) for language in task.train_languages]
            rows = sum(one.rows for one in found)
            limit = hp.max_train_samples
            if limit is not None and 0 < rows <= limit:
                limit = None  # there are no more
            name = keys.training_set(task.definition(), [one.value for one in found], limit, hp.max_length)
            verified = all(one.verified for one in found)
            size = tokens_per_row(task, task.train)
            self._training[key] = TrainingSet(min(rows, limit or rows), name, verified, size)
        return self._training[key]

    def evaluation(self, task: Task, split: Split, languages: tuple[str, ...]) -> EvaluationSet:
        """One split in the given languages."""
        key = (task.name, split, languages)
        if key not in self._evaluation:
            source = {"dev": task.dev, "test": task.test, "pool": task.pool}[split]
            found = [] if source is None else [self._look(task, source, lang) for lang in languages]
            limits = self.study.evaluation
            short = split == "dev" and not task.type.calibrates
            limit = limits.max_dev_samples if short else limits.max_test_samples
            rows = tuple(min(one.rows, limit or one.rows) for one in found)
            values = zip(languages, (one.value for one in found), strict=False)
            name = keys.evaluation_set(task.definition(), split, values)
            self._evaluation[key] = EvaluationSet(
                rows, name, all(one.verified for one in found), sum(rows) * tokens_per_row(task, source)
            )
        return self._evaluation[key]

    def _check_languages(self, task: Task, source: AnySource) -> None:
        """Whether a task may have training data in languages that it is asked for ("xnli@sw"); a folder says by itself.

        Intermediates whose translations must come from a folder can be planned before it is there.

        Raises:
            UserError: it has none.
        """
        base, _, asked = task.name.partition("@")
        tasks = all_tasks()
        if not asked or base not in tasks or (isinstance(source, Source) and self.folder is not None):
            return
        if isinstance(source, Source) and source.path is None:
            if task.name not in {target.task for target in self.study.targets}:
                return
            raise UserError(
                f"{self._place(task)}: {base} has no training data in {asked} on the hub; put it into a folder as "
                f"{source.dataset}/{task.train_languages[0]}/{source.split}.parquet, and set data_dir"
            )
        known = sorted({*tasks[base].train_languages, *task.languages, *task.dev_languages})
        for language in task.train_languages:
            if language not in known:
                hint = did_you_mean(language, known)
                raise UserError(f"{self._place(task)}: {base} has no training data in {language!r}; {hint}")

    def _look(self, task: Task, source: AnySource, language: str) -> Fingerprint:
        try:
            return fingerprint(source, language, self.folder)
        except UserError as error:
            raise UserError(f"{self._place(task)}: {error}") from None

    def _place(self, task: Task) -> str:
        for index, target in enumerate(self.study.targets):
            if target.task == task.name:
                return f"targets.{index} ({task.name})"
        arms = Arms(self.study.intermediates)
        for index, arm in enumerate(self.study.intermediates):
            if task.name in arms.tasks_of(arm):
                return f"intermediates.{index} ({task.name})"
        return task.name


def dev_languages(task: Task, languages: tuple[str, ...]) -> tuple[str, ...]:
    """Languages of a target that have dev data, English first."""
    wanted = dict.fromkeys([task.train_languages[0], *languages])
    return tuple(language for language in wanted if language in task.dev_languages)
