"""Parts of a split: fixed samples where a study limits rows, and dev splits cut by a hash of the items."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from raystilts.errors import UserError, did_you_mean


def fixed_sample(rows: int, limit: int | None) -> NDArray[np.int64]:
    """All rows, or always the same `limit` of them, in ascending order."""
    if limit is None or limit >= rows:
        return np.arange(rows, dtype=np.int64)
    return np.sort(np.random.default_rng([7, rows]).permutation(rows)[:limit]).astype(np.int64)


class Carve(BaseModel):
    """Cuts one split in two where a benchmark lacks a dev split.

    A row is in "dev" if the hash of the named columns falls into the first `share` of all hashes:
    rows with the same paragraph stay together, and adding rows moves no other row.

    Attributes:
        part: Which of the two parts.
        share: The size of "dev", as a share of the distinct values of `by`.
        by: Columns that are hashed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Literal["train", "dev"]
    share: float = Field(gt=0, lt=1)
    by: tuple[str, ...] = Field(min_length=1)


def carved(rows: pa.Table, carve: Carve) -> pa.Table:
    """The rows of one part, in their order."""
    limit = np.uint64(int(carve.share * 2**64))
    dev = item_hashes(rows, carve.by) < limit
    return rows.filter(pa.array(dev if carve.part == "dev" else ~dev))


def item_hashes(rows: pa.Table, columns: Sequence[str]) -> NDArray[np.uint64]:
    """The first 64 bits of the SHA-256 of the named columns of each row, shape [rows].

    Raises:
        UserError: If a column is missing.
    """
    missing = [name for name in columns if name not in rows.column_names]
    if missing:
        hint = did_you_mean(missing[0], rows.column_names)
        raise UserError(f"column {missing[0]!r} is missing ({hint}); it tells which items are the same")
    values = zip(*(rows[name].to_pylist() for name in columns), strict=True)
    seen: dict[str, int] = {}
    out = np.empty(rows.num_rows, dtype=np.uint64)
    for i, row in enumerate(values):
        text = json.dumps(row, ensure_ascii=False, sort_keys=True)
        if text not in seen:
            seen[text] = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        out[i] = seen[text]
    return out
