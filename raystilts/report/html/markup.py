"""HTML and SVG from Python values: everything is escaped unless it is markup already.

Tables that scroll by themselves where they are wider than the page.

Numbers as people read them: points, probabilities, shares, times.

Colours of gains: orange is a loss, blue a gain, pale where the interval includes zero.

Blue against orange stays apart for all common kinds of colour blindness; every cell prints its number and sign as
well. Colours are mixed in OKLab (Ottosson 2020), so that steps look even. Ink is black or white, whichever has the
higher contrast by WCAG 2.2.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

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


def listed(names: list[str] | tuple[str, ...], word: str = "and") -> str:
    """Names in a sentence: ``a, b and c``."""
    return names[0] if len(names) == 1 else f" {word} ".join([", ".join(names[:-1]), names[-1]]) if names else ""


#: A cell's level is the number of these (points, as shares of 1) that the size of its gain reaches.
THRESHOLDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
#: How much of its colour a cell keeps whose interval includes zero.
UNCERTAIN = 0.34

_TO_LMS = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Theme:
    """Three colours that all cells are mixed from, and the two inks."""

    loss: str
    neutral: str
    gain: str
    dark_ink: str
    light_ink: str


LIGHT = Theme(loss="#b45309", neutral="#f4f3ef", gain="#155199", dark_ink="#101317", light_ink="#ffffff")
DARK = Theme(loss="#f09a4a", neutral="#262b33", gain="#66b0f5", dark_ink="#0d1013", light_ink="#f2f4f7")


def level(gain: float) -> int:
    """The step of a gain (0 to 1) on the scale: -6 to 6."""
    size = sum(abs(gain) >= threshold - 1e-12 for threshold in THRESHOLDS)
    return size if gain > 0 else -size


def cell_class(gain: float, certain: bool) -> str:
    """The CSS classes of a gain's cell, as `css_variables` and `css_rules` define them."""
    step = level(gain)
    name = "z" if step == 0 else f"{'p' if step > 0 else 'n'}{abs(step)}"
    return name if certain else f"{name} u"


def colour(theme: Theme, step: int, certain: bool) -> str:
    """The background of a level as ``#rrggbb``."""
    strength = abs(step) / len(THRESHOLDS) * (1.0 if certain else UNCERTAIN)
    return mix(theme.neutral, theme.gain if step > 0 else theme.loss, strength)


def ink(theme: Theme, background: str) -> str:
    """The theme's ink with the higher contrast on a background."""
    return max(theme.dark_ink, theme.light_ink, key=lambda one: contrast(one, background))


def mix(first: str, second: str, weight: float) -> str:
    """A colour between two, in OKLab; `weight` 0 is the first."""
    lab = (1 - weight) * _lab(first) + weight * _lab(second)
    linear = np.linalg.solve(_TO_LMS, np.linalg.solve(_TO_LAB, lab) ** 3).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * float(value)):02x}" for value in encoded)


def linear_rgb(colour: str) -> NDArray[np.float64]:
    """Linear light of ``#rrggbb``, three values from 0 to 1."""
    encoded = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours by WCAG 2.2, 1 to 21."""
    light = sorted(float(linear_rgb(c) @ np.array([0.2126, 0.7152, 0.0722])) for c in (first, second))
    return (light[1] + 0.05) / (light[0] + 0.05)


def css_variables(theme: Theme) -> str:
    """Background and ink of every level, certain and not, as CSS variables."""
    found = []
    for step in range(-len(THRESHOLDS), len(THRESHOLDS) + 1):
        for certain in (True, False):
            name = cell_class(_example(step), certain).replace(" ", "")
            background = colour(theme, step, certain)
            found.append(f"--{name}:{background};--{name}i:{ink(theme, background)}")
    return ";".join(found)


def css_rules() -> str:
    """The rules that give cells of each class their colours."""
    names = {cell_class(_example(step), True) for step in range(-len(THRESHOLDS), len(THRESHOLDS) + 1)}
    return "".join(
        f".{name}{'.u' * unsure}{{background:var(--{name}{'u' * unsure});color:var(--{name}{'u' * unsure}i)}}"
        for name in sorted(names)
        for unsure in (0, 1)
    )


def _example(step: int) -> float:
    """Some gain of a level."""
    return 0.0 if step == 0 else THRESHOLDS[abs(step) - 1] * (1.1 if step > 0 else -1.1)


def _lab(colour: str) -> NDArray[np.float64]:
    lab: NDArray[np.float64] = _TO_LAB @ np.cbrt(_TO_LMS @ linear_rgb(colour))
    return lab
