"""What early stopping decided for one target, round by round."""

from __future__ import annotations

import json

import pandas as pd

from raystilts.report.arms import TargetAnswer
from raystilts.report.html.formats import count, listed, part, score
from raystilts.report.html.markup import Markup, tag


def decisions_part(frame: pd.DataFrame, answer: TargetAnswer) -> Markup | None:
    """One sentence a round; None where nothing was decided.

    Args:
        frame: `Results.decisions`.
        answer: The target.
    """
    fractions = frame["target_fraction"]
    same = fractions.isna() if answer.target_fraction is None else fractions == answer.target_fraction
    rounds = frame[(frame["target"] == answer.target) & same]
    if not len(rounds):
        return None
    columns = ("rule", "round", "share", "arms_kept", "arms_dropped", "scores")
    said = [_sentence(*row) for row in zip(*(rounds[name] for name in columns), strict=True)]
    return tag("div", tag("h4", "Early stopping"), tag("ul", [tag("li", one) for one in said], class_="plain"))


def _sentence(rule: str, number: int, share: float | None, kept: str, dropped: str, scores: str) -> str:
    """A round in words: where it was, who stopped, how many went on; with the dev scores that were compared."""
    where = f"at {part(share)} of training" if pd.notna(share) and share is not None and share < 1 else ""
    values: dict[str, float | None] = json.loads(scores or "{}")
    stopped = [f"{arm} ({score(values[arm])})" if arm in values else arm for arm in json.loads(dropped)]
    went_on = json.loads(kept)
    best = max((values[arm] or 0.0 for arm in went_on if arm in values), default=None)
    ahead = f"{count(len(went_on), 'arm')} went on{'' if best is None else f', the best at {score(best)}'}"
    what = f"{listed(stopped)} stopped; {ahead}" if stopped else f"none stopped; {ahead}"
    return f"{rule}, round {number}{f', {where}' if where else ''}: {what}."
