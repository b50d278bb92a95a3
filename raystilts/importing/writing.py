"""Publishing what was imported: the state and the ledger's rows that follow from it, all at once."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc

from raystilts.errors import StorageError
from raystilts.filesystem import Folder
from raystilts.importing.deriving import Derived, derive
from raystilts.importing.state import PART, SMALL, STUDY, State, load_state, save_state
from raystilts.memory import trim_memory
from raystilts.results.compaction import write_query, write_rows, write_score_rows
from raystilts.results.finals import FINALS, write_finals
from raystilts.results.reader import Manifest, load_manifest, publish, read_parts
from raystilts.results.schema import Table, schema_of

_TRIES = 5
#: Scores that are held before they are written: of few scores few, or all of them would be.
_FEW, _MANY = 16_384, 122_880
#: Below so many scores there is nothing to give back that would be worth a look through all objects.
_WORTH = 10_000


def update(folder: Folder, change: Callable[[State], tuple[State, bool]]) -> Derived:
    """Replaces what was imported by what `change` makes of it, and writes `finals.parquet`.

    Killed at any point, all of it is there or nothing; `finals.parquet` may then be older.

    Args:
        change: Gives the new state, and whether it is another one. Called again where another writer was faster.

    Returns:
        The ledger's rows, with a connection that is closed.

    Raises:
        StorageError: The folder cannot be written.
    """
    for _ in range(_TRIES):
        old = load_manifest(folder)
        state, changed = change(load_state(folder, old))
        _give_back(state)  # the frames that it was read into
        name = save_state(folder, old.generation + 1, state) if changed else ""
        _give_back(state)
        group = _FEW if state.rows.num_rows < SMALL else _MANY
        with derive(state) as derived:
            finals = _finals(derived, group)
            if not changed or _publish(folder, old, name, derived, group):
                _write_finals(folder, finals)
                return derived
    raise StorageError(f"Others keep writing to {folder.url}. Try again later.")


def _give_back(state: State) -> None:
    """DuckDB has an allocator of its own, which cannot use what glibc keeps."""
    if state.rows.num_rows < _WORTH:
        return
    gc.collect()
    trim_memory()


def _publish(folder: Folder, old: Manifest, state: str, derived: Derived, group: int) -> bool:
    """Publishes rows with the file of their state; False if another writer has published first."""
    generation, parts = old.generation + 1, dict(old.parts)
    imported: tuple[Table, Table] = ("runs", "scores")
    for table in imported:
        parts[table] = _without_imports(folder, table, parts[table], generation)
    # Scores last: their writer sets a folder for what it spills, which is gone afterwards.
    queries: dict[Table, str] = {"runs": derived.runs, "scores": derived.scores}
    for table, query in queries.items():
        parts[table] = [*parts[table], write_query(derived.connection, folder, table, generation, query, group)]
    parts[PART] = [state]
    return publish(folder, Manifest(generation, parts, old.consumed))


def _finals(derived: Derived, group: int) -> bytes | None:
    """The file of finals of imports alone; None where they are of several encoders."""
    if derived.finals is None:
        return None
    with tempfile.TemporaryDirectory(prefix="raystilts-") as temporary:
        path = Path(temporary) / FINALS
        options = f"format parquet, compression zstd, row_group_size {group}"
        derived.connection.execute(f"copy ({derived.finals}) to '{path}' ({options})")
        return path.read_bytes()


def _write_finals(folder: Folder, finals: bytes | None) -> None:
    """Writes `finals.parquet`: of imports alone as they were derived, which is quicker than to read it all again."""
    if finals is None or len(load_manifest(folder).parts["runs"]) > 1 or folder.names("runs"):
        from raystilts.results.results import Results  # here: it loads all that answers questions

        write_finals(Results(folder))
    else:
        folder.write(FINALS, finals, overwrite=True)


def _without_imports(folder: Folder, table: Table, parts: list[str], generation: int) -> list[str]:
    """The compacted files of studies; those that hold imported rows too are written anew without them."""
    kept = []
    for part in parts:
        rows = read_parts(folder, table, [part])
        others = rows.filter(pc.not_equal(rows["study"], STUDY))
        if others.num_rows == rows.num_rows:
            kept.append(part)
        elif others.num_rows:
            others = others.cast(schema_of(table))
            write = write_score_rows(folder, generation, others) if table == "scores" else None
            kept.append(write or write_rows(folder, table, generation, others, []))
    return kept
