"""Tables of the cells of the transfer matrix, made when a question needs them."""

from __future__ import annotations

import duckdb

from raystilts.results import cells
from raystilts.results.frames import warn_lost, warn_repeated


class CellTables:
    """The tables of one moment of a folder: by split, and of all targets or of one."""

    def __init__(self) -> None:
        self._moment = 0
        self._names: dict[tuple[str, str | None, bool], str] = {}

    def show(
        self, connection: duckdb.DuckDBPyConnection, moment: int, split: str, target: str | None, *, numbers: bool
    ) -> bool:
        """Makes `cells` a view of the cells of a split, and warns of what a reader of them has to know.

        Args:
            connection: Has the tables and views `finals` and `outcomes`.
            moment: Where it has gone up, something was written since, and all tables are made anew.
            target: Only of this target; of all where their table is there already.
            numbers: Whether the question needs the scores in each language.

        Returns:
            Whether `cells` has the scores in each language.
        """
        if self._moment != moment:
            self._names.clear()
            self._moment = moment
        name = self._table(connection, split, target, numbers)
        connection.execute(f"create or replace temp view cells as from {name}")
        # One table is both where cells were merged; those that are alike lack nothing and were trained once.
        if self._known(split, target, False) == self._known(split, target, True):
            warn_repeated(connection.execute(cells.REPEATED).fetchall())
            warn_lost(connection.execute(cells.LOST).fetchall())
        return name == self._known(split, target, True)

    def _table(self, connection: duckdb.DuckDBPyConnection, split: str, target: str | None, numbers: bool) -> str:
        if not self._known(split, target, False):
            self._create(connection, split, target)
        if numbers and not self._known(split, target, True):
            name = f"cells_{len(self._names)}"
            statement = cells.cells_with_numbers(name, self._known(split, target, False), target is not None)
            connection.execute(statement, _values(split, target))
            self._names[split, target, True] = name
        return self._known(split, target, numbers)

    def _create(self, connection: duckdb.DuckDBPyConnection, split: str, target: str | None) -> None:
        """The cells, without their numbers where no merging needs them."""
        number = len(self._names)
        scored = f"scored_{number}"
        connection.execute(cells.create_scored(scored, target is not None), _values(split, target))
        if connection.execute(cells.are_alike(scored)).fetchall()[0][0]:
            name = f"alike_{number}"  # a view: a table of an earlier moment cannot be replaced by one
            connection.execute(cells.alike_cells(name, scored))
        else:
            name = f"cells_{number}"
            connection.execute(cells.merged_cells(name, scored, target is not None), _values(split, target))
            connection.execute(f"drop table {scored}")
            self._names[split, target, True] = name
        self._names[split, target, False] = name

    def _known(self, split: str, target: str | None, numbers: bool) -> str:
        """The table of all targets, or that of one; empty where there is none."""
        return self._names.get((split, None, numbers)) or self._names.get((split, target, numbers), "")


def _values(split: str, target: str | None) -> dict[str, str]:
    return {"split": split} if target is None else {"split": split, "target": target}
