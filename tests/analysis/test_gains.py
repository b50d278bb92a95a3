from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.gains import family_size, language_gains
from raystilts.analysis.inference import holm
from raystilts.ranking.contrasts import Contrasts

from .strata import never, stratum

LANGUAGES = ("ar", "de", "en", "zh")


@pytest.fixture
def scores() -> np.ndarray:
    rng = np.random.default_rng(0)
    table = 0.6 + rng.normal(0, 0.01, (3, 4, 4)) + rng.normal(0, 0.05, (1, 4, 1))
    table[1, :, 2] += 0.2  # mnli helps English alone
    return table


def test_each_language_is_its_own_blocked_table(scores: np.ndarray) -> None:
    one = stratum([("none", None), ("mnli", 1.0), ("squad", 1.0)], scores, LANGUAGES)
    found = language_gains(one, never)
    assert [(g.intermediate, g.language) for g in found] == [
        (arm, language) for arm in ("mnli", "squad") for language in (None, *LANGUAGES)
    ]
    for g in found:
        table = scores.mean(axis=2) if g.language is None else scores[:, :, LANGUAGES.index(g.language)]
        expected = Contrasts(table[None]).difference([1 if g.intermediate == "mnli" else 2], [0], [1.0])
        assert (g.gain, g.low, g.high) == pytest.approx((expected.value, expected.low, expected.high))
        assert (g.runs, g.shared_seeds) == (4, 4)


def test_the_family_is_every_arm_in_every_language_of_the_target(scores: np.ndarray) -> None:
    found = language_gains(stratum([("none", None), ("mnli", 1.0), ("squad", 1.0)], scores, LANGUAGES), never)
    members = [g for g in found if g.language is not None]
    assert family_size(found) == len(members) == 8
    assert [g.p_holm for g in members] == pytest.approx(holm([g.p or 0.0 for g in members]).tolist())
    assert [g.language for g in members if (g.p_holm or 1) < 0.05] == ["en"]
    for g in members:
        assert g.joint_low is not None
        assert g.low is not None
        assert g.joint_low < g.low
    assert [g.p_holm for g in found if g.language is None] == [None, None]


def test_one_language_is_tested_itself(scores: np.ndarray) -> None:
    found = language_gains(stratum([("none", None), ("mnli", 1.0)], scores[:2, :, 2:3], ("en",)), never)
    assert [(g.language, g.p_holm == g.p) for g in found] == [("en", True)]


def test_one_seed_gives_gains_without_intervals(scores: np.ndarray) -> None:
    found = language_gains(stratum([("none", None), ("mnli", 1.0)], scores[:2, :1], LANGUAGES), never)
    assert {(g.low, g.p, g.p_holm, g.joint_low) for g in found} == {(None, None, None, None)}
    assert found[3].gain == pytest.approx(scores[1, 0, 2] - scores[0, 0, 2])


def test_seeds_of_its_own_widen_the_intervals_of_none(scores: np.ndarray) -> None:
    apart = np.full((2, 8, 4), np.nan)
    apart[0, 4:], apart[1, :4] = scores[0], scores[1]
    arms = [("none", None), ("mnli", 1.0)]
    paired = language_gains(stratum(arms, scores[:2], LANGUAGES), never)
    [mean, *_] = language_gains(stratum([*arms, ("squad", 1.0)], np.concatenate([apart, apart[1:]]), LANGUAGES), never)
    assert mean.shared_seeds == 0
    assert mean.high is not None
    assert paired[0].high is not None
    assert mean.high - mean.gain > paired[0].high - paired[0].gain


def test_overlap_and_fractions() -> None:
    scores = np.random.default_rng(1).normal(0.5, 0.01, (4, 3, 2))
    one = stratum([("none", None), ("mnli", 0.1), ("mnli", 1.0), ("squad", 1.0)], scores)
    found = language_gains(one, lambda arm, target: arm == "mnli", fraction=1.0)
    assert {(g.intermediate, g.intermediate_fraction, g.overlap) for g in found} == {
        ("mnli", 1.0, True),
        ("squad", 1.0, False),
    }


def test_nothing_without_a_baseline() -> None:
    scores = np.random.default_rng(1).normal(0.5, 0.01, (2, 3, 2))
    scores[0] = np.nan
    assert language_gains(stratum([("none", None), ("mnli", 1.0)], scores), never) == []
