"""Publishing what was imported: the state and the ledger's rows that follow from it, all at once."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow.compute as pc

from raystilts.errors import StorageError
from raystilts.filesystem import Folder
from raystilts.importing.deriving import Derived, derive
from raystilts.importing.state import PART, STUDY, State, load_state, save_state
from raystilts.results.compaction import write_query, write_rows, write_score_rows
from raystilts.results.reader import Manifest, load_manifest, publish, read_parts
from raystilts.results.schema import Table, schema_of

_TRIES = 5


def update(folder: Folder, change: Callable[[State], tuple[State, bool]]) -> Derived:
    """Replaces what was imported by what `change` makes of it. Killed at any point, all of it is there or nothing.

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
        name = save_state(folder, old.generation + 1, state) if changed else ""
        with derive(state) as derived:
            if not changed or _publish(folder, old, name, derived):
                return derived
    raise StorageError(f"Others keep writing to {folder.url}. Try again later.")


def _publish(folder: Folder, old: Manifest, state: str, derived: Derived) -> bool:
    """Publishes rows with the file of their state; False if another writer has published first."""
    generation, parts = old.generation + 1, dict(old.parts)
    imported: tuple[Table, Table] = ("runs", "scores")
    for table in imported:
        parts[table] = _without_imports(folder, table, parts[table], generation)
    # Scores last: their writer sets a folder for what it spills, which is gone afterwards.
    queries: dict[Table, str] = {"runs": derived.runs, "scores": derived.scores}
    for table, query in queries.items():
        parts[table] = [*parts[table], write_query(derived.connection, folder, table, generation, query)]
    parts[PART] = [state]
    return publish(folder, Manifest(generation, parts, old.consumed))


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
