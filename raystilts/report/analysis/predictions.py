"""The answer of `predict`: rankings before training, and how good they were where the grid is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from raystilts.analysis.regret import ndcg, random_regret_at, regret_at
from raystilts.analysis.transferability import Prediction
from raystilts.report.analysis.table_rows import Row
from raystilts.report.answers import Results
from raystilts.report.notes import overlaps
from raystilts.report.tables import wrap
from raystilts.results.filesystem import open_folder
from raystilts.study.folders import results_folder
from raystilts.study.schema import Study

#: Rankings that are compared with the grid; the last is the mean rank on the study's other targets.
METHODS = {"logme": "LogME", "h_score": "H-score", "elsewhere": "best elsewhere"}
KS = (1, 3)


def prediction_rows(found: Sequence[Prediction]) -> list[Row]:
    """A row a target and arm, best LogME first within a target."""
    order = {target: i for i, target in enumerate(dict.fromkeys(one.target for one in found))}
    return [asdict(one) for one in sorted(found, key=lambda one: (order[one.target], -one.logme))]


def scored_against(study: Study, found: Sequence[Prediction]) -> list[Row]:
    """Regret and NDCG of each ranking on each target whose grid is there; arms with the target's data are left out.

    Returns:
        Rows with target, method, regret@1 and @3 (of all arms, `none` among them), ndcg, and what chance gives.
    """
    folder = open_folder(results_folder(study))
    if not folder.exists():
        return []
    table = _outcomes(Results(folder), study)
    rows = []
    for target in dict.fromkeys(one.target for one in found):
        mine = [o for o in found if o.target == target and o.intermediate in table.get(target, {})]
        mine = [one for one in mine if not overlaps(one.intermediate, target, study)]
        if len(mine) < 3:
            continue
        outcome = [table[target][one.intermediate] for one in mine]
        for method in METHODS:
            values = [_elsewhere(table, target, one.intermediate) for one in mine]
            if method != "elsewhere":
                values = [float(getattr(one, method)) for one in mine]
            if np.isfinite(values).all():
                rows.append(_row(target, method, values, outcome))
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
    lines.append("Against the grid: share of the best score lost by running the first 1 or 3 alone")
    lines.append(f"  {'target':<20} {'ranking':<16} {'arms':>5} {'regret@1':>9} {'regret@3':>9} {'NDCG':>6}")
    for row in outcome:
        name = METHODS.get(row["method"], row["method"])
        lines.append(
            f"  {row['target']:<20} {name:<16} {row['arms']:>5} {row['regret@1']:>9.1%} {row['regret@3']:>9.1%} "
            f"{row['ndcg']:>6.2f}"
        )
    lines += wrap(_verdict(outcome), "  ")
    return "\n".join(lines) + "\n"


def _verdict(outcome: Sequence[dict[str, Any]]) -> str:
    means = {
        method: float(np.mean([row["regret@3"] for row in outcome if row["method"] == method]))
        for method in dict.fromkeys(row["method"] for row in outcome)
    }
    shown = ", ".join(f"{METHODS.get(method, method)} {mean:.1%}" for method, mean in means.items())
    worse = [METHODS[m] for m in ("logme", "h_score") if m in means and means[m] >= means["chance"]]
    warning = f" {' and '.join(worse)}: no better than picking at random here." if worse else ""
    return f"Mean regret@3: {shown}.{warning} The grid's scores have noise of their own, which regret counts too."
