from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.results.ledger import to_rows
from raystilts.results.schema import (
    ROWS,
    DecisionRow,
    Kind,
    RunRow,
    ScoreRow,
    Status,
    encode_decision,
    encode_run,
    encode_scores,
    file_name,
    parse_name,
    run_from_json,
    schema_of,
    to_table,
)

from .rows import run_row, score_rows

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_FLOAT = st.floats(allow_nan=False)
_INT = st.integers(min_value=-(2**63), max_value=2**63 - 1)
_TIME = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
_STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "double": _FLOAT,
    "int64": _INT,
    "bool": st.booleans(),
}
_FIXED: dict[str, st.SearchStrategy[Any]] = {
    "stage": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True),
    "attempt": st.integers(1, 10**6),
    "kind": st.sampled_from(get_args(Kind)),
    "status": st.sampled_from(get_args(Status)),
}


def _rows(table: Any) -> st.SearchStrategy[Any]:
    fields = {}
    for field in schema_of(table):
        by_type = _STRATEGIES.get(str(field.type), _TIME)
        values = _FIXED.get(field.name, by_type)
        fields[field.name] = st.none() | values if field.nullable else values
    return st.builds(ROWS[table], **fields)


@given(_rows("runs"))
@settings(max_examples=60, deadline=None)
def test_run_round_trip_through_footer_and_columns(run: RunRow) -> None:
    file = pq.ParquetFile(io.BytesIO(encode_run(run)))
    footer = file.metadata.metadata
    assert run_from_json(footer[b"row"]) == run
    assert to_rows(RunRow, file.read()) == [run]
    assert footer[b"schema_version"] == b"3"
    assert file.read().schema.equals(schema_of("runs"))


@given(st.lists(_rows("scores"), max_size=4))
@settings(max_examples=40, deadline=None)
def test_scores_round_trip(scores: list[ScoreRow]) -> None:
    file = pq.ParquetFile(io.BytesIO(encode_scores("ab", 3, scores)))
    assert to_rows(ScoreRow, file.read()) == scores
    assert file.metadata.metadata[b"attempt"] == b"3"


@given(_rows("decisions"))
@settings(max_examples=30, deadline=None)
def test_decision_round_trip(decision: DecisionRow) -> None:
    name, data = encode_decision(decision)
    assert parse_name(name) is not None
    assert to_rows(DecisionRow, pq.read_table(io.BytesIO(data))) == [decision]


def test_decision_name_ignores_time_only() -> None:
    values: dict[str, Any] = {
        "study": "s",
        "target": "t",
        "rule": "race",
        "round": 1,
        "parameters": "{}",
        "arms_kept": "[]",
        "arms_dropped": "[]",
        "inputs_hash": "h",
    }
    first = DecisionRow(**values, decided_at=datetime(2026, 1, 1, tzinfo=UTC))
    later = DecisionRow(**values, decided_at=datetime(2026, 1, 2, tzinfo=UTC))
    other = DecisionRow(**(values | {"round": 2}), decided_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert encode_decision(first)[0] == encode_decision(later)[0]
    assert encode_decision(first)[0] != encode_decision(other)[0]


def test_columns() -> None:
    assert schema_of("runs").names[:6] == [
        "stage",
        "train_key",
        "eval_key",
        "kind",
        "attempt",
        "study",
    ]
    assert len(schema_of("runs")) == 46
    assert schema_of("runs").field("started_at").type == pa.timestamp("us", "UTC")
    assert not schema_of("scores").field("value").nullable
    assert schema_of("scores").field("seed").nullable
    assert schema_of("scores").metadata[b"schema_version"] == b"3"


def test_nan_score_is_kept() -> None:
    row = score_rows(run_row("a"), {"en": float("nan")})
    assert to_table("scores", row)["value"].to_pylist() != row[0].value
    assert to_table("scores", row)["value"].null_count == 0


def test_footer_is_json() -> None:
    footer = pq.ParquetFile(io.BytesIO(encode_run(run_row("a")))).metadata.metadata
    assert json.loads(footer[b"row"])["stage"] == "a"


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("ab12-1.parquet", ("ab12", 1)),
        ("mnli-x-12.parquet", ("mnli-x", 12)),
        ("ab12-0.parquet", None),
        ("ab12-01.parquet", None),
        ("ab12-1 (copy).parquet", None),
        (".ab12-1.parquet", None),
        ("ab12.parquet", None),
    ],
)
def test_parse_name(name: str, parsed: tuple[str, int] | None) -> None:
    assert parse_name(name) == parsed


@pytest.mark.parametrize("stage", ["", ".a", "a/b", "a b", "../a"])
def test_stage_must_name_a_file(stage: str) -> None:
    with pytest.raises(ValueError, match="No file can be named"):
        file_name(stage, 1)


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        run_row("a", status="done")
    with pytest.raises(ValueError, match="No file can be named"):
        run_row("a", attempt=0)
    with pytest.raises(pa.ArrowInvalid):
        to_table("runs", [run_row("a", steps_done="ten")])
    with pytest.raises(pa.ArrowInvalid):
        encode_run(run_row("a", device=None))
