"""Scores of single examples, where a source has them: a file beside what was imported.

A row an example, run and metric. They are kept under the same names as the runs; `read_items` gives all of them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raystilts.errors import StorageError
from raystilts.filesystem import Folder, open_folder
from raystilts.importing.state import Source
from raystilts.results.compaction import part_name
from raystilts.results.reader import COMPACTED, Manifest, load_manifest, publish

PART = cast("Any", "items")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("source", "intermediate", "target", "language", "split", "metric", "item")]
    + [("seed", pa.int64()), ("value", pa.float64())]
)
_TRIES = 5


def write_items(folder: Folder, items: pd.DataFrame, source: Source) -> int:
    """Writes the examples of one source; those of the same source before go.

    Returns:
        Their number.
    """
    table = pa.Table.from_pandas(items.assign(source=source.path), schema=SCHEMA, preserve_index=False)
    for _ in range(_TRIES):
        old = load_manifest(folder)
        there = _read(folder, old)
        others = there.filter(pc.not_equal(there["source"], source.path)) if there.num_rows else there
        merged = pa.concat_tables([others, table])
        if merged.equals(there):
            return len(items)
        generation = old.generation + 1
        name = part_name(PART, generation)
        sink = io.BytesIO()
        pq.write_table(merged, sink, compression="zstd")
        folder.write(f"{COMPACTED}/{name}", sink.getvalue())
        if publish(folder, Manifest(generation, {**old.parts, PART: [name]}, old.consumed)):
            return len(items)
    raise StorageError(f"Others keep writing to {folder.url}. Try again later.")


def read_items(results: str | Path | Folder) -> pd.DataFrame:
    """Scores of single examples that were imported, in the columns of `SCHEMA`; none where there are none."""
    folder = open_folder(results)
    frame: pd.DataFrame = _read(folder, load_manifest(folder)).to_pandas()
    return frame


def _read(folder: Folder, manifest: Manifest) -> pa.Table:
    names = manifest.parts.get(PART, [])
    if not names:
        return SCHEMA.empty_table()
    return pq.ParquetFile(pa.BufferReader(folder.read(f"{COMPACTED}/{names[0]}"))).read().cast(SCHEMA)
