"""Where the numbers are from: encoder, data, versions, machines, and the commands that make them again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable

import pandas as pd
import yaml

from raystilts.report.html.formats import count
from raystilts.report.html.gather import ReportData
from raystilts.report.html.markup import Child, Markup, tag
from raystilts.report.html.tables import table
from raystilts.study.schema import Study

#: Failed runs that are listed one by one.
FAILURES = 50


def provenance_section(data: ReportData) -> Markup:
    """Facts, failures, the study file and the commands."""
    facts = [(name, value) for name, value in _facts(data) if value]
    terms = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    return tag(
        "section", tag("h2", "Provenance"), tag("dl", terms, class_="facts"), _failures(data.runs), _again(data),
        id="provenance",
    )  # fmt: skip


def _facts(data: ReportData) -> list[tuple[str, Child]]:
    runs = data.runs
    return [
        ("Results", tag("code", data.folder)),
        ("Hash of the runs", tag("code", runs_hash(runs))),
        ("Encoder", _codes(_encoders(runs))),
        ("Imported from", _sources(runs)),
        ("Runs by", _versions(runs)),
        ("Selection of checkpoints", _plain(runs, "selection")),
        ("Precision", _plain(runs, "precision")),
        ("Threads", _plain(runs, "threads")),
        ("Micro-batch", _plain(runs, "micro_batch")),
        ("Machines", _plain(runs, "hostname")),
        ("Run between", _period(runs)),
        ("Data of targets", _hashes(runs)),
    ]


def runs_hash(runs: pd.DataFrame) -> str:
    """SHA-256 over stage, attempt and status of every run: equal hashes, equal sets of runs."""
    rows = sorted(zip(runs["stage"], runs["attempt"], runs["status"], strict=True))
    text = "\n".join(f"{stage} {attempt} {status}" for stage, attempt, status in rows)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _encoders(runs: pd.DataFrame) -> list[str]:
    columns = (runs[name].fillna("") for name in ("encoder", "encoder_revision", "encoder_fingerprint"))
    found = {tuple(str(part) for part in row) for row in zip(*columns, strict=True)}
    return [
        f"{name}{f' at {revision}' if revision else ''}{f', weights {weights}' if weights else ''}"
        for name, revision, weights in sorted(found)
        if name or weights
    ]


def _sources(runs: pd.DataFrame) -> Child:
    """Tables that rows were imported from."""
    return _codes(sorted({str(source) for source in runs["source"].dropna()} - {""}))


def _versions(runs: pd.DataFrame) -> str:
    """Packages with their versions; several where runs differ."""
    found: dict[str, set[str]] = {}
    for text in runs["versions"].dropna().unique():
        for package, number in json.loads(text).items():
            found.setdefault(package, set()).add(str(number))
    return ", ".join(f"{package} {' and '.join(sorted(numbers))}" for package, numbers in sorted(found.items()))


def _plain(runs: pd.DataFrame, column: str) -> str:
    """The distinct values of a column, empty ones and zeros (of runs that never started) left out."""
    return ", ".join(sorted({str(value) for value in runs[column].dropna()} - {"", "0"}))


def _period(runs: pd.DataFrame) -> str:
    times = runs["started_at"].dropna(), runs["ended_at"].dropna()
    if not len(times[0]) or not len(times[1]):
        return ""
    return f"{times[0].min():%Y-%m-%d %H:%M} and {times[1].max():%Y-%m-%d %H:%M} UTC"


def _hashes(runs: pd.DataFrame) -> Child:
    """The hash of each target's training data, by size."""
    some = runs[runs["kind"] != "intermediate"].dropna(subset=["target"])
    found = sorted({(str(t), str(h)) for t, h in zip(some["target"], some["data_hash"], strict=True) if h})
    by_target: dict[str, list[str]] = {}
    for target, digest in found:
        by_target.setdefault(target, []).append(digest)
    shown = [f"{target} {digests[0] if len(digests) == 1 else count(len(digests), 'hash', 'hashes')}"
             for target, digests in by_target.items()]  # fmt: skip
    return _codes(shown)


def _codes(texts: Iterable[str]) -> Child:
    return [tag("code", text, class_="line") for text in texts]


def _failures(runs: pd.DataFrame) -> Markup | None:
    """Runs that failed and were not made good by a later attempt."""
    good = set(runs["stage"][runs["status"] != "failed"])
    failed = runs[(runs["status"] == "failed") & ~runs["stage"].isin(good)]
    if not len(failed):
        return None
    columns = ("intermediate", "target", "seed", "stop_reason", "error")
    rows = failed.drop_duplicates("stage", keep="last").head(FAILURES)
    body = [tag("tr", [tag("td", _cell(row[name])) for name in columns]) for _, row in rows.iterrows()]
    head = tag("tr", [tag("th", name.replace("_", " "), scope="col") for name in columns])
    title = f"{count(failed['stage'].nunique(), 'stage')} failed"
    shown = table(f"{title}; the first {len(rows)}", head, body)
    return tag("details", tag("summary", title), shown)


def _cell(value: object) -> str:
    text = "" if value is None or value is pd.NA or value != value else str(value)
    return text if len(text) <= 200 else text[:199] + "…"


def _again(data: ReportData) -> Markup:
    """Commands and the study file."""
    folder = shlex.quote(data.folder)
    lines = [f"raystilts best {folder} --json", f"raystilts report {folder} -o report.html"]
    parts: list[Markup] = []
    if data.study is not None:
        file = f"{data.study.name}.yaml"
        storage = shlex.quote(data.folder.rstrip("/").rpartition("/")[0] or ".")
        lines.insert(0, f"raystilts run {shlex.quote(file)} --storage-path {storage}")
        parts.append(
            tag("details", tag("summary", f"The study file, {file}"), tag("pre", tag("code", study_yaml(data.study))))
        )
    said = "To make these numbers again" if data.study else "To ask the tables again"
    return tag("div", tag("h3", said), tag("pre", tag("code", "\n".join(lines))), parts)


def study_yaml(study: Study) -> str:
    """The study as a file that `raystilts run` takes; what was left to its default is left out."""
    fields = study.model_dump(mode="json", exclude_defaults=True)
    fields["intermediates"] = [arm or "none" for arm in fields["intermediates"]]
    text: str = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    return text
