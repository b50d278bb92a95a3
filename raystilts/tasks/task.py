"""A task: its data, its type, its score, and where all of it is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from raystilts.errors import UserError
from raystilts.tasks.languages import check_language, retired
from raystilts.tasks.loading import Fingerprint, Rows, fingerprint, read
from raystilts.tasks.source import AnySource, Source
from raystilts.tasks.tables import joined
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.masked_lm import MaskedLM
from raystilts.tasks.types.mining import Mining
from raystilts.tasks.types.multiple_choice import MultipleChoice
from raystilts.tasks.types.regression import Regression
from raystilts.tasks.types.retrieval import AnswerRetrieval, Retrieval
from raystilts.tasks.types.span_qa import SpanQA
from raystilts.tasks.types.tagging import Tagging

AnyType = Annotated[
    SequenceClassification
    | Regression
    | MultipleChoice
    | SpanQA
    | Tagging
    | Retrieval
    | AnswerRetrieval
    | Mining
    | MaskedLM,
    Field(discriminator="kind"),
]

#: What is evaluated: dev and test data of a language, and candidates that all languages search.
Split = Literal["dev", "test", "pool"]

#: Stands for the language of candidates that all languages search.
EVERY_LANGUAGE = "all"


class Task(BaseModel):
    """What is learnt and measured, usable as an intermediate and as a target.

    Attributes:
        name: What study files call it.
        type: How rows become features, predictions and scores.
        train: Training data; None for tasks that are only evaluated.
        dev: Data for model selection, a split per language.
        test: Data to report.
        pool: Candidates that the questions of every language are searched among, read as language "all".
        train_language: Language of the training data; several joined by "+".
        languages: Languages that have test data.
        dev_languages: Languages that have dev data (not the same items as their test data).
        main_score: The score that the task is known by, and that is compared.
        description: One line.
        licence: Licence of the data.
        citation: Where the data was published.
        url: Home page of the data.
        scores_compared: What the score was checked against.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_.+@-]+$", max_length=200)
    type: AnyType
    train: AnySource | None = None
    dev: AnySource | None = None
    test: AnySource | None = None
    pool: AnySource | None = None
    train_language: str = "en"
    languages: tuple[str, ...] = ()
    dev_languages: tuple[str, ...] = ()
    main_score: str
    description: str
    licence: str
    citation: str
    url: str
    scores_compared: str = "never compared here"

    @field_validator("languages", "dev_languages", mode="before")
    @classmethod
    def _codes(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(value.split())
        return tuple(check_language(v) for v in value) if isinstance(value, (list, tuple)) else value

    @field_validator("train_language", mode="before")
    @classmethod
    def _joined_codes(cls, value: object) -> str:
        return "+".join(map(check_language, value.split("+"))) if isinstance(value, str) else check_language(value)

    @property
    def requires_training(self) -> bool:
        """Whether a model is trained before the task can be evaluated; retrieval compares vectors
        as they are."""
        return self.type.head != "embedding"

    @property
    def train_languages(self) -> tuple[str, ...]:
        """The languages of the training data."""
        return tuple(self.train_language.split("+"))

    def definition(self) -> dict[str, Any]:
        """What determines features, labels and scores apart from the data, as JSON (data:
        `fingerprints`)."""
        return {
            "type": self.type.model_dump(mode="json"),
            "type_version": self.type.version,
            "train_language": self.train_language,
            "main_score": self.main_score,
        }

    def load_train(self, data_dir: Path | None, said: list[str] | None = None) -> pa.Table:
        """The training rows, of all training languages one after the other, each fit for use.

        Args:
            said: Takes what is worth knowing and does not keep a row from use: blank texts.

        Raises:
            UserError: If the task has no training data, it cannot be read, or a row cannot be used: which and why.
        """
        tables = [self._usable(self.read_train(code, data_dir), code, said) for code in self.train_languages]
        return joined(tables, [f"the training data of {code!r}" for code in self.train_languages])

    def read_train(self, language: str, data_dir: Path | None) -> Rows:
        """The training rows of one language as they are, fit for use or not; raises UserError as `load_train`."""
        return self._read(self._source(self.train, "training"), language, data_dir)

    def load_dev(self, language: str, data_dir: Path | None) -> pa.Table:
        """The dev rows of a language; raises UserError if there are none."""
        return self.load_split("dev", language, data_dir)

    def load_test(self, language: str, data_dir: Path | None) -> pa.Table:
        """The test rows of a language; raises UserError if there are none."""
        return self.load_split("test", language, data_dir)

    def load_split(
        self, split: Split, language: str, data_dir: Path | None, said: list[str] | None = None
    ) -> pa.Table:
        """The rows of a split in a language; raises UserError if there are none, or one cannot be used.

        Args:
            said: As `load_train` has it.
        """
        return self._usable(self.read_split(split, language, data_dir), language, said)

    def read_split(self, split: Split, language: str, data_dir: Path | None) -> Rows:
        """The rows of a split in a language as they are, fit for use or not; raises UserError if there are none."""
        return self._read(self._split_source(split, language), language, data_dir)

    def _read(self, source: AnySource, language: str, data_dir: Path | None) -> Rows:
        rows = read(source, language, data_dir, columns=self.type.columns())
        try:
            return replace(rows, table=self.type.normal(rows.table))
        except UserError as error:
            raise UserError(f"{rows.files[0][0]}: {error}") from None

    def _usable(self, rows: Rows, language: str, said: list[str] | None = None) -> pa.Table:
        """The rows, if all of them can be used."""
        for fault in self.type.check(rows.table, language):
            if fault.fatal:
                raise UserError(rows.located(fault))
            if said is not None:
                said.append(rows.located(fault))
        return rows.table

    def train_fingerprint(self, data_dir: Path | None) -> tuple[Fingerprint, ...]:
        """Fingerprints of the training data, one a training language."""
        source = self._source(self.train, "training")
        return tuple(fingerprint(source, code, data_dir) for code in self.train_languages)

    def split_fingerprint(self, split: Split, language: str, data_dir: Path | None) -> Fingerprint:
        """Fingerprint of a split in a language."""
        return fingerprint(self._split_source(split, language), language, data_dir)

    def split_languages(self, split: Split) -> tuple[str, ...]:
        """The languages that have data of a split."""
        if split == "pool":
            return () if self.pool is None else (EVERY_LANGUAGE,)
        return self.dev_languages if split == "dev" else self.languages

    def _split_source(self, split: Split, language: str) -> AnySource:
        sources = {"dev": self.dev, "test": self.test, "pool": self.pool}
        return self._source(sources[split], split, language, self.split_languages(split))

    def _source(
        self,
        source: AnySource | None,
        split: str,
        language: str | None = None,
        languages: Sequence[str] = (),
    ) -> AnySource:
        if source is None:
            raise UserError(f"task {self.name!r} has no {split} data; choose another task or split")
        if language is not None and language not in languages:
            raise UserError(
                f"task {self.name!r} has no {split} data in {language!r}; it has {', '.join(languages) or 'none'}"
                f"{retired(language)}"
            )
        return source

    def by_metric(self, metric: str | None) -> Task:
        """The same task, known by another of its type's scores; itself where none is named.

        Raises:
            UserError: If its type has no such score.
        """
        if metric is None or metric == self.main_score:
            return self
        try:
            kind = self.type.with_metric(metric)
        except UserError as error:
            raise UserError(f"{self.name}: {error}") from None
        return self.model_copy(update={"type": kind, "main_score": metric})

    def in_language(self, codes: str) -> Task:
        """The same task with training data in other languages ("de", "sw+hi"), named
        ``<name>@<codes>``."""
        for code in codes.split("+"):
            check_language(code)
        update: dict[str, Any] = {"name": f"{self.name}@{codes}", "train_language": codes}
        if isinstance(self.train, Source) and not self.train.multilingual and codes != self.train_language:
            # The hub's copy is English whatever language is asked for: translations come from the data folder.
            update["train"] = self.train.model_copy(update={"path": None})
        return self.model_copy(update=update)


def shares_training_data(one: Task, other: Task) -> bool:
    """Whether two tasks train on the same items: the same data set and split, in whatever language
    or part."""
    if one.train is None or other.train is None:
        return False
    return one.train.identity == other.train.identity
