"""Intermediates ranked before any target is trained, by their embeddings of its training data: one forward pass each.

Where the grid is there, the answer says how good the rankings were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import comb, log2
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raystilts.analysis.presentation import Row, wrap
from raystilts.analysis.transferability_scores import h_score, logme
from raystilts.errors import UserError
from raystilts.filesystem import open_folder
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.data import data_folder
from raystilts.planning.encoders import fetch_encoder
from raystilts.planning.stages import Plan, plan
from raystilts.results.results import Results
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.training.checkpoints import open_checkpoints
from raystilts.training.data import DataReader
from raystilts.training.embeddings import labelled_states
from raystilts.training.encoder import Pretrained, pretrained

#: Embeddings with labels that are scored at most: words of a tagging task, sub-words of a span question.
ROWS = 2000
#: Rankings that are compared with the grid; the last is the mean rank on the study's other targets.
METHODS = {
    "logme": "LogME", "h_score": "H-score", "earlier": "earlier studies", "text": "text similarity",
    "elsewhere": "best elsewhere",
}  # fmt: skip
KS = (1, 3)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What embeddings say of one arm for one target, means over the seeds; higher is better."""

    target: str
    intermediate: str
    seeds: int
    logme: float
    h_score: float


def predict_study(study: Study, samples: int) -> list[Prediction]:
    """Predictions for every trained target and every arm at the compared fraction, `none` among them.

    Args:
        samples: English training examples of each target that are read.

    Raises:
        UserError: Checkpoints of intermediates are not there, or no target of the study is trained.
    """
    info = fetch_encoder(study.encoder)
    planned = plan(study)
    targets = [t.task for t in study.targets if get_task(t.task).requires_training]
    if not targets:
        raise UserError("no target of the study is trained: run it, retrieval needs the intermediates alone")
    places = checkpoint_places(planned)
    loaded = pretrained(info)
    found = []
    for (arm, seed), place in places.items():
        scores = _scores(loaded, place, study, targets, samples)
        found += [Prediction(target, arm, seed or 0, *pair) for target, pair in scores.items()]
    return [_mean(found, target, arm) for target in targets for arm in dict.fromkeys(arm for arm, _ in places)]


def checkpoint_places(planned: Plan) -> dict[tuple[str, int | None], Path | None]:
    """Where the encoder of each arm and seed is; None for the pretrained one, which is `none`.

    Raises:
        UserError: Some are not there.
    """
    study = planned.study
    checkpoints = open_checkpoints(checkpoints_folder(study))
    places: dict[tuple[str, int | None], Path | None] = {}
    if any(arm.is_none for arm in study.intermediates):
        places["none", None] = None
    missing = []
    # What the cells start from: a member of a sequence may have the label of an arm that was trained otherwise.
    stages = {
        (cell.intermediate, planned.stages[parent].seed): planned.stages[parent]
        for cell, key in zip(planned.cells, planned.cell_stages, strict=True)
        if cell.intermediate_fraction in (None, study.compared_fraction)
        and (parent := planned.stages[key].parent) is not None
    }
    for (label, seed), stage in stages.items():
        path = checkpoints.find(stage.train_key)
        places[label, seed] = path
        if path is None:
            missing.append(label if seed is None else f"{label} seed {seed}")
    if missing:
        names = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise UserError(
            f"{len(missing)} of {len(stages)} intermediate checkpoints are not in {checkpoints.folder} ({names}); "
            "train the intermediates, and nothing else, with raystilts run STUDY --intermediates-only"
        )
    return places


def _scores(
    loaded: Pretrained, place: Path | None, study: Study, targets: list[str], samples: int
) -> Mapping[str, tuple[float, float]]:
    model = loaded.restore(place, torch.device("cpu"))
    reader = DataReader(loaded, data_folder(study))
    found = {}
    for name in targets:
        task, own = get_task(name), study.hyperparameters.resolve(name)
        limit = min(samples, own.max_train_samples or samples)
        hp = Hyperparameters(max_train_samples=limit, max_length=own.max_length)
        features, pooling = reader.training(task, hp), loaded.info.pooling
        rows = labelled_states(model, task, features, loaded.tokenizer.pad_token_id, pooling, ROWS)
        found[name] = logme(rows.embeddings, rows.labels), h_score(rows.embeddings, rows.labels)
    return found


def _mean(found: list[Prediction], target: str, arm: str) -> Prediction:
    mine = [one for one in found if (one.target, one.intermediate) == (target, arm)]
    return Prediction(
        target, arm, len(mine), float(np.mean([one.logme for one in mine])), float(np.mean([o.h_score for o in mine]))
    )


def scored_against(study: Study, found: Sequence[Prediction]) -> list[Row]:
    """How good predictions were, see `score_rankings`."""
    methods = ("logme", "h_score")
    return score_rankings(
        study, {method: {(one.target, one.intermediate): getattr(one, method) for one in found} for method in methods}
    )


def score_rankings(study: Study, rankings: Mapping[str, Mapping[tuple[str, str], float]]) -> list[Row]:
    """Regret and NDCG of each ranking on each target whose grid is there; arms with the target's data are left out.

    Args:
        rankings: By method, what is expected of each target and arm; arms that one of them lacks are left out.

    Returns:
        Rows with target, method, regret@1 and @3 (of all arms, `none` among them), ndcg, and what chance gives.
    """
    folder = open_folder(results_folder(study))
    if not folder.exists():
        return []
    parts = Results(folder).by_encoder()
    results = next((one for one in parts if one.encoder in (None, study.encoder.label)), None)
    if results is None:
        return []
    table, tasks = _outcomes(results, study), results.tasks()
    rows = []
    for target in dict.fromkeys(target for scores in rankings.values() for target, _ in scores):
        arms = [arm for arm in table.get(target, {}) if not tasks.overlaps(arm, target)]
        arms = [arm for arm in arms if all((target, arm) in scores for scores in rankings.values())]
        if len(arms) < 3:
            continue
        outcome = [table[target][arm] for arm in arms]
        by_method = {method: [scores[target, arm] for arm in arms] for method, scores in rankings.items()}
        by_method["elsewhere"] = [_elsewhere(table, target, arm) for arm in arms]
        rows += [_row(target, method, v, outcome) for method, v in by_method.items() if np.isfinite(v).all()]
        rows.append(_row(target, "chance", None, outcome))
    return rows


def _row(target: str, method: str, values: list[float] | None, outcome: list[float]) -> Row:
    row: Row = {"target": target, "method": method, "arms": len(outcome)}
    for k in KS:
        row[f"regret@{k}"] = random_regret_at(outcome, k) if values is None else regret_at(values, outcome, k)
    if values is None:
        orders = np.random.default_rng(0).permuted(np.tile(np.arange(len(outcome)), (2000, 1)), axis=1)
        row["ndcg"] = float(np.mean([ndcg(order.tolist(), outcome) for order in orders]))
    else:
        row["ndcg"] = ndcg(values, outcome)
    return row


def _outcomes(results: Results, study: Study) -> dict[str, dict[str, float]]:
    """Mean test score of each arm at the compared fraction, by target; at its largest training fraction."""
    found: dict[str, dict[str, float]] = {}
    for stratum in sorted(results.strata("test"), key=lambda s: s.target_fraction or 1.0):
        found[stratum.target] = {
            arm.intermediate: float(np.nanmean(stratum.scores[i]))
            for i, arm in enumerate(stratum.arms)
            if arm.intermediate_fraction in (None, study.compared_fraction) and np.isfinite(stratum.scores[i]).any()
        }
    return found


def _elsewhere(table: dict[str, dict[str, float]], target: str, arm: str) -> float:
    """Minus the mean rank of an arm over the other targets; nan where there is no other."""
    ranks = []
    for name, scores in table.items():
        if name != target and arm in scores:
            ranks.append(sum(value > scores[arm] for value in scores.values()) / len(scores))
    return -float(np.mean(ranks)) if ranks else float("nan")


def regret_at(predicted: Sequence[float], outcome: Sequence[float], k: int) -> float:
    """(best - best of the k picked) / best: the share of the best score that is lost by running the first k only.

    Args:
        predicted: Higher is better, one an intermediate.
        outcome: Its score, 0 to 1, likewise.
        k: How many are picked; ties go to the one that stands first.
    """
    best = max(outcome)
    picked = np.argsort(-np.asarray(predicted), kind="stable")[:k]
    return (best - max(outcome[i] for i in picked)) / best if best > 0 else 0.0


def random_regret_at(outcome: Sequence[float], k: int) -> float:
    """The expected regret of picking k at random."""
    ascending = sorted(outcome)
    number, best = len(ascending), ascending[-1]
    k = min(k, number)
    expected = sum(value * comb(i, k - 1) for i, value in enumerate(ascending)) / comb(number, k)
    return (best - expected) / best if best > 0 else 0.0


def ndcg(predicted: Sequence[float], outcome: Sequence[float]) -> float:
    """Normalised discounted cumulative gain (Jarvelin and Kekalainen 2002) of the whole ranking, 0 to 1.

    An intermediate's relevance is its score on a scale from the worst (0) to the best (1) of the target.
    """
    low, high = min(outcome), max(outcome)
    if high == low:
        return 1.0
    relevance = [(value - low) / (high - low) for value in outcome]
    order = np.argsort(-np.asarray(predicted), kind="stable")
    return _discounted([relevance[i] for i in order]) / _discounted(sorted(relevance, reverse=True))


def _discounted(relevance: Sequence[float]) -> float:
    return sum(value / log2(place + 2) for place, value in enumerate(relevance))


def prediction_rows(found: Sequence[Prediction]) -> list[Row]:
    """A row a target and arm, best LogME first within a target."""
    order = {target: i for i, target in enumerate(dict.fromkeys(one.target for one in found))}
    return [asdict(one) for one in sorted(found, key=lambda one: (order[one.target], -one.logme))]


def predictions_text(found: Sequence[Prediction], outcome: Sequence[dict[str, Any]]) -> str:
    """Tables in 80 columns, with what follows in words."""
    lines: list[str] = []
    for target in dict.fromkeys(one.target for one in found):
        mine = sorted((one for one in found if one.target == target), key=lambda one: -one.logme)
        ranks = {one.intermediate: i + 1 for i, one in enumerate(sorted(mine, key=lambda one: -one.h_score))}
        lines.append(f"{target}: intermediates by LogME of the target's training data")
        lines.append(f"  {'arm':<34} {'LogME':>9} {'H-score':>9} {'its rank':>9} {'seeds':>6}")
        lines += [
            f"  {one.intermediate:<34} {one.logme:>9.4f} {one.h_score:>9.4f} "
            f"{ranks[one.intermediate]:>9} {one.seeds:>6}"
            for one in mine
        ]
        lines.append("")
    if not outcome:
        lines += wrap("The grid is not there yet: how good these rankings are is not known.")
        return "\n".join(lines) + "\n"
    return "\n".join([*lines, *outcome_lines(outcome)]) + "\n"


def outcome_lines(outcome: Sequence[dict[str, Any]]) -> list[str]:
    """How good rankings were, as a table of 80 columns and in words; nothing without an outcome."""
    if not outcome:
        return []
    lines = ["Against the grid: share of the best score lost by running the first 1 or 3 alone"]
    lines.append(f"  {'target':<20} {'ranking':<16} {'arms':>5} {'regret@1':>9} {'regret@3':>9} {'NDCG':>6}")
    for row in outcome:
        name = METHODS.get(row["method"], row["method"])
        lines.append(
            f"  {row['target']:<20} {name:<16} {row['arms']:>5} {row['regret@1']:>9.1%} {row['regret@3']:>9.1%} "
            f"{row['ndcg']:>6.2f}"
        )
    return [*lines, *wrap(_verdict(outcome), "  ")]


def _verdict(outcome: Sequence[dict[str, Any]]) -> str:
    means = {
        method: float(np.mean([row["regret@3"] for row in outcome if row["method"] == method]))
        for method in dict.fromkeys(row["method"] for row in outcome)
    }
    shown = ", ".join(f"{METHODS.get(method, method)} {mean:.1%}" for method, mean in means.items())
    worse = [METHODS[m] for m in means if m not in ("chance", "elsewhere") and means[m] >= means["chance"]]
    warning = f" {' and '.join(worse)}: no better than picking at random here." if worse else ""
    return f"Mean regret@3: {shown}.{warning} The grid's scores have noise of their own, which regret counts too."
