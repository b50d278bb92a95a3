from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.inference import holm


def test_steps_down_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_tests_that_were_not_made_are_no_members() -> None:
    adjusted = holm([0.02, float("nan"), 0.6])
    assert adjusted[[0, 2]].tolist() == pytest.approx([0.04, 0.6])
    assert np.isnan(adjusted[1])


def test_never_above_one() -> None:
    assert holm([0.7, 0.9]).tolist() == [1.0, 1.0]
