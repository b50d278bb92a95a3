"""Where the rows of a split come from: a folder or the Hugging Face hub, or a generator in this process.

Settings alone: `raystilts.tasks.loading` reads what they name.
"""

from __future__ import annotations

import re
import string
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from raystilts.tasks.converters import register_converter
from raystilts.tasks.files import SUFFIXES
from raystilts.tasks.languages import flores_code, iso3_code, language_name
from raystilts.tasks.splits import Carve

#: Stands for the hub's own conversion to Parquet, for data sets whose commit is not pinned.
CONVERTED = "refs/convert/parquet"

#: Begins the `path` of data that is on GitHub.
GITHUB = "github:"

#: Names of folders within the data folder: file systems allow no more than 255 bytes a name.
_FOLDER = re.compile(r"[^/\\\0\s][^/\\\0]{0,99}(/[^/\\\0]{1,100}){0,3}")

#: What stands for a language in names on the hub.
_LANGUAGE_FIELDS = ("language", "iso3", "flores", "language_name")
_OF_LANGUAGE = re.compile(rf"\{{({'|'.join(_LANGUAGE_FIELDS)})\}}")

#: What names may hold, by setting.
_FIELDS = {
    "name": _LANGUAGE_FIELDS,
    "hub_split": _LANGUAGE_FIELDS,
    "hub_files": (*_LANGUAGE_FIELDS, "split"),
    "files": ("language", "split"),
}


class Source(BaseModel):
    """Rows of one split, the same from a folder as from the hub.

    Attributes:
        dataset: Folder within the data folder:
            ``<data_dir>/<dataset>/<language>/<split>.parquet``.
        split: Name of the file; several joined by "+" are read one after the other.
        fallback_splits: Files taken where `split` is not in the folder (the test files of some
            benchmarks carry no labels, so that their dev split is what there is to report). Which
            one was taken is in the fingerprint.
        path: Data set on the hub, or ``github:owner/name`` for files of a repository on GitHub, which `hub_files` and
            `revision` name; None for data that is on neither in a form that can be read, which needs a folder.
        name: Its configuration; may hold ``{language}``, ``{iso3}``, ``{flores}``,
            ``{language_name}``.
        hub_split: Split on the hub, default `split`; may hold the same.
        hub_files: Where its files are on the hub, where no card says so; may hold the same and ``{split}``, and ``*``.
        hub_where: Which rows of these files are of the split, where a file holds several: columns and their values,
            which may hold ``{split}``.
        hub_converter: A conversion of what is read from the hub to what folders hold, before `converter`.
        file_type: How files are read whose names do not say it: the end of a name that does, such as ``.tsv``.
        revision: Pinned commit on the hub; or its conversion to Parquet, "refs/convert/parquet".
        keyed_as: The revision in keys of results, where the pin came after results were kept and the rows are the same.
        rows: Rows at full size, for plans made before the data is here.
        tokens_per_row: Rough sub-words a row, likewise; default by type.
        language_codes: Our language code to the hub's, where `{language}` needs another.
        hub_rows: No more rows than these are read from the hub, its first ones; None for all.
        files: Where a folder has the file, if not at the usual place, with ``{language}`` and ``{split}``; an absolute
            path, or one below the data folder.
        by_language: Languages whose rows are another source's, of whatever data set, place and converter.
        converter: A conversion: the name of one in `raystilts.tasks.converters`, or a function in the file of the
            task, of a table and a language.
        carve: Which part of the split, if not all of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["source"] = "source"
    dataset: str
    split: str
    fallback_splits: tuple[str, ...] = ()
    path: str | None = None
    name: str | None = None
    hub_split: str | None = None
    hub_files: str | None = None
    hub_where: dict[str, str] = {}
    hub_converter: str | None = None
    file_type: str | None = None
    revision: str = CONVERTED
    keyed_as: str | None = None
    rows: int | None = None
    tokens_per_row: int | None = None
    language_codes: dict[str, str] = {}
    hub_rows: Annotated[int, Field(ge=1)] | None = None
    files: str | None = None
    by_language: dict[str, Source] = {}
    converter: str | None = None
    carve: Carve | None = None

    @field_validator("dataset")
    @classmethod
    def _folder(cls, dataset: str) -> str:
        if not _FOLDER.fullmatch(dataset) or ".." in dataset.split("/"):
            raise ValueError(f"{dataset[:60]!r} is no folder within the data folder; give a name such as 'reviews'")
        return dataset

    @field_validator("converter", "hub_converter", mode="before")
    @classmethod
    def _named(cls, converter: object) -> object:
        return register_converter(converter) if callable(converter) else converter

    @field_validator(*_FIELDS)
    @classmethod
    def _known_fields(cls, text: str | None, info: ValidationInfo) -> str | None:
        known = _FIELDS[str(info.field_name)]
        allowed = f"{info.field_name} may hold {', '.join(f'{{{one}}}' for one in known)}"
        try:
            parts = list(string.Formatter().parse(text or ""))
        except ValueError as error:
            raise ValueError(f"{text!r} has a brace too many or too few ({error}); {allowed}") from None
        for _, field, form, conversion in parts:
            if field is not None and (field not in known or form or conversion):
                shown = f"{field}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
                raise ValueError(f"{{{shown}}} in {text!r} is no known field; {allowed}")
        return text

    @field_validator("hub_files")
    @classmethod
    def _within(cls, hub_files: str | None) -> str | None:
        if hub_files is not None and (hub_files.startswith("/") or ".." in re.split(r"[/\\]", hub_files)):
            raise ValueError(
                f"{hub_files!r} leaves the repository; give a path below its root, without .. and a first /"
            )
        return hub_files

    @field_validator("revision")
    @classmethod
    def _pinned(cls, revision: str) -> str:
        if revision in {"main", "master", ""}:
            raise ValueError(f"{revision!r} moves; give the commit's hash, so that results can be told apart")
        return revision

    @field_validator("file_type")
    @classmethod
    def _known_type(cls, file_type: str | None) -> str | None:
        if file_type is not None and file_type not in SUFFIXES:
            raise ValueError(f"{file_type!r} is no kind of file that is read; one of {', '.join(SUFFIXES)}")
        return file_type

    @model_validator(mode="after")
    def _whole_address(self) -> Source:
        if not self.on_github:
            return self
        if not re.fullmatch(r"[^/\s]+/[^/\s]+", self.repository):
            raise ValueError(f"{self.path!r} names no repository; write {GITHUB}OWNER/NAME")
        if not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise ValueError(f"{self.path}: revision {self.revision!r} is no commit; give all 40 digits of its hash")
        if self.hub_files is None or "*" in self.hub_files:
            raise ValueError(f"{self.path}: hub_files must say where each file is, without *; got {self.hub_files!r}")
        return self

    def filled(self, text: str, language: str) -> str:
        """A name with a language filled in, by the code that the data set has for it."""
        return text.format(
            language=self.language_codes.get(language, language),
            iso3=self.language_codes.get(language, iso3_code(language)),
            flores=self.language_codes.get(language, flores_code(language)),
            language_name=language_name(language),
        )

    def published(self, language: str) -> tuple[str | None, str]:
        """A language's configuration and split on the hub."""
        name = None if self.name is None else self.filled(self.name, language)
        return name, self.filled(self.hub_split or self.split, language)

    @property
    def on_github(self) -> bool:
        """Whether files of a repository on GitHub are read."""
        return self.path is not None and self.path.startswith(GITHUB)

    @property
    def differs_on_hub(self) -> bool:
        """Whether the hub's files hold more or other columns than a folder does."""
        return bool(self.hub_where) or self.hub_converter is not None

    @property
    def repository(self) -> str:
        """The repository on GitHub, as owner/name."""
        return (self.path or "").removeprefix(GITHUB)

    def of(self, language: str) -> Source:
        """The source of one language's rows."""
        return self.by_language.get(language, self)

    @property
    def multilingual(self) -> bool:
        """Whether the hub's copy holds other languages beside the one that the task trains on."""
        named = _OF_LANGUAGE.search(f"{self.name}{self.hub_split}{self.hub_files}") is not None
        return named or bool(self.by_language) or self.converter == "tydiqa_items"

    @property
    def identity(self) -> tuple[str, str]:
        """Data set and split: what two tasks that train on the same items have in common."""
        return (self.dataset, self.split)

    def other(
        self,
        split: str,
        *,
        rows: int | None = None,
        hub_split: str | None = None,
        fallback_splits: tuple[str, ...] = (),
    ) -> Source:
        """Another split of the same data set, whole."""
        changes = {"split": split, "rows": rows, "hub_split": hub_split, "carve": None}
        others = {code: one.other(split, hub_split=hub_split) for code, one in self.by_language.items()}
        return self.model_copy(update={**changes, "fallback_splits": fallback_splits, "by_language": others})

    def carved(
        self,
        part: Literal["train", "dev"],
        *,
        share: float,
        by: tuple[str, ...],
        rows: int | None = None,
    ) -> Source:
        """One part of this split, see `Carve`."""
        carve = Carve(part=part, share=share, by=by)
        others = {code: one.carved(part, share=share, by=by) for code, one in self.by_language.items()}
        return self.model_copy(update={"carve": carve, "rows": rows, "by_language": others})

    def cut(self, *, share: float, by: tuple[str, ...]) -> tuple[Source, Source]:
        """This split in two, train and dev, for a benchmark whose only other labelled split is what it reports.

        Args:
            share: The size of dev.
            by: The columns that make an item: what hangs together stays together.
        """
        rows = None if self.rows is None else round(self.rows * (1 - share))
        rest = None if self.rows is None or rows is None else self.rows - rows
        train = self.carved("train", share=share, by=by, rows=rows)
        return train, self.carved("dev", share=share, by=by, rows=rest)


class Generated(BaseModel):
    """Rows made by code in this process, for tasks that need no download.

    Attributes:
        generator: ``module:function``, called as ``function(language, split)``, which returns a
            table.
        version: Changes whenever the rows do.
        split: The split that is asked for.
        rows: Rows a language, for plans.
        tokens_per_row: Rough sub-words a row, for plans.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["generated"] = "generated"
    generator: str = Field(pattern=r"^[\w.]+:\w+$")
    version: str
    split: str
    rows: int | None = None
    tokens_per_row: int | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """Generator and split: what two tasks that train on the same items have in common."""
        return (self.generator, self.split)


AnySource: TypeAlias = Annotated[Source | Generated, Field(discriminator="kind")]
