"""What was imported into a results folder, score by score with its place in a file: the ledger follows from it.

It is a compacted file beside those of the ledger, listed by the same manifest: one publication shows both.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from raystilts.filesystem import Folder
from raystilts.importing.cleaning import CELL, KEY
from raystilts.importing.reading import COLUMN, FILE, ROW
from raystilts.results.compaction import part_name
from raystilts.results.reader import COMPACTED, Manifest, read_parts

STUDY = "import"
#: Key of the manifest's `parts` under which the state is listed.
PART = cast("Any", "imports")
#: Below so many rows a second thread of DuckDB costs more memory than it saves time.
SMALL = 200_000
_ROW_GROUP = 65_536
_TYPES = {
    "intermediate_fraction": pa.float64(), "target_fraction": pa.float64(), "seed": pa.int64(), "step": pa.int64(),
    "value": pa.float64(), "examples": pa.int64(), "failed": pa.bool_(), "drawn": pa.bool_(), "row": pa.int64(),
}  # fmt: skip
_NAMES = (*KEY, "value", "examples", "failed", "drawn", "source", "file", "row", "place")
SCHEMA = pa.schema([pa.field(name, _TYPES.get(name, pa.string())) for name in _NAMES])


@dataclass(frozen=True, slots=True)
class Source:
    """One import of a file or a folder.

    Attributes:
        path: Where it was.
        name: Its name.
        digest: SHA-256 of what was read.
        where: The rows that were asked for.
        command: How it was called, for the record.
        time: When it was last changed, in ISO format.
    """

    path: str
    name: str
    digest: str
    where: str
    command: str
    time: str

    @property
    def key(self) -> str:
        """What tells it from others."""
        return hashlib.sha256(f"{self.path}\n{self.digest}\n{self.where}".encode()).hexdigest()[:16]

    @property
    def text(self) -> str:
        """As `RunRow.source` has it."""
        return f"{self.name}, sha256 {self.digest}, by {self.command or 'import_table'}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was said of all imports of a folder.

    Attributes:
        metrics: Main metrics, those named last first.
        baselines: Names that stand for none.
        same_name: Whether spellings are merged.
    """

    metrics: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    same_name: bool = False

    def also(self, metrics: Sequence[str], baseline: str | None, same_name: bool) -> Settings:
        """With what one more import says."""
        return Settings(
            tuple(dict.fromkeys([*metrics, *self.metrics])),
            tuple(dict.fromkeys([*self.baselines, *([baseline] if baseline and baseline != "none" else [])])),
            self.same_name or same_name,
        )


@dataclass(frozen=True, slots=True)
class State:
    """All that was imported.

    Attributes:
        rows: A row a score and source, with the columns of `SCHEMA`.
        sources: By `Source.key`.
    """

    rows: pa.Table
    sources: Mapping[str, Source] = field(default_factory=dict)
    settings: Settings = Settings()


def to_rows(frame: Any, source: Source) -> pa.Table:
    """Cleaned rows of one source as a table."""
    columns: dict[str, Any] = {"source": source.key, "file": FILE, "row": ROW, "place": COLUMN}
    arrays = []
    for one in SCHEMA:
        name = columns.get(one.name, one.name)
        if one.name == "source":
            arrays.append(pa.repeat(pa.scalar(name), len(frame)))
        else:
            array = pa.Array.from_pandas(frame[name], type=None if one.type == pa.string() else one.type)
            arrays.append(_plain(array).cast(one.type))
    return pa.table(arrays, schema=SCHEMA)


def _plain(array: Any) -> Any:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array


def load_state(folder: Folder, manifest: Manifest) -> State:
    """What was imported so far.

    Rows of folders that know nothing of places (imported by an older version) are of one source, without places.
    """
    names = manifest.parts.get(PART, [])
    if names:
        data = folder.read(f"{COMPACTED}/{names[0]}")
        table = pq.ParquetFile(pa.BufferReader(data)).read()
        meta = json.loads(table.schema.metadata[b"raystilts_imports"])
        said = meta["settings"]
        settings = Settings(tuple(said["metrics"]), tuple(said["baselines"]), bool(said["same_name"]))
        sources = {key: Source(**values) for key, values in meta["sources"].items()}
        return State(table.cast(SCHEMA), sources, settings)
    if not manifest.parts["runs"]:
        return State(SCHEMA.empty_table())
    return _of_ledger(folder, manifest)


def save_state(folder: Folder, generation: int, state: State) -> str:
    """Writes a state; returns the file's name inside ``compacted/``."""
    meta = {
        "sources": {key: asdict(source) for key, source in state.sources.items()},
        "settings": asdict(state.settings),
    }
    sink = io.BytesIO()
    table = state.rows.replace_schema_metadata({"raystilts_imports": json.dumps(meta)})
    pq.write_table(table, sink, compression="zstd", row_group_size=_ROW_GROUP, write_statistics=False)
    name = part_name(PART, generation)
    folder.write(f"{COMPACTED}/{name}", sink.getvalue())
    return name


def _of_ledger(folder: Folder, manifest: Manifest) -> State:
    import duckdb

    runs = read_parts(folder, "runs", manifest.parts["runs"])
    scores = read_parts(folder, "scores", manifest.parts["scores"])
    cell = ", ".join(f"r.{name}" for name in CELL)
    with duckdb.connect() as connection:
        connection.register("runs", runs)
        connection.register("scores", scores)
        found = connection.sql(
            f"""
            with newest as (
                select * from runs where study = '{STUDY}' and status = 'finished'
                qualify row_number() over (partition by stage order by attempt desc) = 1
            )
            select {cell}, s.split, s.language, s.metric, s.step, s.value, s.examples, false as failed, false as drawn,
                md5(r.source) as source, split_part(r.source, ',', 1) as file, 0 as row, '' as place, r.source as text
            from scores s join newest r on s.stage = r.stage and s.attempt = r.attempt
            """
        ).to_arrow_table()
    sources = {}
    for key, text in set(zip(found["source"].to_pylist(), found["text"].to_pylist(), strict=True)):
        name, _, rest = str(text).partition(", sha256 ")
        digest, _, command = rest.partition(", by ")
        sources[key] = Source(name, name, digest, "", command, "1970-01-01T00:00:00+00:00")
    renamed = {key: source.key for key, source in sources.items()}
    keys = pa.array([renamed[key] for key in found["source"].to_pylist()], pa.string())
    found = found.select(SCHEMA.names).set_column(SCHEMA.names.index("source"), "source", keys)
    return State(found.cast(SCHEMA), {source.key: source for source in sources.values()})


def renamed(state: State, names: Mapping[str, Mapping[str, str]]) -> State:
    """With other spellings, by column."""
    import pyarrow.compute as pc

    rows = state.rows
    for column, changes in names.items():
        if changes and rows.num_rows:
            old = rows[column].combine_chunks()
            places = pc.index_in(old, pa.array(list(changes), pa.string()))
            new = pc.if_else(pc.is_valid(places), pc.take(pa.array(list(changes.values()), pa.string()), places), old)
            rows = rows.set_column(rows.schema.get_field_index(column), SCHEMA.field(column), new)
    return replace(state, rows=rows)
