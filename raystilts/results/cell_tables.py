"""The tables behind questions about a results folder: made when one is asked, of the runs that are asked for."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import duckdb

from raystilts.filesystem import Folder
from raystilts.results import cells, queries
from raystilts.results.reader import ResultsWarning
from raystilts.results.stratum import Arm, Unfinished
from raystilts.results.tables import Tables, to_frame

if TYPE_CHECKING:
    import pandas as pd

#: Targets whose lost languages are named one by one.
_SAID = 3


class CellTables:
    """Questions to one folder, each answered as of one moment; tables of that moment are made once.

    Args:
        folder: The results folder.
        stages: Look only at these stages; None for all.
        encoder: Look only at runs of this encoder; None for all.
    """

    def __init__(self, folder: Folder, stages: Collection[str] | None, encoder: str | None) -> None:
        self._tables = Tables(folder)
        self._stages = None if stages is None else sorted(stages)
        self._encoder = encoder
        self._viewed = self._joined = self._moment = 0
        self._names: dict[tuple[str, str | None, bool], str] = {}
        self._ended: tuple[int, dict[tuple[str, float | None], list[Unfinished]]] = (0, {})

    @property
    def moment(self) -> int:
        """Goes up whenever a question sees something new."""
        return self._tables.moment

    def rows(self, query: str, **values: object) -> pd.DataFrame:
        """The rows of a query over the views of `queries`."""
        return self._tables.query(lambda connection: to_frame(self._views(connection), query, values))

    def lists(self, query: str, **values: object) -> list[Any]:
        """The same as tuples, for short answers: without pandas, which takes a while to load."""
        return self._tables.query(lambda connection: self._views(connection).execute(query, values or None).fetchall())

    def cells(self, query: str, split: str, *, numbers: bool) -> pd.DataFrame:
        """The rows of a query over the view `cells`; `numbers` says whether it needs the scores in each language."""

        def ask(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
            self._show(connection, split, None, numbers=numbers)
            return to_frame(connection, query, {"split": split} if "$split" in query else {})

        return self._tables.query(ask)

    def strata(self, split: str, language: str | None, target: str | None, *, each: bool) -> list[Any]:
        """The rows of `cells.stratum_rows`."""

        def ask(connection: duckdb.DuckDBPyConnection) -> list[Any]:
            numbered = self._show(connection, split, target, numbers=False)
            joined = (each or language is not None) and not numbered
            query = cells.stratum_rows(
                by_language=language is not None, by_target=target is not None, each=each, joined=joined
            )
            values = {"language": language, "target": target, "split": split if joined else None}
            return connection.execute(query, {name: v for name, v in values.items() if v is not None}).fetchall()

        return self._tables.query(ask)

    def unfinished(self) -> dict[tuple[str, float | None], list[Unfinished]]:
        """Stages that were stopped or have failed, by target and its fraction.

        Asked once a moment: a question looks at two splits, and where nothing failed a count is enough.
        """

        def ask(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, float | None], list[Unfinished]]:
            if self._ended[0] != self._tables.moment:
                self._outcomes(connection)
                found = defaultdict(list)
                if connection.execute(cells.ANY_UNFINISHED).fetchone():
                    for target, fraction, *arm, status, rung in connection.execute(cells.UNFINISHED).fetchall():
                        found[target, fraction].append(Unfinished(Arm(*arm), status, rung))
                self._ended = (self._tables.moment, found)
            return self._ended[1]

        return self._tables.query(ask)

    def _views(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """The connection with views of the runs that are asked for."""
        if self._viewed != self._tables.moment:
            if self._stages is not None:
                connection.execute(queries.WANTED_STAGES, {"stages": self._stages})
            if self._encoder is not None:
                connection.execute(queries.WANTED_ENCODER, {"encoder": self._encoder})
            for statement in queries.views(self._stages is not None, self._encoder is not None):
                connection.execute(statement)
            self._viewed = self._tables.moment
        return connection

    def _outcomes(self, connection: duckdb.DuckDBPyConnection) -> None:
        """What questions about cells need beside the views."""
        self._views(connection)
        if self._joined != self._tables.moment:
            connection.execute(queries.create_outcomes("chosen"))
            if connection.execute(queries.SEVERAL_ATTEMPTS).fetchall()[0][0]:
                connection.execute(queries.create_outcomes("latest"))
            for statement in cells.MACROS:
                connection.execute(statement)
            self._joined = self._tables.moment

    def _show(self, connection: duckdb.DuckDBPyConnection, split: str, target: str | None, *, numbers: bool) -> bool:
        """Makes `cells` a view of the cells of a split, and warns of what a reader of them has to know.

        Args:
            target: Only of this target; of all where their table is there already.
            numbers: Whether the question needs the scores in each language.

        Returns:
            Whether `cells` has the scores in each language.
        """
        self._outcomes(connection)
        if self._moment != self._tables.moment:
            self._names.clear()
            self._moment = self._tables.moment
        name = self._table(connection, split, target, numbers)
        connection.execute(f"create or replace temp view cells as from {name}")
        # One table is both where cells were merged; those that are alike lack nothing and were trained once.
        if self._known(split, target, False) == self._known(split, target, True):
            _warn_repeated(connection.execute(cells.REPEATED).fetchall())
            _warn_lost(connection.execute(cells.LOST).fetchall())
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


def _warn_repeated(rows: list[Any]) -> None:
    """Warns of the rows of `cells.REPEATED`."""
    if rows:
        target, intermediate, seed, stages = rows[0]
        warnings.warn(
            f"{len(rows)} cell(s) were trained more than once under different settings, such as {intermediate} -> "
            f"{target}, seed {seed} (stages {stages}); the latest counts. Give `stages` or `encoder` to choose.",
            ResultsWarning,
            stacklevel=7,
        )


def _warn_lost(rows: list[Any]) -> None:
    """Warns of the rows of `cells.LOST`, of the first few one by one."""
    for target, kept, lost in rows[:_SAID]:
        warnings.warn(
            f"The macro mean of target {target} is over {kept.replace(',', ', ') or 'no'} language(s): "
            f"not every run has {lost.replace(',', ', ')}. Ask for one of these with --language.",
            ResultsWarning,
            stacklevel=7,
        )
    if len(rows) > _SAID:
        more = f"{len(rows) - _SAID} more target{'s' if len(rows) > _SAID + 1 else ''}"
        warnings.warn(f"So it is with the macro mean of {more}.", ResultsWarning, stacklevel=7)
