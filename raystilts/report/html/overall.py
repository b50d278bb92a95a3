"""The arms over all targets: by mean rank, and by gain in units of each target. Points are never averaged."""

from __future__ import annotations

from raystilts.report.html.formats import MINUS, NOTHING, listed, probability
from raystilts.report.html.gather import ReportData
from raystilts.report.html.markup import Markup, breakable, tag
from raystilts.report.html.tables import table
from raystilts.report.overall import ArmOverall, OverallAnswer


def overall_part(data: ReportData) -> Markup | None:
    """What is best on average over targets; None for one target, or where no arm competes in all of them."""
    found = data.overall
    if found is None or not found.by_rank or len(found.targets) < 2:
        return None
    notes = [tag("p", f"Note: {note}.", class_="note") for note in found.notes]
    more = tag("details", tag("summary", "All arms over all targets"), _table(found))
    return tag("div", tag("h3", "Over all targets"), tag("p", _words(found), class_="verdict"), notes, more,
               class_="overall")  # fmt: skip


def _words(found: OverallAnswer) -> str:
    rank = _named(found.by_rank, "the lowest mean rank", "have a mean rank that is not told apart from the lowest")
    if not found.by_gain:
        return f"{rank}."
    if set(found.by_gain) == set(found.by_rank):
        return f"{rank}; by gain in units of each target the answer is the same."
    gain = _named(found.by_gain, "the highest gain", "are not told apart")
    return f"{rank}. By gain in units of each target: {gain}."


def _named(names: tuple[str, ...], one: str, several: str) -> str:
    return f"{names[0]} has {one}" if len(names) == 1 else f"{listed(names)} {several}"


def _table(found: OverallAnswer) -> Markup:
    heads = ["arm", "mean rank", "95 % interval", "P(lowest)", "gain, scaled", "95 % interval", "P(highest)"]
    head = tag("tr", [tag("th", h, scope="col", class_=None if h == "arm" else "number") for h in heads])
    body = [_row(arm) for arm in found.arms if arm.competes]
    caption = f"Arms that compete in each of {listed(found.targets)}; 1 is the best rank"
    return table(caption, head, body)


def _row(arm: ArmOverall) -> Markup:
    best = tag("b", "●", class_="best", title="not told apart from the best") if arm.in_rank_set else None
    gain = (arm.scaled_gain, arm.scaled_low, arm.scaled_high)
    baseline = arm.intermediate == "none"
    cells = [
        _number(arm.mean_rank),
        _range(arm.rank_low, arm.rank_high),
        probability(arm.p_best_rank),
        "baseline" if baseline else _signed(gain[0]),
        "" if baseline else _range(gain[1], gain[2]),
        probability(arm.p_best_gain),
    ]
    return tag("tr", tag("th", best, breakable(arm.label), scope="row"), [tag("td", c, class_="number") for c in cells])


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}".replace("-", MINUS)


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.2f}".replace("-", MINUS)


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"
