"""The colours can be read and told apart, also by colour-blind people."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from raystilts.report.html import palette
from raystilts.report.html.palette import DARK, LIGHT, Theme

#: Full dichromacy, on linear RGB (Machado, Oliveira and Fernandes, IEEE TVCG 15, 2009).
DICHROMATS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
STEPS = range(-6, 7)
THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def lab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB of linear RGB."""
    ratio = TO_XYZ @ linear.clip(0, 1) / WHITE
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(first: str, second: str, seen_by: str | None) -> float:
    """CIE76 difference of two colours; 2.3 is just noticeable."""
    change = np.eye(3) if seen_by is None else np.array(DICHROMATS[seen_by])
    pair = [lab(change @ palette.linear_rgb(one)) for one in (first, second)]
    return float(np.linalg.norm(pair[0] - pair[1]))


@THEMES
@pytest.mark.parametrize("certain", [True, False])
def test_numbers_can_be_read_on_every_colour(theme: Theme, certain: bool) -> None:
    for step in STEPS:
        background = palette.colour(theme, step, certain)
        assert palette.contrast(palette.ink(theme, background), background) >= 4.5


@THEMES
@pytest.mark.parametrize("seen_by", [None, *DICHROMATS])
def test_gains_and_losses_differ_for_all_eyes(theme: Theme, seen_by: str | None) -> None:
    for step in range(1, 7):
        pair = palette.colour(theme, step, True), palette.colour(theme, -step, True)
        assert distance(*pair, seen_by) > 2.3 * (2 if step < 2 else 4)


@THEMES
@pytest.mark.parametrize("seen_by", [None, *DICHROMATS])
def test_steps_follow_one_another(theme: Theme, seen_by: str | None) -> None:
    colours = [palette.colour(theme, step, True) for step in STEPS]
    assert all(distance(a, b, seen_by) > 2.3 for a, b in pairwise(colours))
    zero = colours[6]
    for side in (colours[6:], colours[6::-1]):
        away = [distance(zero, one, seen_by) for one in side]
        assert away == sorted(away)


@THEMES
def test_uncertain_is_paler(theme: Theme) -> None:
    zero = palette.colour(theme, 0, True)
    for step in (-6, -3, 3, 6):
        pale, full = (distance(zero, palette.colour(theme, step, certain), None) for certain in (False, True))
        assert 0 < pale < 0.6 * full


@pytest.mark.parametrize(
    ("gain", "step"),
    [(0.0, 0), (0.0049, 0), (0.005, 1), (-0.005, -1), (0.0199, 2), (0.02, 3), (0.16, 6), (-0.9, -6)],
)
def test_levels(gain: float, step: int) -> None:
    assert palette.level(gain) == step


def test_classes_have_rules() -> None:
    rules, variables = palette.css_rules(), palette.css_variables(LIGHT)
    for gain in (-0.3, -0.01, 0.0, 0.05):
        for certain in (True, False):
            name = palette.cell_class(gain, certain).replace(" ", ".")
            assert f".{name}{{" in rules
            assert f"--{name.replace('.', '')}:#" in variables


def test_contrast_as_wcag_defines_it() -> None:
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert palette.mix("#123456", "#abcdef", 0.0) == "#123456"
    assert palette.mix("#123456", "#abcdef", 1.0) == "#abcdef"
