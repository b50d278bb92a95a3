"""Weights along a training are its sizes: the same curve that fractions of the same gains would have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raystilts.analysis.along_training import along_training, asks_for_steps
from raystilts.analysis.intermediate_size import size_curves
from raystilts.errors import UserError
from raystilts.study.schema import Study

from .strata import never, stratum


def study(**changes: Any) -> Study:
    fields: dict[str, Any] = {"name": "s", "intermediates": ["none", "mnli", "squad"], "targets": ["pawsx"],
                              "seeds": [0, 1, 2]}  # fmt: skip
    return Study.model_validate(fields | changes)


def size_of(name: str, fraction: float) -> float:
    return {"mnli": 1000.0, "squad": 4000.0}[name] * fraction


def test_the_curve_is_that_of_the_same_gains_at_fractions() -> None:
    table = np.random.default_rng(0).normal(0.6, 0.02, (5, 3, 2))
    names = ("mnli_at_0.25", "mnli_at_0.5", "mnli")
    along = stratum([("none", None), *((name, 1.0) for name in names), ("squad", 1.0)], table)
    [by_step] = along_training([along], study(intermediate_steps=[0.25, 0.5]))
    [curve] = size_curves([by_step], [None], size_of, never)
    shares = [("mnli", share) for share in (0.25, 0.5, 1.0)]
    [same] = size_curves([stratum([("none", None), *shares], table[:4])], [None], size_of, never)
    assert [point.size for point in curve.points] == [250, 500, 1000]
    assert [point.gain for point in curve.points] == pytest.approx([point.gain for point in same.points])
    assert curve.intermediate == "mnli"


def test_fractions_that_are_not_compared_are_left_out() -> None:
    table = np.full((4, 3, 2), 0.5)
    arms = [("none", None), ("mnli", 0.5), ("mnli", 1.0), ("mnli_at_0.5", 1.0)]
    [found] = along_training([stratum(arms, table)], study(intermediate_steps=[0.5], intermediate_fractions=[0.5, 1.0]))
    assert sorted(arm[:2] for arm in found.arms[1:]) == [("mnli", 0.5), ("mnli", 1.0)]


def test_what_the_study_has_is_taken() -> None:
    steps, both = study(intermediate_steps=[0.5]), study(intermediate_steps=[0.5], intermediate_fractions=[0.5, 1.0])
    assert [asks_for_steps(one, None) for one in (None, study(), steps, both)] == [False, False, True, False]
    assert asks_for_steps(both, True)
    assert not asks_for_steps(steps, False)
    with pytest.raises(UserError, match="no arms along its trainings"):
        asks_for_steps(study(), True)
