"""Colours of gains: orange is a loss, blue a gain, pale where the interval includes zero.

Blue against orange stays apart for all common kinds of colour blindness; every cell prints its number and sign as
well. Colours are mixed in OKLab (Ottosson 2020), so that steps look even. Ink is black or white, whichever has the
higher contrast by WCAG 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
