"""What is kept: one immutable Parquet file per attempt at a stage, and tables read from them."""

from __future__ import annotations

from raystilts.results.ledger import Ledger, next_attempt, write_attempt, write_decision
from raystilts.results.results import Results
from raystilts.results.schema import DecisionRow, RunRow, ScoreRow
from raystilts.results.stratum import Arm, Stratum

__all__ = [
    "Arm",
    "DecisionRow",
    "Ledger",
    "Results",
    "RunRow",
    "ScoreRow",
    "Stratum",
    "next_attempt",
    "write_attempt",
    "write_decision",
]
