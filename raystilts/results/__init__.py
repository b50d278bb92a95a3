"""What is kept: one immutable Parquet file per attempt at a stage, and tables read from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_HOMES = {
    "Arm": "stratum",
    "DecisionRow": "schema",
    "Ledger": "ledger",
    "Results": "results",
    "RunRow": "schema",
    "ScoreRow": "schema",
    "Stratum": "stratum",
    "next_attempt": "ledger",
    "write_attempt": "ledger",
    "write_decision": "ledger",
}


def __getattr__(name: str) -> Any:
    """Loads a name when it is first asked for: a writer of tables needs none of what answers questions."""
    if name not in _HOMES:
        raise AttributeError(f"module 'raystilts.results' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
