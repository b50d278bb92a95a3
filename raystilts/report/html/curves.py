"""Learning curves of one target: dev score over training, a small chart for each arm, stopped runs marked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from raystilts.report.arms import ArmAnswer, TargetAnswer
from raystilts.report.html import panels
from raystilts.report.html.axes import spread, ticks
from raystilts.report.html.formats import count, listed, part, score
from raystilts.report.html.gather import arm_names
from raystilts.report.html.markup import Markup, tag

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """One run.

    Attributes:
        points: Share of the full training (0 to 1), and main dev score (0 to 1), by rising share.
        stopped_at: The share at which it was stopped; None if it was not.
    """

    points: Points
    stopped_at: float | None


def curves_figure(frame: pd.DataFrame, answer: TargetAnswer) -> Markup | None:
    """A chart an arm; None where no run was evaluated twice.

    Args:
        frame: `gather.dev_points`.
        answer: The target.
    """
    found = target_curves(frame, answer)
    if not any(len(curve.points) > 1 for runs in found.values() for curve in runs):
        return None
    names = arm_names(answer.arms)
    baseline = next((average(found[i]) for i in found if answer.arms[i].intermediate == "none"), [])
    values = [y for runs in found.values() for curve in runs for _, y in curve.points]
    low, high = spread(values, least=0.05)
    y_ticks = [(value, panels.tick_label(value)) for value in ticks(low, high, 4)]
    axes = panels.axes((0.0, 1.0), (low, high), [(0.0, "0"), (0.5, "1/2"), (1.0, "1")], y_ticks)
    charts = [_chart(axes, names[i], runs, baseline if answer.arms[i].intermediate != "none" else [])
              for i, runs in found.items()]  # fmt: skip
    dashed = ", dashed: none" if baseline else ""
    where = listed(_languages(frame, answer))
    said = (
        f"{answer.metric} × 100 on dev ({where}) over the share of training. Thin: single runs, thick: their "
        f"mean{dashed}. ×: stopped early."
    )
    return tag("div", tag("h4", "Learning curves"), tag("p", said), tag("div", charts, class_="panels"))


def target_curves(frame: pd.DataFrame, answer: TargetAnswer) -> dict[int, list[Curve]]:
    """The runs of every arm of a target, by the arm's place in the answer; arms without any are left out."""
    rows = _rows(frame, answer)
    found: dict[int, list[Curve]] = {}
    for _, run in rows.groupby("stage", sort=True):
        first = run.iloc[0]
        place = _place(answer.arms, first)
        if place is not None:
            means = run.groupby("share")["value"].mean()
            points = [
                (share, value)
                for share, value in zip(means.index.tolist(), means.tolist(), strict=True)
                if value == value
            ]
            stopped = first["status"] != "finished"
            ended = float(first["rung"]) if stopped and pd.notna(first["rung"]) else points[-1][0] if points else 0.0
            found.setdefault(place, []).append(Curve(points, ended if stopped else None))
    return dict(sorted(found.items()))


def average(curves: Sequence[Curve]) -> Points:
    """The mean over runs, wherever all of them were evaluated."""
    shares = [{share for share, _ in curve.points} for curve in curves]
    common = sorted(set.intersection(*shares)) if shares else []
    values = [dict(curve.points) for curve in curves]
    return [(share, sum(one[share] for one in values) / len(values)) for share in common]


def _rows(frame: pd.DataFrame, answer: TargetAnswer) -> pd.DataFrame:
    """Main dev scores of a target's runs, in the languages that each of their evaluations has."""
    part = frame["target_fraction"]
    same = part.isna() if answer.target_fraction is None else part == answer.target_fraction
    chosen = frame[(frame["target"] == answer.target) & same & (frame["metric"] == answer.metric)]
    if not len(chosen):
        return chosen
    evaluations = chosen.groupby("language")["stage"].count()
    times = chosen[["stage", "step", "is_final"]].drop_duplicates()
    everywhere = evaluations[evaluations == len(times)].index
    languages = everywhere if len(everywhere) else evaluations[evaluations == evaluations.max()].index
    return chosen[chosen["language"].isin(languages)]


def _languages(frame: pd.DataFrame, answer: TargetAnswer) -> list[str]:
    return sorted(_rows(frame, answer)["language"].unique())


def _place(arms: tuple[ArmAnswer, ...], row: pd.Series) -> int | None:
    """Which arm a run belongs to."""
    fraction = None if pd.isna(row["intermediate_fraction"]) else float(row["intermediate_fraction"])
    key = (row["intermediate"], fraction)
    same = [i for i, arm in enumerate(arms) if (arm.intermediate, arm.intermediate_fraction) == key]
    if len(same) < 2:
        return same[0] if same else None
    settings = json.loads(row["hyperparameters"] or "{}")
    return next((i for i in same if arms[i].hyperparameters == settings), None)


def _chart(axes: panels.Axes, name: str, runs: list[Curve], baseline: Points) -> Markup:
    content = [panels.path(axes, baseline, "base")] if baseline else []
    content += [panels.path(axes, run.points, "run") for run in runs if run.points]
    finished = [run for run in runs if run.stopped_at is None]
    mean = average(finished)
    if mean:
        content.append(panels.path(axes, mean, "mean"))
        content.append(panels.dot(axes, *mean[-1], "sure"))
    stops = [run for run in runs if run.stopped_at is not None]
    content += [panels.cross(axes, *run.points[-1]) for run in stops if run.points]
    return panels.panel(axes, name, _words(runs, mean), content, _stopped(stops, len(runs)))


def _stopped(stops: list[Curve], runs: int) -> str:
    """How many runs were stopped, and where; empty if none was."""
    if not stops:
        return ""
    places = list(dict.fromkeys(part(run.stopped_at) for run in sorted(stops, key=lambda r: r.stopped_at or 0.0)
                                if run.stopped_at is not None))  # fmt: skip
    return f"{len(stops)} of {count(runs, 'run')} stopped at {listed(places)}"


def _words(runs: list[Curve], mean: Points) -> str:
    """The chart for those who do not see it."""
    finished = f"{count(len(runs), 'run')}. "
    if mean:
        finished += f"Mean dev score {score(mean[0][1])} at {part(mean[0][0])} of training, {score(mean[-1][1])} last. "
    return finished + _stopped([run for run in runs if run.stopped_at is not None], len(runs))
