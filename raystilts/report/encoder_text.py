"""Encoders beside each other, as text for a terminal of 80 columns and more."""

from __future__ import annotations

from collections.abc import Sequence

from raystilts.analysis.encoders import Against, EncoderComparison
from raystilts.analysis.presentation import count, wrap


def comparison_text(found: Sequence[EncoderComparison]) -> str:
    """The encoders of each target, and what is told apart."""
    first = found[0].encoders[0].encoder
    lines = wrap(
        f"encoders beside {first}: mean scores x 100 on test; in brackets the difference from {first} with half of its "
        "95 % interval"
    )
    for one in found:
        where = one.languages[0] if len(one.languages) == 1 else f"mean of {len(one.languages)} languages"
        lines += ["", f"{one.target} ({one.metric}, {where}; {count(one.seeds, 'seed')})"]
        lines += [_row("encoder", "none", "best arm", f"mean of {count(len(one.arms), 'arm')}")]
        for encoder in one.encoders:
            best = _cell(encoder.best) + (f" {encoder.best.arm}" if encoder.best.arm else "")
            cells = _cell(encoder.none), best, _cell(encoder.mean)
            lines += _rows(encoder.encoder, cells)
    lines += ["", "* the interval excludes zero; runs are paired by arm and seed"]
    return "\n".join([*lines, *_summary(found)]) + "\n"


_NAME, _CELL = 18, 18


def _row(name: str, *cells: str) -> str:
    return f"  {name:<{_NAME}}  {cells[0]:<{_CELL}}  {cells[2]:<{_CELL}}  {cells[1]}".rstrip()


def _rows(name: str, cells: tuple[str, str, str]) -> list[str]:
    """A row; a long name has a line of its own."""
    return [_row(name, *cells)] if len(name) <= _NAME else [f"  {name}", _row("", *cells)]


def _cell(one: Against) -> str:
    """A score, and the difference in brackets."""
    if one.score is None:
        return "-"
    text = f"{100 * one.score:.1f}"
    if one.gap is None:
        return text
    half = "" if one.low is None or one.high is None else f"±{50 * (one.high - one.low):.1f}"
    return f"{text} ({100 * one.gap:+.1f}{half}{'*' if one.certain else ''})"


def _summary(found: Sequence[EncoderComparison]) -> list[str]:
    """Where each encoder is told apart from the first, with the arm that is chosen for each."""
    first = found[0].encoders[0].encoder
    lines = []
    for name in dict.fromkeys(one.encoder for comparison in found for one in comparison.encoders[1:]):
        mine = [one.best for comparison in found for one in comparison.encoders if one.encoder == name]
        ahead = sum(one.certain and (one.gap or 0.0) > 0 for one in mine)
        behind = sum(one.certain and (one.gap or 0.0) < 0 for one in mine)
        lines += wrap(
            f"{name}, each with its best arm: above {first} on {ahead}, below on {behind}, not told apart on "
            f"{len(mine) - ahead - behind} of {count(len(mine), 'target')}"
        )
    return lines
