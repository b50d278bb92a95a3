"""Where the numbers are from and what they took: encoder, data, versions, machines, commands, device time, savings."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import yaml

from raystilts.report.html.gather import ReportData
from raystilts.report.html.markup import Child, Markup, count, duration, table, tag
from raystilts.results.reader import json_column
from raystilts.study.composed import flattened
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
        ("Imported from", _codes(sorted({str(source) for source in runs["source"].dropna()} - {""}))),
        ("Runs by", versions(runs)),
        ("Selection of checkpoints", _plain(runs, "selection")),
        ("Precision", _plain(runs, "precision")),
        ("Threads", _plain(runs, "threads")),
        ("Micro-batch", _plain(runs, "micro_batch")),
        ("Machines", _plain(runs, "hostname")),
        # Of a run from elsewhere only its file's own time is known.
        ("Imported files last changed" if data.imported else "Run between", _period(runs)),
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


def versions(runs: pd.DataFrame) -> str:
    """Packages with their versions; several where runs differ."""
    found: dict[str, set[str]] = {}
    for text in runs["versions"].dropna().unique():
        for package, number in json_column(text, dict).items():
            found.setdefault(package, set()).add(str(number))
    return ", ".join(f"{package} {' and '.join(sorted(numbers))}" for package, numbers in sorted(found.items()))


def _plain(runs: pd.DataFrame, column: str) -> str:
    """The distinct values of a column, empty ones and zeros (of runs that never started) left out."""
    return ", ".join(sorted({str(value) for value in runs[column].dropna()} - {"", "0"}))


def _period(runs: pd.DataFrame) -> str:
    times = runs["started_at"].dropna(), runs["ended_at"].dropna()
    if not len(times[0]) or not len(times[1]):
        return ""
    first, last = (f"{time:%Y-%m-%d %H:%M}" for time in (times[0].min(), times[1].max()))
    return f"{first} UTC" if first == last else f"{first} and {last} UTC"


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
    fields["intermediates"] = [flattened(arm) or "none" for arm in fields["intermediates"]]
    text: str = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    return text


KINDS = {"intermediate": "intermediate", "target": "target", "retrieval": "retrieval, untrained"}


@dataclass(frozen=True, slots=True)
class Spent:
    """Device time in seconds: wall-clock time of an attempt times its share of the device.

    Attributes:
        total: Of all attempts, also those that failed or were stopped.
        alone: What finished cells would have taken with an intermediate stage of their own each. A stage that was
            paused takes the time of all its attempts; those that failed are left out.
        shared: What they took, each intermediate stage once.
        stopped_saves: What stopped stages would have taken more, at their pace until then.
    """

    total: float
    alone: float
    shared: float
    stopped_saves: float


def spent(runs: pd.DataFrame) -> Spent:
    """Sums over `Results.runs(all_attempts=True)`."""
    times = runs["seconds"] * runs["device_share"]
    good = times[runs["status"] != "failed"].groupby(runs["stage"]).sum()
    by_stage = {str(stage): float(seconds) for stage, seconds in good.items()}
    finished = runs[runs["status"] == "finished"].drop_duplicates("stage")
    cells = finished[finished["kind"] != "intermediate"]
    parents = [str(parent) for parent in cells["parent_stage"].dropna()]
    own = sum(by_stage[str(stage)] for stage in cells["stage"])
    alone = own + sum(by_stage.get(parent, 0.0) for parent in parents)
    shared = own + sum(by_stage.get(parent, 0.0) for parent in set(parents))
    return Spent(float(times.sum()), alone, shared, _stopped_saves(runs, by_stage, set(finished["stage"])))


def _stopped_saves(runs: pd.DataFrame, by_stage: dict[str, float], finished: set[str]) -> float:
    """Time that stages not trained to the end would have gone on for: paused ones may yet, and do not count."""
    stopped = runs[(runs["status"] == "stopped") & ~runs["stage"].isin(finished)].drop_duplicates("stage", keep="last")
    saved = 0.0
    for stage, rung, done, planned in zip(*(stopped[c] for c in ("stage", "rung", "steps_done", "steps_planned")),
                                          strict=True):  # fmt: skip
        share = float(rung) if pd.notna(rung) else done / planned if planned else 0.0
        saved += by_stage[str(stage)] * (1 / share - 1) if share else 0.0
    return saved


def cost_section(data: ReportData) -> Markup | None:
    """The table of times, and the savings in words; None where times are not known."""
    runs = data.runs
    if not len(runs) or not (runs["seconds"] > 0).any():
        return None
    found = spent(runs)
    attempts, stages = count(len(runs), "attempt"), count(runs["stage"].nunique(), "stage")
    said = [f"{duration(found.total)} of device time in {attempts} at {stages}."]
    if found.alone > found.shared:
        saved = 1 - found.shared / found.alone
        said.append(
            f"Every intermediate was trained once and shared by the targets: with a chain of its own for each cell, "
            f"finished cells would have taken {duration(found.alone)} instead of {duration(found.shared)}; sharing "
            f"saved {saved:.0%}."
        )
    if found.stopped_saves > 0:
        said.append(f"Early stopping saved about {duration(found.stopped_saves)}.")
    said += money_and_energy(runs)
    devices = sorted(set(runs["device"].dropna()) - {""})
    if devices:
        said.append(f"Device: {', '.join(devices)}.")
    return tag("section", tag("h2", "Cost"), tag("p", " ".join(said)), _table(runs), id="cost")


def money_and_energy(runs: pd.DataFrame) -> list[str]:
    """What all attempts cost and took, a sentence each; nothing of what nobody gave a price for or measured."""
    said = []
    for column, words in (("cost", "By the study's prices it cost {:,.2f}"), ("energy_kwh", "It took {:,.3f} kWh")):
        known = runs[column].dropna()
        if len(known):
            of = "" if len(known) == len(runs) else f" in {len(known):,} of {count(len(runs), 'attempt')}"
            said.append(f"{words.format(float(known.sum()))}{of}.")
    return said


def _table(runs: pd.DataFrame) -> Markup:
    heads = ("stages", "attempts", "finished", "stopped", "failed", "updates", "training examples", "device time")
    body = []
    for kind, word in KINDS.items():
        some = runs[runs["kind"] == kind]
        if len(some):
            body.append(tag("tr", tag("th", word, scope="row"), _cells(some)))
    body.append(tag("tr", tag("th", "all", scope="row"), _cells(runs), class_="total"))
    head = tag("tr", tag("th", "kind", scope="col"), [tag("th", h, scope="col", class_="number") for h in heads])
    return table("Every run, by kind of stage", head, body)


def _cells(runs: pd.DataFrame) -> list[Markup]:
    times = (runs["seconds"] * runs["device_share"]).sum()
    numbers = [
        runs["stage"].nunique(),
        len(runs),
        *(int((runs["status"] == s).sum()) for s in ("finished", "stopped", "failed")),
    ]
    last = runs.drop_duplicates("stage", keep="last")
    numbers += [int(last["steps_done"].sum()), int(last["examples"].sum())]
    texts = [*(f"{number:,}" for number in numbers), duration(float(times))]
    return [tag("td", text, class_="number") for text in texts]
