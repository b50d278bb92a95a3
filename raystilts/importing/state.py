"""What was imported into a results folder, score by score with its place in a file: the ledger follows from it.

It is a compacted file beside those of the ledger, listed by the same manifest: one publication shows both.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping, Sequence
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
    "baseline_fraction": pa.float64(),
}  # fmt: skip
#: What a row of `none` was called before it stood for the baseline: another import may say that it does not.
_NAMED = ("baseline", "baseline_fraction")
_NAMES = (*KEY, "value", "examples", "failed", "drawn", "source", "file", "row", "place", *_NAMED)
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
        baseline: The intermediate that this import said stands for none; empty where it said nothing, None where that
            is not known (of folders of an older version).
    """

    path: str
    name: str
    digest: str
    where: str
    command: str
    time: str
    baseline: str | None = None

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
        baselines: Names that stand for none by the imports that are there.
        same_name: Whether spellings are merged.
    """

    metrics: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    same_name: bool = False

    def also(self, metrics: Sequence[str], baselines: Sequence[str], same_name: bool) -> Settings:
        """With what one more import says, after which `baselines` stand for none."""
        return Settings(tuple(dict.fromkeys([*metrics, *self.metrics])), tuple(baselines), self.same_name or same_name)


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

    def superseded(self, source: Source, *, replace: bool = False) -> set[str]:
        """Keys of sources that go when one is read: the same bytes read before; with `replace` all of the same path."""
        return {key for key in self.of_file(source) if replace or self.sources[key].digest == source.digest}

    def of_file(self, source: Source) -> set[str]:
        """Keys of the earlier imports of the same file, be its bytes the same or its place."""
        return {
            key for key, one in self.sources.items()
            if one.where == source.where and (one.digest == source.digest or one.path == source.path)
        }  # fmt: skip

    def baselines(self, without: Collection[str] = ()) -> list[str]:
        """Names that stand for none by the imports that are there, but for some sources.

        Who gave those of a folder of an older version is not known: they hold as long as a source of it is there.
        """
        left = [one for key, one in self.sources.items() if key not in without]
        known = {one.baseline for one in self.sources.values()}
        older = [name for name in self.settings.baselines if name not in known]
        names = [*(older if any(one.baseline is None for one in left) else []), *(one.baseline for one in left)]
        return list(dict.fromkeys(name for name in names if name))


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
        for name in _NAMED:
            if name not in table.column_names:  # written by an older version
                table = table.append_column(SCHEMA.field(name), pa.nulls(table.num_rows, SCHEMA.field(name).type))
        return State(table.select(SCHEMA.names).cast(SCHEMA), sources, settings)
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
                md5(r.source) as source, split_part(r.source, ',', 1) as file, 0 as row, '' as place,
                null::varchar as baseline, null::double as baseline_fraction, r.source as text
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
    """With other spellings, by column; those of intermediates hold for names that stand for none too."""
    import pyarrow.compute as pc

    rows, arms, metrics = state.rows, names.get("intermediate", {}), names.get("metric", {})
    for column, changes in {**names, "baseline": arms}.items():
        if changes and rows.num_rows:
            old = rows[column].combine_chunks()
            places = pc.index_in(old, pa.array(list(changes), pa.string()))
            new = pc.if_else(pc.is_valid(places), pc.take(pa.array(list(changes.values()), pa.string()), places), old)
            rows = rows.set_column(rows.schema.get_field_index(column), SCHEMA.field(column), new)
    settings = replace(
        state.settings,
        metrics=tuple(dict.fromkeys(metrics.get(name, name) for name in state.settings.metrics)),
        baselines=tuple(dict.fromkeys(arms.get(name, name) for name in state.settings.baselines)),
    )
    sources = {
        key: replace(one, baseline=arms.get(one.baseline, one.baseline)) if one.baseline else one
        for key, one in state.sources.items()
    }
    return State(rows, sources, settings)
