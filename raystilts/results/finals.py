"""`finals.parquet`: the scores that answers are made of, one row a run and language, right to average with any tool.

The long tables hold every attempt, every checkpoint and every fraction, and for a while some rows twice; who averages
them must know which to leave out. Here it is done: latest finished attempts, final main scores, no degenerate runs,
only languages that every run of the target has.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raystilts.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from raystilts.results.results import Results
    from raystilts.results.stratum import Stratum

FINALS = "finals.parquet"
SCHEMA = pa.schema(
    [
        ("target", pa.string()),
        ("target_fraction", pa.float64()),
        ("intermediate", pa.string()),
        ("intermediate_fraction", pa.float64()),
        ("hyperparameters", pa.string()),
        ("compared", pa.bool_()),
        ("seed", pa.int64()),
        ("split", pa.string()),
        ("language", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("encoder", pa.string()),
    ]
)


def finals_table(results: Results) -> pa.Table:
    """The rows of `finals.parquet` as they would be now, in order of encoder, target and arm.

    `compared` says that an arm stands at the fraction at which arms compete (always true for `none`).
    """
    alone = next(iter(results.encoders()), "")
    tables = [_of_one(part, part.encoder or alone) for part in results.by_encoder()]
    return pa.concat_tables([SCHEMA.empty_table(), *tables])


def _of_one(results: Results, encoder: str) -> pa.Table:
    """The rows of one encoder."""
    from raystilts.results.compared import compared_fraction

    splits = {split: results.strata(split, each=True) for split in ("dev", "test")}
    compared = compared_fraction(None, splits["test"], results.study())
    rows = [_rows(stratum, compared, encoder) for found in splits.values() for stratum in found]
    return pa.concat_tables([SCHEMA.empty_table(), *rows])


def finals(results: Results) -> pd.DataFrame:
    """The same as a DataFrame."""
    found: pd.DataFrame = finals_table(results).to_pandas()
    return found


def write_finals(results: Results) -> str | None:
    """Writes `finals.parquet` into the results folder; readers see the old file or the new one, never a part.

    Returns:
        Why it was not written: scores of several metrics, which no table can average. None if it was.
    """
    try:
        table = finals_table(results)
    except UserError as error:
        return str(error)
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    results.folder.write(FINALS, out.getvalue(), overwrite=True)
    return None


def _rows(stratum: Stratum, compared: float | None, encoder: str) -> pa.Table:
    """One row for each arm, seed and language that has a score; a score without a seed once."""
    values = stratum.by_language if stratum.by_language.shape[2] else stratum.scores[:, :, None]
    there = np.isfinite(values)
    there[stratum.deterministic, 1:] = False
    arm, seed, language = np.nonzero(there)
    number = len(arm)
    alone = [stratum.seeds[s] if not stratum.deterministic[a] else None for a, s in zip(arm, seed, strict=True)]

    def of_arm(names: list[object], kind: pa.DataType) -> pa.Array:
        return pa.array(names, kind).take(pa.array(arm))

    arms = stratum.arms
    return pa.table(
        {
            "target": pa.repeat(pa.scalar(stratum.target, pa.string()), number),
            "target_fraction": pa.repeat(pa.scalar(stratum.target_fraction, pa.float64()), number),
            "intermediate": of_arm([one.intermediate for one in arms], pa.string()),
            "intermediate_fraction": of_arm([one.intermediate_fraction for one in arms], pa.float64()),
            "hyperparameters": of_arm([one.hyperparameters for one in arms], pa.string()),
            "compared": of_arm([one.intermediate_fraction in (None, compared) for one in arms], pa.bool_()),
            "seed": pa.array(alone, pa.int64()),
            "split": pa.repeat(pa.scalar(stratum.split, pa.string()), number),
            "language": pa.array(list(stratum.languages), pa.string()).take(pa.array(language)),
            "metric": pa.repeat(pa.scalar(stratum.metric, pa.string()), number),
            "value": pa.array(values[there]),
            "encoder": pa.repeat(pa.scalar(encoder, pa.string()), number),
        },
        schema=SCHEMA,
    )
