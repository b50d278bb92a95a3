"""The rows of the ledger's tables, their Parquet schemas, and the bytes of one file.

The schemas are read off the dataclasses, so that a column exists in one place only.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import re
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

#: Raised by every new column, status or kind of row. A version only ever adds: columns that are null or have a
#: default in older rows. So every older file can be read; newer ones are skipped with a warning.
SCHEMA_VERSION = 3

Kind = Literal["intermediate", "target", "retrieval"]
Status = Literal["finished", "paused", "stopped", "failed"]
Table = Literal["runs", "scores", "decisions"]

_STAGE = r"[A-Za-z0-9][A-Za-z0-9._+@=,-]*"
_FILE_NAME = re.compile(rf"(?P<stage>{_STAGE})-(?P<attempt>[1-9][0-9]*)\.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One attempt at one stage.

    Attributes:
        stage: Key of the stage, also the start of its file's name.
        train_key: Hash of what determines the weights that it leaves.
        eval_key: Hash of what is scored, and how.
        kind: Whether an intermediate is trained, a target is trained, or a retrieval target is only scored.
        attempt: Number of the attempt, from 1.
        study: Name of the study.
        intermediate: Canonical name of what the encoder was trained on first, or ``"none"``.
        intermediate_fraction: Share of the intermediate's training data; null for ``"none"``.
        target: The task trained for; null for an intermediate stage.
        target_fraction: Share of the target's training data; null where none is used.
        seed: The seed; null where nothing is random (an untrained encoder on a retrieval target).
        hyperparameters: JSON object; with the intermediate and its fraction it names the arm.
        encoder: The encoder's name or folder, as the study gives it.
        encoder_revision: Its commit on the hub, or empty.
        encoder_fingerprint: Hash of its files.
        data_hash: Hash of the training data, or of the scored data where nothing is trained.
        eval_hash: Hash of what is scored, and how.
        status: A ``"paused"`` attempt has trained up to `rung` and may be gone on with by the next; a
            ``"stopped"`` one will not, by the rule in `stop_reason`.
        stop_reason: Why it was stopped (the schedule) or failed (error, nan, oom, timeout, worker_died, parent_failed).
        rung: Share of the full budget at which the attempt was paused or stopped.
        error: The message of a failed attempt.
        degenerate: Whether it is not a number, at chance on dev, or has a loss that does not fall; `degenerate_rule`
            says by which rule.
        degenerate_rule: The rule by which it is degenerate, or null.
        steps_done: Updates done.
        steps_planned: Updates of the full budget.
        examples: Training examples seen, repeats counted.
        tokens: Sub-words seen in training, padding not counted.
        best_step: Update whose weights were kept.
        device: Name of the CPU or GPU.
        device_share: Part of the device that the attempt had, 0 to 1.
        seconds: Wall-clock time of the attempt.
        train_seconds: Of these, seconds of training.
        eval_seconds: Of these, seconds of evaluation.
        started_at: When it started (UTC).
        ended_at: When it ended (UTC).
        hostname: The machine.
        threads: Threads that it used.
        micro_batch: Examples in a forward pass, found by memory; the batch of an update does not depend on it.
        precision: Of the products: `fp32` or `bf16`.
        versions: JSON object, package to version.
        parent_stage: The stage whose checkpoint this one starts from.
        selection: Dev data that picked the checkpoint: `en_dev` or `target_dev`.
        checkpoint: Where the weights are, if they were kept.
        source: Where an imported row comes from: file name and SHA-256 of the table, and the command.
        cost: Money that the attempt took by the study's prices; null where it has none.
        energy_kwh: Energy that the attempt took, where the machine could measure it.
    """

    stage: str
    train_key: str
    eval_key: str
    kind: Kind
    attempt: int
    study: str
    intermediate: str
    intermediate_fraction: float | None = None
    target: str | None = None
    target_fraction: float | None = None
    seed: int | None = None
    hyperparameters: str
    encoder: str
    encoder_revision: str
    encoder_fingerprint: str
    data_hash: str
    eval_hash: str
    status: Status
    stop_reason: str | None = None
    rung: float | None = None
    error: str | None = None
    degenerate: bool | None = None
    degenerate_rule: str | None = None
    steps_done: int
    steps_planned: int
    examples: int
    tokens: int
    best_step: int | None = None
    device: str
    device_share: float
    seconds: float
    train_seconds: float
    eval_seconds: float
    started_at: datetime
    ended_at: datetime
    hostname: str
    threads: int
    micro_batch: int
    precision: str
    versions: str
    parent_stage: str | None = None
    selection: str
    checkpoint: str | None = None
    source: str | None = None
    cost: float | None = None
    energy_kwh: float | None = None

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, typing.get_args(Kind))
        _one_of("status", self.status, typing.get_args(Status))
        file_name(self.stage, self.attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One score of one attempt: a metric on one split of one language at one step.

    Attributes:
        stage: Key of the stage; with `attempt` the row of `runs`.
        attempt: Number of the attempt, from 1.
        study: Name of the study.
        intermediate: As in `runs`, like the next columns up to `kind`.
        intermediate_fraction: As in `runs`.
        target: The task that is scored (an intermediate stage scores its own task).
        target_fraction: As in `runs`.
        seed: As in `runs`.
        kind: As in `runs`.
        step: Optimiser steps done when the score was taken.
        share: `step` as a share of the full budget, 0 to 1.
        split: `dev` or `test`.
        language: Language code of the scored data.
        metric: Name of the score.
        value: 0 to 1, higher is better; NaN where the metric is undefined.
        examples: Number of examples behind the value.
        is_main: Whether `metric` is the task's main score.
        is_final: Whether it belongs to the weights that the attempt ended with.
    """

    stage: str
    attempt: int
    study: str
    intermediate: str
    intermediate_fraction: float | None = None
    target: str
    target_fraction: float | None = None
    seed: int | None = None
    kind: Kind
    step: int
    share: float
    split: str
    language: str
    metric: str
    value: float
    examples: int
    is_main: bool
    is_final: bool

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, typing.get_args(Kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """What an early-stopping rule decided in one round, and from which scores.

    Attributes:
        study: Name of the study.
        target: The target whose arms were compared.
        target_fraction: The share of its training data.
        rule: Name of the schedule.
        round: Number of the round or rung, from 1.
        parameters: JSON object, the rule's settings.
        share: Share of the full budget at which it decided.
        arms_kept: JSON list of the arms that go on, best first.
        arms_dropped: JSON list of the arms that do not.
        scores: JSON object, arm to the score that was compared (null for one without).
        inputs_hash: Hash of these scores, to the last bit.
        decided_at: When it decided (UTC).
        encoder: Whose runs it decided on, where the study has several encoders.
    """

    study: str
    target: str
    target_fraction: float | None = None
    rule: str
    round: int
    parameters: str
    share: float | None = None
    arms_kept: str
    arms_dropped: str
    scores: str = "{}"
    inputs_hash: str
    decided_at: datetime
    encoder: str = ""


Row = RunRow | ScoreRow | DecisionRow

ROWS: dict[Table, type[RunRow] | type[ScoreRow] | type[DecisionRow]] = {
    "runs": RunRow,
    "scores": ScoreRow,
    "decisions": DecisionRow,
}
#: Types of columns in SQL. pyarrow is imported where it is used: most questions are answered without it.
_SQL = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", datetime: "TIMESTAMPTZ"}


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"The value of `{name}` is {value!r}, but must be one of {allowed}.")


@functools.cache
def schema_of(table: Table) -> pa.Schema:
    """The pyarrow schema of a table, with ``schema_version`` and the table's name as metadata."""
    import pyarrow as pa

    arrow = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        datetime: pa.timestamp("us", "UTC"),
    }
    fields = [pa.field(name, arrow[kind], nullable=null) for name, kind, null in _columns(table)]
    return pa.schema(fields, metadata=metadata_of(table))


def sql_columns(table: Table) -> dict[str, str]:
    """Columns of a table with their types in SQL."""
    return {name: _SQL[kind] for name, kind, _ in _columns(table)}


def metadata_of(table: Table) -> dict[str, str]:
    """What the footer of every file of a table says."""
    return {"schema_version": str(SCHEMA_VERSION), "raystilts_table": table}


def _columns(table: Table) -> list[tuple[str, type, bool]]:
    """Name, type, and whether null is allowed."""
    hints = typing.get_type_hints(ROWS[table])
    columns = []
    for field in dataclasses.fields(ROWS[table]):
        hint = hints[field.name]
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        kinds = [kind for kind in options if kind is not type(None)]
        plain = str if typing.get_origin(kinds[0]) is Literal else kinds[0]
        columns.append((field.name, plain, len(kinds) < len(options)))
    return columns


def to_table(table: Table, rows: Iterable[Row]) -> pa.Table:
    """Rows as an Arrow table; raises ``pyarrow.ArrowInvalid`` for a value of the wrong type."""
    import pyarrow as pa

    names = [f.name for f in dataclasses.fields(ROWS[table])]
    rows = list(rows)
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pa.Table.from_pydict(columns, schema=schema_of(table))


def defaults_of(table: Table) -> dict[str, Any]:
    """Columns that rows of an older version may lack, and what they are then."""
    fields = dataclasses.fields(ROWS[table])
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


def upgrade(table: Table, rows: pa.Table) -> pa.Table:
    """Rows of this or an older version with this version's columns.

    Raises:
        KeyError: A column is missing that every version has.
    """
    import pyarrow as pa

    schema = schema_of(table)
    defaults = defaults_of(table)
    for name in schema.names:
        if name not in rows.column_names and name in defaults:
            column = pa.repeat(pa.scalar(defaults[name], schema.field(name).type), rows.num_rows)
            rows = rows.append_column(name, column)
    return rows.select(schema.names).cast(schema)


def distrust_version(version: str | None) -> str | None:
    """Why a file of this schema version cannot be read, or None."""
    if version is None or not version.isdecimal():
        return f"its schema version is {version!r}"
    if int(version) > SCHEMA_VERSION:
        return f"schema version {version}, newer than {SCHEMA_VERSION}, the newest known here: upgrade raystilts"
    return None


def file_name(stage: str, attempt: int) -> str:
    """Name of the file of one attempt.

    Raises:
        ValueError: The stage key cannot be part of a file name, or the attempt is below 1.
    """
    name = f"{stage}-{attempt}.parquet"
    if parse_name(name) != (stage, attempt):
        raise ValueError(f"No file can be named after stage {stage!r}, attempt {attempt!r}.")
    return name


def parse_name(name: str) -> tuple[str, int] | None:
    """Stage and attempt of a file name, or None where it is not one of ours."""
    match = _FILE_NAME.fullmatch(name)
    return (match["stage"], int(match["attempt"])) if match else None


def encode_run(run: RunRow) -> bytes:
    """The Parquet file of one run.

    The footer repeats the row as JSON: a driver that resumes reads ten thousand footers in under
    a second, where decoding as many files of forty column chunks takes several.
    """
    table = to_table("runs", [run])
    extra = {"stage": run.stage, "attempt": str(run.attempt)}
    extra["row"] = _to_json(table.to_pylist()[0])
    return encode_table(table, extra, small=True)


def encode_scores(stage: str, attempt: int, scores: Iterable[ScoreRow]) -> bytes:
    """The Parquet file of an attempt's scores (possibly none)."""
    extra = {"stage": stage, "attempt": str(attempt)}
    return encode_table(to_table("scores", scores), extra, small=True)


def encode_decision(decision: DecisionRow) -> tuple[str, bytes]:
    """File name and Parquet file of a decision; the same decision always has the same name."""
    values = dataclasses.asdict(decision)
    del values["decided_at"]
    if not decision.encoder:  # a study with one encoder decides as it always has
        del values["encoder"]
    stage = hashlib.sha256(_to_json(values).encode()).hexdigest()[:32]
    extra = {"stage": stage, "attempt": "1"}
    data = encode_table(to_table("decisions", [decision]), extra, small=True)
    return file_name(stage, 1), data


def encode_table(table: pa.Table, extra: dict[str, str], *, small: bool) -> bytes:
    """A table as the bytes of a Parquet file; `extra` goes into its footer beside the version.

    Args:
        table: Rows with one of the schemas of this module.
        extra: More key-value metadata.
        small: A file of one attempt, read whole: no statistics, no embedded Arrow schema.
    """
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    options = {"write_statistics": False, "store_schema": False} if small else {}
    metadata = {k.decode(): v.decode() for k, v in table.schema.metadata.items()} | extra
    # Key-value metadata is lost with store_schema=False unless it is added to the writer.
    with pq.ParquetWriter(sink, table.schema, compression="zstd", **options) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(table, row_group_size=122_880)
    return sink.getvalue()


def _to_json(values: dict[str, Any]) -> str:
    return json.dumps(values, default=datetime.isoformat, ensure_ascii=False, sort_keys=True)


def run_from_json(text: str | bytes) -> RunRow:
    """The run that `encode_run` put into a footer."""
    values: dict[str, Any] = json.loads(text)
    for name in ("started_at", "ended_at"):
        values[name] = datetime.fromisoformat(values[name]).astimezone(UTC)
    return RunRow(**values)
