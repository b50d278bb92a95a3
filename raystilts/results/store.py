"""Answers from a results folder, as pandas DataFrames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from raystilts.errors import UserError
from raystilts.filesystem import Folder, open_folder
from raystilts.results import cells, queries
from raystilts.results.cells import CellTables
from raystilts.results.stratum import Arm, Final, Place, Stratum, Unfinished, build_stratum
from raystilts.results.tables import Tables, to_frame

if TYPE_CHECKING:
    import pandas as pd


class Results:
    """The tables of a results folder. Every call sees what has been written so far.

    For each stage the latest finished attempt counts, and only that attempt's scores. Files that
    are cut off or not ours are named in a `ResultsWarning` and left out.

    Args:
        path: The results folder, a path or a URI such as ``s3://bucket/folder``.
        stages: Look only at these stages, such as those of one study. Default: all.
        encoder: Look only at runs of this encoder. Default: all.

    Raises:
        UserError: There is no such folder.
    """

    def __init__(
        self,
        path: str | Path | Folder,
        *,
        stages: Collection[str] | None = None,
        encoder: str | None = None,
    ) -> None:
        self.folder = open_folder(path)
        if not self.folder.exists():
            raise UserError(
                f"The results folder {self.folder.url} does not exist. Run a study first "
                "(`raystilts run STUDY`), or give the folder that its results were written to."
            )
        self.encoder = encoder
        self._stages = None if stages is None else sorted(stages)
        self._tables = Tables(self.folder)
        self._viewed = self._joined = 0
        self._cells = CellTables()
        self._ended: tuple[int, dict[tuple[str, float | None], list[Unfinished]]] = (0, {})

    def runs(self, *, all_attempts: bool = False) -> pd.DataFrame:
        """One row a stage: its latest finished attempt, else its latest attempt.

        Args:
            all_attempts: A row for every attempt instead.
        """
        return self._frame(queries.ALL_ATTEMPTS if all_attempts else queries.RUNS)

    def scores(
        self,
        *,
        target: str | None = None,
        language: str | None = None,
        split: str | None = None,
        final: bool = False,
    ) -> pd.DataFrame:
        """Every score of the finished stages, in long form; of millions of rows, a part is read much more quickly.

        Args:
            target: Only scores on this task.
            language: Only this language.
            split: ``"dev"`` or ``"test"`` only.
            final: Only the main score of the weights that training ended with.
        """
        asked = _given(target=target, language=language, split=split)
        return self._frame(queries.scores(asked, final), **asked)

    def curves(self, *, target: str | None = None, language: str | None = None) -> pd.DataFrame:
        """Scores along training, finished stages and stopped ones (see column `status`).

        A stage that never finished is shown by its latest attempt if that was stopped. The arguments
        are those of `scores`.
        """
        asked = _given(target=target, language=language)
        return self._frame(queries.curves(asked), **asked)

    def dev_scores(self) -> pd.DataFrame:
        """Main scores on dev along the training of target stages, of every attempt that has not failed.

        Returns:
            Columns stage, attempt, status, degenerate_rule, step, language, value (0 to 1), is_final.
        """
        return self._frame(queries.DEV_SCORES)

    def dev_curves(self) -> pd.DataFrame:
        """Every score on dev along training, of every attempt that has not failed.

        Returns:
            Columns stage, attempt, kind, target, step, language, metric, value (0 to 1), examples, is_main, is_final.
        """
        return self._frame(queries.DEV_CURVES)

    def decisions(self) -> pd.DataFrame:
        """What early stopping decided, in order of time."""
        return self._frame(queries.DECISIONS)

    def matrix(self, value: Literal["gain", "score"] = "score", *, split: str = "test") -> pd.DataFrame:
        """The transfer matrix: final main scores of finished target and retrieval stages.

        One row for each cell and language, and one with language ``"macro"``: the mean over the
        languages that every run of the stratum (encoder, target, target fraction) has; column
        `languages` says which. Languages that some run lacks are named in a warning.

        Args:
            value: ``"gain"`` adds the score minus that of ``none`` with the same target, seed
                and hyperparameters (where ``none`` was not run with these, with those it has
                most seeds of), and leaves out the rows of ``none``. It is missing where there is
                no such run of ``none`` or that run is degenerate.
            split: ``"test"`` or ``"dev"``.

        Returns:
            Columns encoder, target, target_fraction, split, metric, language, languages,
            intermediate, intermediate_fraction, hyperparameters, seed, stage, degenerate, score
            (0 to 1), and for gains also gain.
        """
        if value not in ("gain", "score"):
            raise UserError(f"The value of `value` is {value!r}, but must be 'gain' or 'score'.")
        query = cells.GAINS if value == "gain" else cells.MATRIX
        return self._tables.query(lambda connection: self._matrix(connection, query, split))

    def known(self, *, split: str = "test") -> pd.DataFrame:
        """What there are final scores of: columns target, target_fraction, intermediate_fraction, languages."""
        return self._tables.query(lambda connection: self._known(connection, split))

    def stratum_scores(
        self,
        target: str,
        target_fraction: float | None,
        split: str = "dev",
        language: str | None = None,
        *,
        metric: str | None = None,
        keep_degenerate: bool = False,
    ) -> Stratum:
        """The scores of one stratum as an array of arms and seeds, for ranking.

        Args:
            target: The scored task.
            target_fraction: Share of its training data; None for retrieval.
            split: ``"dev"`` or ``"test"``.
            language: One language; None for the mean over those that every run has.
            metric: Needed only where runs of the stratum have different main metrics.
            keep_degenerate: Keep the scores of degenerate runs, which otherwise are NaN.

        Raises:
            UserError: The stratum has several encoders or several main metrics.
        """
        found = self.strata(split, language, target=target, metric=metric, keep_degenerate=keep_degenerate)
        for stratum in found:
            if stratum.target_fraction == target_fraction:
                return stratum
        place = Place(
            target=target, target_fraction=target_fraction, split=split, language=language, languages=(), metric=None
        )
        return build_stratum(place, [], self._unfinished().get((target, target_fraction), []))

    def strata(
        self,
        split: str = "dev",
        language: str | None = None,
        *,
        target: str | None = None,
        metric: str | None = None,
        keep_degenerate: bool = False,
        each: bool = False,
    ) -> list[Stratum]:
        """Every stratum that has scores, in order of target and fraction; see `stratum_scores`.

        Asking once for all is much quicker than asking for one after the other.

        Args:
            target: Only strata of this one.
            each: Also the scores in each language, `Stratum.by_language`.

        Raises:
            UserError: A stratum has several encoders or several main metrics.
        """
        rows = self._tables.query(lambda connection: self._stratum_rows(connection, split, language, target, each))
        unfinished = self._unfinished()
        kept = [row for row in rows if metric in (None, row[3])]
        strata = []
        for (name, fraction), group in groupby(kept, key=itemgetter(1, 2)):
            mine = list(group)
            where = f"target {name!r}"
            _check_one("metric", {row[3] for row in mine}, where)
            _check_one("encoder", {row[0] for row in mine}, where)
            place = Place(
                target=name, target_fraction=fraction, split=split, language=language,
                languages=tuple(mine[0][4].split(",")), metric=mine[0][3],
            )  # fmt: skip
            strata.append(build_stratum(place, _finals(mine), unfinished.get((name, fraction), []), keep_degenerate))
        return strata

    def _stratum_rows(
        self, connection: duckdb.DuckDBPyConnection, split: str, language: str | None, target: str | None, each: bool
    ) -> list[Any]:
        numbered = self._show_cells(connection, split, target, numbers=each)
        joined = language is not None and not numbered
        query = cells.stratum_rows(
            by_language=language is not None, by_target=target is not None, each=each, joined=joined
        )
        values = _given(language=language, target=target, split=split if joined else None)
        return connection.execute(query, values).fetchall()

    def _unfinished(self) -> dict[tuple[str, float | None], list[Unfinished]]:
        """Stages that were stopped or have failed, by target and its fraction."""
        return self._tables.query(self._find_unfinished)

    def _find_unfinished(
        self, connection: duckdb.DuckDBPyConnection
    ) -> dict[tuple[str, float | None], list[Unfinished]]:
        """Asked once a moment: a question looks at two splits, and where nothing failed a count is enough."""
        if self._ended[0] != self._tables.moment:
            self._outcomes(connection)
            found = defaultdict(list)
            if connection.execute(cells.ANY_UNFINISHED).fetchone():
                for target, fraction, *arm, status, rung in connection.execute(cells.UNFINISHED).fetchall():
                    found[target, fraction].append(Unfinished(Arm(*arm), status, rung))
            self._ended = (self._tables.moment, found)
        return self._ended[1]

    def _matrix(self, connection: duckdb.DuckDBPyConnection, query: str, split: str) -> pd.DataFrame:
        self._show_cells(connection, split, None, numbers=True)
        return to_frame(connection, query, {"split": split})

    def _known(self, connection: duckdb.DuckDBPyConnection, split: str) -> pd.DataFrame:
        self._show_cells(connection, split, None, numbers=False)
        return to_frame(connection, cells.KNOWN, {})

    def _show_cells(
        self, connection: duckdb.DuckDBPyConnection, split: str, target: str | None, *, numbers: bool
    ) -> bool:
        """The view `cells`; see `CellTables.show`."""
        self._outcomes(connection)
        return self._cells.show(connection, self._tables.moment, split, target, numbers=numbers)

    def _views(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """The connection with views of the runs that are asked for."""
        if self._viewed != self._tables.moment:
            if self._stages is not None:
                connection.execute(queries.WANTED_STAGES, {"stages": self._stages})
            if self.encoder is not None:
                connection.execute(queries.WANTED_ENCODER, {"encoder": self.encoder})
            for statement in queries.views(self._stages is not None, self.encoder is not None):
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

    def _frame(self, query: str, **values: object) -> pd.DataFrame:
        return self._tables.query(lambda connection: to_frame(self._views(connection), query, values))


def _finals(rows: Iterable[Any]) -> list[Final]:
    """The cells of the arms of `cells.stratum_rows`."""
    finals: list[Final] = []
    for row in rows:
        arm = Arm(*row[5:8])
        finals += [Final(arm, *run) for run in zip(*row[8:], strict=True)]
    return finals


def _given(**values: object) -> dict[str, object]:
    """Parameters of a query that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def _check_one(column: str, found: Iterable[str], where: str) -> None:
    values = sorted(set(found))
    if len(values) > 1:
        raise UserError(
            f"The scores of {where} have several values of `{column}`: {', '.join(values)}. They "
            f"cannot be compared; give one as `{column}`."
        )
