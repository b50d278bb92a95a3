"""Results as a data set that others can load: tables without what is the sharer's own, and a card."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from raystilts.errors import UserError
from raystilts.report.dataset_card import SharedTable, dataset_card
from raystilts.report.html.provenance import study_yaml
from raystilts.results.finals import finals_table
from raystilts.results.results import Results
from raystilts.schedules.top_two import TopTwo
from raystilts.study.encoder import Encoder
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study

#: Columns of the tables that name machines, folders and files of whoever ran the study.
PRIVATE = ("hostname", "checkpoint", "error", "source")
_PATH = re.compile(r"^[~/.]|\\|^[A-Za-z]:|://|/.*/")


@dataclass(frozen=True, slots=True)
class Shared:
    """A data set to be written.

    Attributes:
        files: Names with their bytes.
        rows: Rows of each table.
    """

    files: Mapping[str, bytes]
    rows: Mapping[str, int]


def shared(results: Results) -> Shared:
    """The files of the data set of some results.

    Raises:
        UserError: there is nothing to share yet, or a table still names a folder or a machine of this one's user.
    """
    study = results.study()
    if study is not None and study.search is not None:
        raise UserError(f"{results.folder.url}: a search has no answers to share; run a grid with what it found first")
    answers = results.answers()
    tables = _tables(results)
    texts = {} if study is None else {"study.yaml": study_yaml(public_study(study))}
    facts = [SharedTable(name, len(table)) for name, table in tables.items()]
    texts["README.md"] = dataset_card(results, answers, facts, study)
    _check(results, tables, texts)
    files = {f"{name}.parquet": _parquet(table) for name, table in tables.items()}
    files |= {name: text.encode() for name, text in texts.items()}
    return Shared(files, {name: len(table) for name, table in tables.items()})


def _tables(results: Results) -> dict[str, pa.Table]:
    """The tables by name, the one first that most readers want."""
    gains = results.matrix("gain")
    runs = results.runs(all_attempts=True).drop(columns=list(PRIVATE))
    runs["encoder"] = [public_encoder(str(name)) for name in runs["encoder"]]
    gains["encoder"] = [public_encoder(str(name)) for name in gains["encoder"]]
    found = {
        "finals": _public(finals_table(results)),
        "answers": _arrow(results.best()),
        "gains": _arrow(gains),
        "runs": _arrow(runs),
        "scores": _arrow(results.scores()),
    }
    decisions = results.decisions()
    return found | ({"decisions": _public(_arrow(decisions))} if len(decisions) else {})


def _public(table: pa.Table) -> pa.Table:
    """A table whose encoders are named without their folders."""
    names = [public_encoder(name or "") for name in table.column("encoder").to_pylist()]
    return table.set_column(table.schema.get_field_index("encoder"), "encoder", pa.array(names, pa.string()))


def public_encoder(name: str) -> str:
    """An encoder's id on the hub; of a folder its last name."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] if _PATH.search(name) else name


def public_study(study: Study) -> Study:
    """A study without the places of whoever ran it."""
    update: dict[str, object] = {
        "encoder": _public_encoder(study.encoder),
        "encoders": None if study.encoders is None else tuple(_public_encoder(one) for one in study.encoders),
        "intermediates": tuple(_public_arm(arm) for arm in study.intermediates),
        "storage_path": Study.model_fields["storage_path"].default,
        "data_dir": None,
        "task_files": tuple(Path(path).name for path in study.task_files),
        "report_to": (),
    }
    if isinstance(study.schedule, TopTwo):
        prior = tuple(public_encoder(place) for place in study.schedule.prior)
        update["schedule"] = study.schedule.model_copy(update={"prior": prior})
    return study.model_copy(update=update)


def _public_encoder(encoder: Encoder) -> Encoder:
    return encoder.model_copy(update={"model_name_or_path": public_encoder(encoder.model_name_or_path)})


def _public_arm(arm: Intermediate) -> Intermediate:
    """An arm; a checkpoint from elsewhere keeps its id on the hub, as an encoder does, and its arm keeps its name."""
    if arm.checkpoint is None:
        return arm
    given = arm.checkpoint.model_copy(update={"checkpoint": public_encoder(arm.checkpoint.checkpoint)})
    return arm.model_copy(update={"checkpoint": given})


def _arrow(frame: pd.DataFrame) -> pa.Table:
    frame = frame.assign(
        **{name: [json.dumps(one, sort_keys=True) if isinstance(one, dict) else one for one in frame[name]]
           for name in frame.select_dtypes("object").columns}
    )  # fmt: skip
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _check(results: Results, tables: Mapping[str, pa.Table], texts: Mapping[str, str]) -> None:
    """Looks for what is the sharer's own in all text that is to be shared.

    Raises:
        UserError: it is there.
    """
    own = {str(Path.home()), socket.gethostname(), results.folder.url} - {"/", "", "localhost"}
    pattern = re.compile("|".join(rf"(?<![\w-]){re.escape(text)}(?![\w-])" for text in sorted(own)))
    for name, table in tables.items():
        for column in table.column_names:
            kind = table.schema.field(column).type
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                for value in table.column(column).unique().to_pylist():
                    _check_text(value or "", pattern, f"column {column!r} of {name}")
    for name, text in texts.items():
        _check_text(text, pattern, name)


def _check_text(text: str, pattern: re.Pattern[str], where: str) -> None:
    found = pattern.search(text)
    if found is not None:
        raise UserError(
            f"not shared: {where} names {json.dumps(found[0])}, a folder or machine of yours; give the study, arm, "
            "task or encoder another name"
        )
