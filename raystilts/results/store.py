"""Answers from a results folder, as pandas DataFrames."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import duckdb
import pandas as pd
import pyarrow as pa

from raystilts.errors import UserError
from raystilts.results import queries
from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.reader import ResultsWarning
from raystilts.results.strata import Stratum, build_stratum
from raystilts.results.tables import Tables, arrow

#: Columns keep their type where a value is missing: null seeds do not turn seeds into floats.
_DTYPES = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


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
        self._stages = None if stages is None else pa.table({"stage": sorted(stages)})
        self._tables = Tables(self.folder)

    def runs(self, *, all_attempts: bool = False) -> pd.DataFrame:
        """One row a stage: its latest finished attempt, else its latest attempt.

        Args:
            all_attempts: A row for every attempt instead.
        """
        return self._frame(queries.ALL_ATTEMPTS if all_attempts else queries.RUNS)

    def scores(self) -> pd.DataFrame:
        """Every score of the finished stages, in long form."""
        return self._frame(queries.SCORES)

    def curves(self) -> pd.DataFrame:
        """Scores along training, finished stages and stopped ones (see column `status`).

        A stage that never finished is shown by its latest attempt if that was stopped.
        """
        return self._frame(queries.CURVES)

    def decisions(self) -> pd.DataFrame:
        """What early stopping decided, in order of time."""
        return self._frame(queries.DECISIONS)

    def matrix(
        self, value: Literal["gain", "score"] = "score", *, split: str = "test"
    ) -> pd.DataFrame:
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
        query = queries.GAINS if value == "gain" else queries.MATRIX
        return self._final(query, split=split, target=None, target_fraction=None)

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
        finals = self._final(
            queries.MATRIX, split=split, target=target, target_fraction=target_fraction
        )
        finals = _only_one(finals, "metric", metric, f"target {target!r}")
        finals = _only_one(finals, "encoder", self.encoder, f"target {target!r}")
        unfinished = self._frame(
            queries.UNFINISHED, target=target, target_fraction=target_fraction
        )
        rows = finals[finals["language"] == (language or queries.MACRO)]
        return build_stratum(
            target, target_fraction, split, language, rows, unfinished, keep_degenerate
        )

    def _final(
        self, query: str, *, split: str, target: str | None, target_fraction: float | None
    ) -> pd.DataFrame:
        values: dict[str, object] = {
            "split": split,
            "target": target,
            "target_fraction": target_fraction,
        }
        self._warn_repeated(values)
        frame = self._frame(query, **values)
        self._warn_languages(frame)
        return frame

    def _warn_repeated(self, values: dict[str, object]) -> None:
        frame = self._frame(queries.REPEATED, **values)
        if len(frame):
            first = frame.iloc[0]
            warnings.warn(
                f"{len(frame)} cell(s) were trained more than once under different settings, "
                f"such as {first['intermediate']} -> {first['target']}, seed {first['seed']} "
                f"(stages {first['stages']}); the latest counts. Give `stages` or `encoder` to "
                "choose.",
                ResultsWarning,
                stacklevel=4,
            )

    def _warn_languages(self, frame: pd.DataFrame) -> None:
        keys = ["encoder", "target", "target_fraction", "metric"]
        for key, rows in frame.groupby(keys, dropna=False):
            macro = rows["language"] == queries.MACRO
            kept = set(",".join(rows.loc[macro, "languages"].unique()).split(",")) - {""}
            lost = sorted(set(rows.loc[~macro, "language"]) - kept)
            if lost:
                warnings.warn(
                    f"The macro mean of target {key[1]} is over {', '.join(sorted(kept)) or 'no'} "
                    f"language(s): not every run has {', '.join(lost)}.",
                    ResultsWarning,
                    stacklevel=4,
                )

    def _frame(self, query: str, **values: object) -> pd.DataFrame:
        def ask(connection: duckdb.DuckDBPyConnection) -> pa.Table:
            for statement in queries.views(self._stages is not None, self.encoder is not None):
                connection.execute(statement)
            return arrow(connection, query, **values)

        def prepared(connection: duckdb.DuckDBPyConnection) -> pa.Table:
            if self._stages is not None:
                connection.register("wanted", self._stages)
            if self.encoder is not None:
                connection.register("wanted_encoder", pa.table({"encoder": [self.encoder]}))
            return ask(connection)

        frame: pd.DataFrame = self._tables.query(prepared).to_pandas(types_mapper=_DTYPES.get)
        return frame


def _only_one(frame: pd.DataFrame, column: str, wanted: str | None, where: str) -> pd.DataFrame:
    if wanted is not None:
        return frame[frame[column] == wanted]
    found = sorted(frame[column].unique())
    if len(found) > 1:
        raise UserError(
            f"The scores of {where} have several values of `{column}`: {', '.join(found)}. They "
            f"cannot be compared; give one as `{column}`."
        )
    return frame
