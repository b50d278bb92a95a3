"""Where the rows of a split come from: a folder or the Hugging Face hub, or a generator in this process.

Settings alone: `raystilts.tasks.loading` reads what they name.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from raystilts.tasks.converters import register_converter
from raystilts.tasks.splits import Carve

#: Stands for the hub's own conversion to Parquet, for data sets whose commit is not pinned.
CONVERTED = "refs/convert/parquet"

#: Names of folders within the data folder: file systems allow no more than 255 bytes a name.
_FOLDER = re.compile(r"[^/\\\0\s][^/\\\0]{0,99}(/[^/\\\0]{1,100}){0,3}")


class Source(BaseModel):
    """Rows of one split, the same from a folder as from the hub.

    Attributes:
        dataset: Folder within the data folder:
            ``<data_dir>/<dataset>/<language>/<split>.parquet``.
        split: Name of the file; several joined by "+" are read one after the other.
        fallback_splits: Files taken where `split` is not in the folder (the test files of some
            benchmarks carry no labels, so that their dev split is what there is to report). Which
            one was taken is in the fingerprint.
        path: Data set on the hub; None for data that is not there in this form, which needs a folder.
        paths: Languages whose data set on the hub is another one.
        name: Its configuration; may hold ``{language}``, ``{iso3}``, ``{flores}``,
            ``{language_name}``.
        hub_split: Split on the hub, default `split`; may hold the same.
        hub_files: Where its files are on the hub, where no card says so; may hold the same and ``{split}``, and ``*``.
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
    paths: dict[str, str] = {}
    name: str | None = None
    hub_split: str | None = None
    hub_files: str | None = None
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

    @field_validator("converter", mode="before")
    @classmethod
    def _named(cls, converter: object) -> object:
        return register_converter(converter) if callable(converter) else converter

    @field_validator("revision")
    @classmethod
    def _pinned(cls, revision: str) -> str:
        if revision in {"main", "master", ""}:
            raise ValueError(f"{revision!r} moves; give the commit's hash, so that results can be told apart")
        return revision

    def of(self, language: str) -> Source:
        """The source of one language's rows."""
        return self.by_language.get(language, self)

    @property
    def multilingual(self) -> bool:
        """Whether the hub's copy holds other languages beside the one that the task trains on."""
        return "{" in f"{self.name}{self.hub_split}{self.hub_files}" or self.converter == "tydiqa_items"

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
