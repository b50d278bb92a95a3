from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from raystilts.errors import UserError
from raystilts.ranking.intervals import decompose, gain_variance

from .t_intervals import gain_intervals

NAN = float("nan")


def table(seed: int, arms: int = 6, seeds: int = 4, missing: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(arms, 1)) + rng.normal(size=(arms, seeds)) + rng.normal(size=seeds)
    scores[rng.random(scores.shape) < missing] = NAN
    return scores


def test_balanced_table_by_hand() -> None:
    fit = decompose([[1.0, 2.0], [3.0, 6.0]])
    assert fit.effects.tolist() == [1.5, 4.5]
    assert fit.seed_effects.tolist() == [-1.0, 1.0]
    assert (fit.df, fit.variance) == (1, 1.0)  # residuals are .5 everywhere
    assert fit.variances.tolist() == [0.5, 0.5]


def test_two_arms_give_the_paired_t_interval() -> None:
    scores = table(1, arms=2, seeds=5)
    difference = scores[1] - scores[0]
    expected = stats.ttest_1samp(difference, 0.0).confidence_interval(0.95)
    interval = gain_intervals(scores)[1]
    assert interval.gain == pytest.approx(difference.mean())
    assert interval.low == pytest.approx(expected.low)
    assert interval.high == pytest.approx(expected.high)


def test_incomplete_table_equals_a_regression() -> None:
    scores = table(2, missing=0.2)
    fit = decompose(scores)
    rows, columns = np.nonzero(~np.isnan(scores))
    design = np.zeros((len(rows), 6 + 4))
    design[np.arange(len(rows)), rows] = 1.0
    design[np.arange(len(rows)), 6 + columns] = 1.0
    answer, _, rank, _ = np.linalg.lstsq(design, scores[rows, columns])
    residual = scores[rows, columns] - design @ answer
    assert fit.df == len(rows) - rank
    assert fit.variance == pytest.approx(residual @ residual / fit.df)
    assert fit.effects - fit.effects[0] == pytest.approx(answer[:6] - answer[0])
    inverse = np.linalg.pinv(design.T @ design)
    share = inverse[2, 2] + inverse[0, 0] - 2 * inverse[2, 0]
    assert gain_variance(fit, 2) == pytest.approx((share * fit.variance, fit.df))


def test_reference_iteration_converges_to_the_same_effects() -> None:
    scores = table(3, missing=0.15)
    b = np.zeros(4)
    for _ in range(200):
        a = np.nanmean(scores - b, axis=1)
        b = np.nanmean(scores - a[:, None], axis=0)
        b -= b.mean()
    assert decompose(scores).effects == pytest.approx(np.nanmean(scores - b, axis=1))


def test_one_seed_has_a_gain_and_says_why_no_interval() -> None:
    interval = gain_intervals([[0.5], [0.6]])[1]
    assert interval.gain == pytest.approx(0.1)
    assert interval.low is None
    assert interval.high is None
    assert interval.note is not None
    assert "no repeated seeds" in interval.note


def test_no_baseline_has_no_gain() -> None:
    interval = gain_intervals([[NAN, NAN], [0.6, 0.7], [0.5, 0.4]])[1]
    assert (interval.gain, interval.low, interval.runs) == (None, None, 2)
    assert interval.note == "gain unavailable: none has no run"


def test_arm_without_a_run() -> None:
    interval = gain_intervals([[0.1, 0.2], [NAN, NAN], [0.5, 0.4]])[1]
    assert (interval.gain, interval.runs, interval.note) == (None, 0, "no finished run")


def test_zero_variance_gives_a_point() -> None:
    interval = gain_intervals([[0.1, 0.3], [0.2, 0.4], [0.6, 0.8]])[2]
    assert interval.gain == pytest.approx(0.5)
    assert interval.low == interval.high == interval.gain


def test_deterministic_scores_need_no_second_seed() -> None:
    interval = gain_intervals([[0.1], [0.4]], deterministic=[True, True])[1]
    assert (interval.low, interval.high) == pytest.approx((0.3, 0.3))


def test_deterministic_baseline_adds_the_seed_shift() -> None:
    scores = np.array([[0.0] * 4, [1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]])
    fit = decompose(scores, deterministic=[True, False, False])
    assert fit.variance == 0.0
    assert fit.seed_variance == pytest.approx(5.0 / 3.0)
    interval = gain_intervals(scores, deterministic=[True, False, False])[1]
    expected = stats.ttest_1samp(scores[1], 0.0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_independent_baseline_seeds_are_wider_than_shared_ones() -> None:
    scores = table(4) + 5.0 * np.array([0.0, 3.0, 1.0, 2.0])
    apart = np.full((6, 8), NAN)
    apart[1:, :4] = scores[1:]
    apart[0, 4:] = scores[0]
    shared, split = gain_intervals(scores)[1], gain_intervals(apart)[1]
    assert decompose(apart).split
    assert shared.high is not None
    assert shared.low is not None
    assert split.high is not None
    assert split.low is not None
    assert split.high - split.low > 2.0 * (shared.high - shared.low)


def test_deterministic_scores_that_differ_are_refused() -> None:
    with pytest.raises(UserError, match=r"arm 0 is marked deterministic.*0\.1 to 0\.2"):
        decompose([[0.1, 0.2]], deterministic=[True])


@pytest.mark.parametrize("scores", [[1.0, 2.0], np.zeros((0, 3)), [[float("inf")]]])
def test_bad_tables_are_refused(scores: object) -> None:
    with pytest.raises(UserError, match="scores"):
        decompose(scores)  # type: ignore[arg-type]


def test_an_empty_stratum_is_answered() -> None:
    fit = decompose(np.full((3, 2), NAN))
    assert not fit.present.any()
    assert fit.df <= 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), missing=st.sampled_from([0.0, 0.2, 0.5]))
def test_order_and_seed_shifts_do_not_matter(seed: int, missing: float) -> None:
    scores = table(seed, missing=missing)
    rng = np.random.default_rng(seed)
    order = np.concatenate([[0], 1 + rng.permutation(5)])
    shifted = (scores + rng.normal(size=4))[order]
    for old, new in zip(
        np.array(gain_intervals(scores))[order], gain_intervals(shifted), strict=True
    ):
        if not decompose(scores).split:
            assert (new.gain, new.low, new.high) == pytest.approx((old.gain, old.low, old.high))


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_parts_are_found_as_by_a_graph_library(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random((6, 5)) < 0.3, rng.normal(size=(6, 5)), np.nan)
    fit = decompose(scores)
    rows, columns = np.nonzero(~np.isnan(scores))
    graph = csr_array((np.ones(len(rows)), (rows, columns + 6)), shape=(11, 11))
    _, expected = connected_components(graph, directed=False)
    seen = np.flatnonzero(fit.present)
    assert fit.paired or (np.isfinite(scores).sum(axis=0) <= 1).all()
    for i in seen if fit.paired else ():
        assert ((fit.parts[seen] == fit.parts[i]) == (expected[seen] == expected[i])).all()
    assert len(fit.part_seeds) == (len(set(expected[seen])) if fit.paired else 1)
