from __future__ import annotations

import pytest

from raystilts.analysis.presentation import listed
from raystilts.report.html.charts import Scale, spread, ticks
from raystilts.report.html.markup import (
    Markup,
    breakable,
    count,
    duration,
    half_width,
    interval,
    part,
    points,
    probability,
    tag,
)


def test_everything_is_escaped_once() -> None:
    inner = tag("b", "<&\">'", title='"<')
    assert inner == '<b title="&quot;&lt;">&lt;&amp;&quot;&gt;&#x27;</b>'
    assert tag("p", inner, [None, "a", 3]) == f"<p>{inner}a3</p>"
    assert tag("meta", charset="utf-8", hidden=True, title=None) == '<meta charset="utf-8" hidden>'
    assert tag("line", x1=1.25, class_="w", aria_label="n") == '<line x1="1.2" class="w" aria-label="n"></line>'
    assert tag("i", "\x00\x1b[0m") == "<i>\ufffd\ufffd[0m</i>"
    assert isinstance(inner, Markup)


def test_names_break_after_underscores() -> None:
    assert breakable("cldr_<b>_x") == "cldr_&lt;b&gt;_<wbr>x"
    assert breakable("mnli+squad 25%") == "mnli+<wbr>squad 25%"


def test_numbers() -> None:
    assert [points(v) for v in (0.0194, -0.31, 0.0, -0.0004, 0.0004, None)] == [
        "+1.9",
        "−31.0",
        "0.0",
        "0.0",
        "0.0",
        "–",
    ]
    assert (half_width(-0.01, 0.03), half_width(None, 0.1)) == ("±2.0", "")
    assert interval(-0.0123, 0.04) == "−1.2 to +4.0"
    assert [probability(p) for p in (0.0, 0.004, 0.005, 0.456, 0.995, 0.999, 1.0)] == [
        "<0.01", "<0.01", "0.01", "0.46", "0.99", ">0.99", ">0.99",
    ]  # fmt: skip
    assert [part(s) for s in (0.5, 1 / 3, 0.111111, 0.37, 1.0)] == ["1/2", "1/3", "1/9", "37 %", "100 %"]
    assert [duration(s) for s in (0, 59, 91, 7200, 400000)] == ["0 s", "59 s", "1.5 min", "2.0 h", "4.6 days"]
    assert (count(1, "run"), count(1200, "run"), count(2, "hash", "hashes")) == ("1 run", "1,200 runs", "2 hashes")
    assert [listed(n) for n in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 1.0, [0.0, 0.5, 1.0]), (-0.31, 0.02, [-0.3, -0.2, -0.1, 0.0]), (0.71, 0.74, [0.71, 0.72, 0.73, 0.74])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_scales() -> None:
    scale = Scale(0.0, 2.0, 100.0, 0.0)
    assert [scale(v) for v in (0.0, 0.5, 2.0, 9.0, -1.0)] == [100.0, 75.0, 0.0, 0.0, 100.0]
    assert spread([0.5, 0.5]) == pytest.approx((0.4888, 0.5112))
    assert spread([]) == pytest.approx((-0.06, 1.06))
    assert spread([0.0, float("nan"), 1.0], pad=0.0) == (0.0, 1.0)
