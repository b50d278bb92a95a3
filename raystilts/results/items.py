"""Scores of single items: `items/`, a file a stage, merged now and then; and what was imported of them.

Questions about scores never read them. A row is one set of one stage (task, split, language) with the scores of its
items as a list, in their order; `data` says whether two sets hold the same items. A stage's file is written before its
run, and again where the stage is run again, which gives the same weights. So where several files have a set of a stage,
any of them will do, and files can be merged without a list of what is in them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from raystilts.errors import StorageError
from raystilts.filesystem import Folder, open_folder
from raystilts.ranking.intervals import FloatArray
from raystilts.results.reader import COMPACTED, load_manifest

ITEMS = "items"
#: Files before they are merged.
MANY = 64
_TRIES = 10
#: What the manifest calls imported scores of items.
IMPORTED: Any = "items"


class Scored(Protocol):
    """The items of one set, as a stage has scored them."""

    @property
    def task(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def data(self) -> str: ...
    @property
    def values(self) -> Sequence[float]: ...


@dataclass(frozen=True, slots=True, eq=False)
class ItemSet:
    """The scores of one set's items: of a stage of a run, or of an imported run.

    Attributes:
        stage: Empty where it was imported: then intermediate and seed say which run it is.
        data: Digest of the items.
        values: ``[items]``.
    """

    stage: str
    target: str
    split: str
    language: str
    metric: str
    data: str
    values: FloatArray
    intermediate: str = ""
    seed: int | None = None


def write_items(results: str | Path | Folder, stage: str, sets: Iterable[Scored]) -> None:
    """Writes the items of a stage; nothing where there are none.

    Raises:
        StorageError: The folder cannot be written.
    """
    rows = [
        {
            "stage": stage, "target": one.task, "split": one.split, "language": one.language, "metric": one.metric,
            "data": one.data, "values": list(one.values),
        }
        for one in sets
    ]  # fmt: skip
    if rows:
        open_folder(results).write(f"{ITEMS}/{stage}.parquet", _encoded(rows), overwrite=True)


def copy_items(source: Folder, results: str | Path | Folder, stages: Collection[str]) -> None:
    """Takes over what another results folder has of some stages."""
    found = [one for one in read_item_sets(source) if one.stage in stages]
    folder = open_folder(results)
    for stage in dict.fromkeys(one.stage for one in found):
        folder.write(f"{ITEMS}/{stage}.parquet", _encoded([_row(one) for one in found if one.stage == stage]),
                     overwrite=True)  # fmt: skip


def has_items(folder: Folder) -> bool:
    """Whether a results folder holds scores of items."""
    return bool(folder.names(ITEMS)) or bool(load_manifest(folder).parts.get(IMPORTED))


def read_item_sets(results: str | Path | Folder, target: str | None = None, split: str | None = None) -> list[ItemSet]:
    """The scores of items that a folder holds.

    Raises:
        StorageError: A file cannot be read.
    """
    folder = open_folder(results)
    found: dict[tuple[str, ...], ItemSet] = {}
    for one in _own(folder, target, split):
        found[one.stage, one.target, one.split, one.language] = one
    return [*found.values(), *_imported(folder, target, split)]


def merge_items(results: str | Path | Folder, *, many: int = 1) -> int:
    """Merges the files of single stages into one; returns the number of files merged. Safe at any time.

    Args:
        many: Only where there are as many files.
    """
    folder = open_folder(results)
    names = folder.names(ITEMS)
    if len(names) < max(2, many):
        return 0
    rows = {(one.stage, one.target, one.split, one.language): _row(one) for one in _own(folder, None, None)}
    data = _encoded([rows[key] for key in sorted(rows)])
    merged = f"_merged-{hashlib.sha256(data).hexdigest()[:16]}.parquet"  # no key of a stage begins so
    folder.write(f"{ITEMS}/{merged}", data, overwrite=True)
    for name in names:
        if name != merged:
            folder.delete(f"{ITEMS}/{name}")
    return len(names)


def _row(one: ItemSet) -> dict[str, Any]:
    names = ("stage", "target", "split", "language", "metric", "data")
    return {name: getattr(one, name) for name in names} | {"values": one.values.tolist()}


def _encoded(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("stage", "target", "split", "language", "metric", "data")
    schema = pa.schema([(name, pa.string()) for name in names] + [("values", pa.list_(pa.float32()))])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _own(folder: Folder, target: str | None, split: str | None) -> list[ItemSet]:
    for _ in range(_TRIES):
        try:
            tables = [_table(folder, f"{ITEMS}/{name}") for name in folder.names(ITEMS) if name.endswith(".parquet")]
        except FileNotFoundError:  # merged in the meantime
            continue
        return [one for table in tables for one in _sets(_filtered(table, target, split))]
    raise StorageError(f"The files of {folder.url}/{ITEMS} keep changing. Try again.")


def _sets(table: Any) -> list[ItemSet]:
    """The rows of a table; their scores are slices of one array, for there may be millions."""
    names = ("stage", "target", "split", "language", "metric", "data")
    found = []
    for batch in table.to_batches():
        column = batch.column("values")
        values = column.values.to_numpy().astype(np.float64)
        ends = column.offsets.to_numpy().tolist()
        for row, start, end in zip(batch.select(names).to_pylist(), ends[:-1], ends[1:], strict=True):
            found.append(ItemSet(**row, values=values[start:end]))
    return found


def _table(folder: Folder, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = folder.read(name)
    try:
        return pq.ParquetFile(pa.BufferReader(data)).read()
    except pa.ArrowInvalid as error:
        raise StorageError(f"{folder.url}/{name} cannot be read ({error}); delete it, for answers do without") from None


def _filtered(table: Any, target: str | None, split: str | None) -> Any:
    import pyarrow.compute as pc

    for name, wanted in (("target", target), ("split", split)):
        if wanted is not None:
            table = table.filter(pc.equal(table[name], wanted))
    return table


def _imported(folder: Folder, target: str | None, split: str | None) -> list[ItemSet]:
    """Imported examples, by run: rows of intermediate, target, language, split, metric, item, seed and value."""
    names = load_manifest(folder).parts.get(IMPORTED)
    if not names:
        return []
    frame = _filtered(_table(folder, f"{COMPACTED}/{names[0]}"), target, split).to_pandas()
    run = ["source", "intermediate", "target", "language", "split", "metric", "seed"]
    found = []
    for _, rows in frame.sort_values("item", kind="stable").groupby(run, dropna=False, sort=True):
        first = rows.iloc[0]
        digest = hashlib.blake2b("\n".join(rows["item"]).encode(), digest_size=8).hexdigest()
        seed = None if np.isnan(first["seed"]) else int(first["seed"])
        found.append(
            ItemSet("", first["target"], first["split"], first["language"], first["metric"], digest,
                    rows["value"].to_numpy(dtype=np.float64), first["intermediate"], seed)
        )  # fmt: skip
    return found
