"""Answers of SQL as DataFrames, and what a reader of them is warned about."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import duckdb

from raystilts.results.reader import ResultsWarning

if TYPE_CHECKING:
    import pandas as pd


def to_frame(connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, object]) -> pd.DataFrame:
    """The rows of a query with its parameters."""
    import pandas as pd
    import pyarrow as pa

    # Columns keep their type where a value is missing: null seeds do not turn seeds into floats.
    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = (
        connection.sql(query, params=values or None).to_arrow_table().to_pandas(types_mapper=types.get)
    )
    return frame


def warn_repeated(rows: list[Any]) -> None:
    """Warns of the rows of `cells.REPEATED`."""
    if rows:
        target, intermediate, seed, stages = rows[0]
        warnings.warn(
            f"{len(rows)} cell(s) were trained more than once under different settings, such as {intermediate} -> "
            f"{target}, seed {seed} (stages {stages}); the latest counts. Give `stages` or `encoder` to choose.",
            ResultsWarning,
            stacklevel=6,
        )


def warn_lost(rows: list[Any]) -> None:
    """Warns of the rows of `cells.LOST`."""
    for target, kept, lost in rows:
        warnings.warn(
            f"The macro mean of target {target} is over {kept.replace(',', ', ') or 'no'} language(s): "
            f"not every run has {lost.replace(',', ', ')}.",
            ResultsWarning,
            stacklevel=6,
        )
