"""HTML and SVG from Python values, and numbers as people read them. Text is escaped unless it is markup already."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeAlias

#: Elements without content or end tag.
VOID = frozenset({"br", "hr", "meta", "link", "img", "input", "col", "wbr"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
Attribute: TypeAlias = str | int | float | bool | None


def escape(text: str) -> Markup:
    """Text as HTML, also inside attributes; characters that HTML forbids become the replacement character."""
    clean = "".join(c if c >= " " or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return Markup(html.escape(clean, quote=True))


def tag(name: str, *children: Child, **attributes: Attribute) -> Markup:
    """An element.

    Args:
        name: Its tag.
        children: Text (escaped), markup, lists of these; None is nothing.
        attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; True is an attribute without a value,
            None and False leave it out.
    """
    start = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{start}>")
    return Markup(f"<{start}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Children one after another, without an element around them."""
    return Markup("".join(_text(child) for child in children))


def breakable(name: str) -> Markup:
    """A name that a narrow column may break after its underscores and signs."""
    return Markup(re.sub(r"([_+@/.-])(?=\w)", r"\1<wbr>", escape(name)))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escape(child)
    if isinstance(child, int):
        return str(child)
    return "".join(_text(one) for one in child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = format(round(value, 1), "g") if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'


def table(caption: str, head: Markup, body: Sequence[Markup], **attributes: Attribute) -> Markup:
    """A table of data.

    Args:
        caption: What it shows; it stays in view when the table scrolls.
        head: The row of column headers.
        body: The rows, each with its own header.
        attributes: Of the table.
    """
    parts = (tag("caption", tag("span", caption)), tag("thead", head), tag("tbody", body))
    return tag(
        "div", tag("table", parts, **attributes), class_="scroll", tabindex="0", role="region", aria_label=caption
    )


MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


def points(value: float | None) -> str:
    """A difference of scores in points with its sign, ``+1.9``; a dash for None."""
    if value is None:
        return NOTHING
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def half_width(low: float | None, high: float | None) -> str:
    """Half of an interval's width in points, ``±3.8``; empty where there is no interval."""
    return "" if low is None or high is None else f"±{50 * (high - low):.1f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval in points in words, ``−1.9 to +5.7``."""
    return "" if low is None or high is None else f"{points(low)} to {points(high)}"


def score(value: float | None) -> str:
    """A score in points, ``52.3``."""
    return NOTHING if value is None else f"{100 * value:.1f}"


def probability(value: float | None) -> str:
    """A probability with two digits, never certainty, for it is counted in draws: ``<0.01``, ``>0.99``."""
    if value is None:
        return NOTHING
    return "<0.01" if value < 0.005 else ">0.99" if value > 0.995 else f"{value:.2f}"


def share(value: float) -> str:
    """A share of data as a percentage, ``12.5 %``."""
    return f"{100 * value:g} %"


def part(value: float) -> str:
    """A share of the budget as a fraction where it is a simple one: ``1/2``, ``2/3``, else ``37 %``."""
    simple = Fraction(value).limit_denominator(16)
    if abs(float(simple) - value) < 1e-3 and simple.denominator > 1:
        return f"{simple.numerator}/{simple.denominator}"
    return f"{100 * value:.0f} %"


def duration(seconds: float) -> str:
    """A time in the unit that suits it: ``41 s``, ``12.5 min``, ``3.2 h``, ``2.1 days``."""
    for unit, size in (("days", 2 * 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:,.1f} {unit}"
    return f"{seconds:.0f} s"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: ``1 seed``, ``1,200 runs``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
