"""The charts of the report page as files for a paper, SVG and PDF, drawn by matplotlib."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from raystilts.analysis.presentation import check_plot, pyplot, save_figure
from raystilts.report.html.distances import LEAST, Place, places_of, shown_arm
from raystilts.report.html.gather import ReportData
from raystilts.report.matrix import plot_matrix, transfer_matrix
from raystilts.results.answers import TargetAnswer, arm_names

FORMATS = (".svg", ".pdf")


def write_figures(data: ReportData, folder: Path) -> list[Path]:
    """Writes the matrix of gains, a chart of the arms of each target, and gains over distances where these are known.

    Raises:
        UserError: matplotlib is not installed, or a file cannot be written.
    """
    folder.mkdir(exist_ok=True)
    check_plot(folder / "matrix.svg")
    written: list[Path] = []
    matrix = transfer_matrix(data.answers, "gain" if data.has_gains else "score")
    for ending in FORMATS:
        written.append(folder / f"matrix{ending}")
        plot_matrix(matrix, written[-1])
    for answer in data.answers:
        name = re.sub(r"[^\w.-]+", "_", answer.label)
        if any(arm.gain is not None and arm.gain_low is not None for arm in answer.arms):
            written += _saved(folder, f"arms_{name}", partial(forest, answer))
        arm = shown_arm(answer)
        places = [] if arm is None else places_of(data, answer, arm)
        if arm is not None and len(places) >= LEAST:
            title = f"{arm_names(answer.arms)[answer.arms.index(arm)]} → {answer.label}"
            written += _saved(folder, f"distances_{name}", partial(scatter, title, places))
    return written


def _saved(folder: Path, name: str, draw: Callable[[], Any]) -> list[Path]:
    paths = [folder / f"{name}{ending}" for ending in FORMATS]
    for path in paths:
        save_figure(draw(), path)
    return paths


def forest(answer: TargetAnswer) -> Any:
    """Gains of one target's arms with their intervals, best first; a filled dot excludes zero."""
    plt = _pyplot()
    arms = [(arm, name) for arm, name in zip(answer.arms, arm_names(answer.arms), strict=True) if arm.gain is not None]
    figure, axes = plt.subplots(figsize=(5.2, 0.9 + 0.26 * len(arms)), layout="constrained")
    axes.axvline(0.0, color="0.6", linewidth=0.8)
    for row, (arm, _) in enumerate(arms):
        gain = 100 * (arm.gain or 0.0)
        if arm.gain_low is not None and arm.gain_high is not None:
            axes.plot([100 * arm.gain_low, 100 * arm.gain_high], [row, row], color="black", linewidth=1.2)
        face = "#155199" if arm.certain else "white"
        axes.plot([gain], [row], "o", markersize=5, markerfacecolor=face, markeredgecolor="#155199")
    axes.set_yticks(range(len(arms)), [name + (" *" if arm.in_best_set else "") for arm, name in arms], fontsize=8)
    axes.invert_yaxis()
    what = f"gain over {answer.baseline} on {answer.label}, {answer.metric} points"
    what += " (95 % interval)" if any(arm.gain_low is not None for arm, _ in arms) else ""
    axes.set_xlabel(what, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    return figure


def scatter(title: str, places: Sequence[Place]) -> Any:
    """Gains of one arm in each language over the distance from English."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    for place in places:
        gain = 100 * (place.arm.gain or 0.0)
        if place.arm.gain_low is not None and place.arm.gain_high is not None:
            ends = [100 * place.arm.gain_low, 100 * place.arm.gain_high]
            axes.plot([place.distance] * 2, ends, color="0.75", linewidth=1.2)
        face = "#155199" if place.arm.certain else "white"
        axes.plot([place.distance], [gain], "o", markersize=5, markerfacecolor=face, markeredgecolor="#155199")
        axes.annotate(place.language, (place.distance, gain), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axes.set_xlim(left=min(0.0, float(np.min([place.distance for place in places]))) - 0.02)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("syntactic distance from English (URIEL+)", fontsize=8)
    axes.set_ylabel(f"gain over {places[0].arm.baseline if places else 'none'} in points", fontsize=8)
    axes.tick_params(labelsize=8)
    return figure


def _pyplot() -> Any:
    plt = pyplot()
    plt.rcParams["svg.fonttype"] = "none"  # text stays text
    plt.rcParams["pdf.fonttype"] = 42
    return plt
