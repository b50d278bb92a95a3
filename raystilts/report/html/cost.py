"""What the results took: device time by kind of stage, and what sharing and early stopping saved."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from raystilts.report.html.formats import count, duration
from raystilts.report.html.gather import ReportData
from raystilts.report.html.markup import Markup, tag
from raystilts.report.html.tables import table

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
    devices = sorted(set(runs["device"].dropna()) - {""})
    if devices:
        said.append(f"Device: {', '.join(devices)}.")
    return tag("section", tag("h2", "Cost"), tag("p", " ".join(said)), _table(runs), id="cost")


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
