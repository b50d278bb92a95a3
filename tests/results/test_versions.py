"""Files of schema version 1, written by its definition as it was, are read by today's version."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts.errors import StorageError
from raystilts.filesystem import open_folder
from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import Ledger
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results

from .rows import run_row, write

_TEXT, _INT, _REAL, _TIME = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", "UTC")
_RUNS_1 = pa.schema(
    [
        *(pa.field(name, _TEXT, nullable=False) for name in ("stage", "train_key", "eval_key", "kind")),
        pa.field("attempt", _INT, nullable=False),
        *(pa.field(name, _TEXT, nullable=False) for name in ("study", "intermediate")),
        *(("intermediate_fraction", _REAL), ("target", _TEXT), ("target_fraction", _REAL), ("seed", _INT)),
        *(
            pa.field(name, _TEXT, nullable=False)
            for name in (
                "hyperparameters", "encoder", "encoder_revision", "encoder_fingerprint", "data_hash", "eval_hash",
                "status",
            )
        ),
        *(("stop_reason", _TEXT), ("rung", _REAL), ("error", _TEXT), ("degenerate", pa.bool_())),
        ("degenerate_rule", _TEXT),
        *(pa.field(name, _INT, nullable=False) for name in ("steps_done", "steps_planned", "examples", "tokens")),
        ("best_step", _INT),
        pa.field("device", _TEXT, nullable=False),
        *(pa.field(n, _REAL, nullable=False) for n in ("device_share", "seconds", "train_seconds", "eval_seconds")),
        *(pa.field(name, _TIME, nullable=False) for name in ("started_at", "ended_at")),
        pa.field("hostname", _TEXT, nullable=False),
        *(pa.field(name, _INT, nullable=False) for name in ("threads", "micro_batch")),
        *(pa.field(name, _TEXT, nullable=False) for name in ("precision", "versions")),
        ("parent_stage", _TEXT),
        pa.field("selection", _TEXT, nullable=False),
        ("checkpoint", _TEXT),
    ]
)  # fmt: skip
_SCORES_1 = pa.schema(
    [
        pa.field("stage", _TEXT, nullable=False),
        pa.field("attempt", _INT, nullable=False),
        *(pa.field(name, _TEXT, nullable=False) for name in ("study", "intermediate")),
        ("intermediate_fraction", _REAL),
        pa.field("target", _TEXT, nullable=False),
        *(("target_fraction", _REAL), ("seed", _INT)),
        pa.field("kind", _TEXT, nullable=False),
        pa.field("step", _INT, nullable=False),
        pa.field("share", _REAL, nullable=False),
        *(pa.field(name, _TEXT, nullable=False) for name in ("split", "language", "metric")),
        pa.field("value", _REAL, nullable=False),
        pa.field("examples", _INT, nullable=False),
        *(pa.field(name, pa.bool_(), nullable=False) for name in ("is_main", "is_final")),
    ]
)
_DECISIONS_1 = pa.schema(
    [
        *(pa.field(name, _TEXT, nullable=False) for name in ("study", "target")),
        ("target_fraction", _REAL),
        pa.field("rule", _TEXT, nullable=False),
        pa.field("round", _INT, nullable=False),
        *(pa.field(n, _TEXT, nullable=False) for n in ("parameters", "arms_kept", "arms_dropped", "inputs_hash")),
        pa.field("decided_at", _TIME, nullable=False),
    ]
)
_START = datetime(2026, 1, 1, tzinfo=UTC)


def _file(path: Path, table: str, schema: pa.Schema, rows: list[dict[str, object]], **more: str) -> None:
    metadata = {"schema_version": "1", "raystilts_table": table, "attempt": "1"} | more
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd", write_statistics=False, store_schema=False) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sink.getvalue())


def _write_1(folder: Path, stage: str, score: float, seed: int) -> None:
    """An attempt as version 1 wrote it."""
    shared = {
        "stage": stage, "attempt": 1, "study": "old", "intermediate": "none", "target": "xnli", "target_fraction": 1.0,
        "seed": seed, "kind": "target",
    }  # fmt: skip
    texts = {field.name: "" for field in _RUNS_1 if field.type == _TEXT and not field.nullable}
    numbers: dict[str, object] = {field.name: 0 for field in _RUNS_1 if field.type in (_INT, _REAL)}
    null = {field.name: None for field in _RUNS_1 if field.nullable}
    times = {"started_at": _START, "ended_at": _START}
    run = texts | numbers | null | times | {"train_key": stage, "hyperparameters": "{}", "encoder": "encoder"}
    run |= {"status": "finished"} | shared
    text = json.dumps(run, default=datetime.isoformat)
    _file(folder / "runs" / f"{stage}-1.parquet", "runs", _RUNS_1, [run], stage=stage, row=text)
    row = {"intermediate_fraction": None, "step": 10, "share": 1.0, "split": "test", "metric": "accuracy"} | shared
    row |= {"examples": 100, "is_main": True, "is_final": True}
    rows = [row | {"language": language, "value": score} for language in ("de", "en")]
    _file(folder / "scores" / f"{stage}-1.parquet", "scores", _SCORES_1, rows, stage=stage)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder of version 1, with a run of today's version beside it."""
    _write_1(tmp_path, "a", 0.5, 1)
    _write_1(tmp_path, "b", 0.6, 2)
    decision = {
        "study": "old", "target": "xnli", "rule": "race", "round": 1, "parameters": "{}", "arms_kept": "[]",
        "arms_dropped": "[]", "inputs_hash": "h", "decided_at": _START,
    }  # fmt: skip
    _file(tmp_path / "decisions" / "d-1.parquet", "decisions", _DECISIONS_1, [decision], stage="d")
    write(tmp_path, "c", {"de": 0.7, "en": 0.7}, intermediate="mnli", source="table.csv", seed=1)
    return tmp_path


@pytest.mark.filterwarnings("error::raystilts.results.reader.ResultsWarning")
@pytest.mark.parametrize("compacted", [False, True])
def test_older_files_are_read(old: Path, compacted: bool) -> None:
    if compacted:
        assert compact(old).files == {"runs": 3, "scores": 3, "decisions": 1}
        clean_up(old, older_than=0)
    assert [row.source for row in Ledger(old).rows()] == [None, None, "table.csv"]
    results = Results(old)
    runs = results.runs()
    assert runs["stage"].tolist() == ["a", "b", "c"]
    assert runs["source"].isna().tolist() == [True, True, False]
    assert results.scores()["value"].tolist() == [0.5, 0.5, 0.6, 0.6, 0.7, 0.7]
    assert results.matrix("gain")["gain"].round(6).tolist() == [0.2, 0.2, 0.2]
    decisions = results.decisions()
    assert decisions["scores"].tolist() == ["{}"]
    assert decisions["share"].isna().all()


def test_only_older_files(tmp_path: Path) -> None:
    _write_1(tmp_path, "a", 0.5, 1)
    results = Results(tmp_path)
    assert results.runs()["source"].isna().all()
    assert results.matrix()["score"].tolist() == [0.5, 0.5, 0.5]


def test_compacted_folder_of_version_1(tmp_path: Path) -> None:
    """Its manifest says version 1, its parts lack columns, and there are no files of final scores."""
    _write_1(tmp_path, "a", 0.5, 1)
    parts: dict[str, list[str]] = {"runs": [], "scores": [], "decisions": []}
    for table in ("runs", "scores"):
        name = f"{table}-00000001-aaaaaaaa.parquet"
        (tmp_path / "compacted").mkdir(exist_ok=True)
        (tmp_path / table / "a-1.parquet").rename(tmp_path / "compacted" / name)
        parts[table] = [name]
    consumed = {"runs": ["a-1.parquet"], "scores": ["a-1.parquet"], "decisions": []}
    manifest = {"schema_version": 1, "generation": 1, "parts": parts, "consumed": consumed}
    (tmp_path / "compacted" / "manifest-00000001.json").write_text(json.dumps(manifest))
    write(tmp_path, "b", {"de": 0.7, "en": 0.7}, intermediate="mnli", seed=1)
    for _ in range(2):
        assert [row.stage for row in Ledger(tmp_path).rows()] == ["a", "b"]
        assert Results(tmp_path).matrix()["score"].tolist() == [0.7, 0.7, 0.7, 0.5, 0.5, 0.5]
        compact(tmp_path)
        clean_up(tmp_path, older_than=0)


def test_newer_files_are_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5})
    run = write(tmp_path, "b", {"en": 0.5})
    for table in ("runs", "scores"):
        path = tmp_path / table / f"{run.stage}-1.parquet"
        path.write_bytes(path.read_bytes().replace(b"schema_version\x18\x013", b"schema_version\x18\x014"))
    with pytest.warns(ResultsWarning, match=r"b-1.parquet \(schema version 4, newer than 3.*upgrade raystilts"):
        assert Results(tmp_path).runs()["stage"].tolist() == ["a"]


def test_newer_manifest_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5})
    compact(tmp_path)
    path = tmp_path / "compacted" / "manifest-00000001.json"
    path.write_text(path.read_text().replace('"schema_version": 3', '"schema_version": 4'))
    with pytest.raises(StorageError, match=r"newer than 3.*upgrade raystilts"):
        Results(open_folder(tmp_path)).runs()


def test_version_1_had_these_columns() -> None:
    """The definition above is not today's: what was added since is what the tests are about."""
    today = set(run_row("a").__dataclass_fields__)
    assert today - set(_RUNS_1.names) == {"source", "cost", "energy_kwh"}
    assert set(_RUNS_1.names) <= today
