from __future__ import annotations

import numpy as np
import pytest

from raystilts.errors import UserError
from raystilts.ranking.overall import align, rank_overall, target_scale
from raystilts.ranking.posterior import Posterior, rank_arms

from .entries import entries

NAN = float("nan")


def exact(*values: float) -> Posterior:
    return rank_arms(np.array(values)[:, None], deterministic=[True] * len(values))


def test_mean_ranks_and_scaled_gains_by_hand() -> None:
    # scales: sd of (1, 3) is sqrt 2; of (40, 20) is 10 sqrt 2
    answer = rank_overall([exact(0.0, 1.0, 3.0), exact(0.0, 40.0, 20.0)])
    assert answer.scales == pytest.approx((2.0**0.5, 200.0**0.5))
    assert [arm.mean_rank for arm in answer.arms] == [3.0, 1.5, 1.5]
    assert [arm.p_best_rank for arm in answer.arms] == [0.0, 0.5, 0.5]
    expected = [0.0, (1.0 + 4.0) / 8.0**0.5, (3.0 + 2.0) / 8.0**0.5]
    assert [arm.scaled_gain for arm in answer.arms] == pytest.approx(expected)
    assert set(answer.rank_set) == {1, 2}


def test_the_two_criteria_may_differ() -> None:
    targets = [exact(0.0, 1.0, 2.0, 1.5), exact(0.0, 1.0, 2.0, 1.5), exact(0.0, 50.0, 1.0, 1.5)]
    answer = rank_overall(targets)
    assert answer.rank_set == (2,)
    assert answer.arms[1].scaled_gain == pytest.approx(
        np.mean([1.0 / 0.5, 1.0 / 0.5, 50.0 / target_scale(targets[2])])
    )


def test_many_uncertain_targets_are_surer_than_one() -> None:
    rng = np.random.default_rng(0)
    effects = np.array([0.0, 0.0, 0.0, 1.0, 0.0])[:, None]
    targets = [rank_arms(effects + rng.normal(size=(5, 3)), stream=str(k)) for k in range(12)]
    answer = rank_overall(targets)
    p_all = answer.arms[3].p_best_rank
    p_one = [entries(target)[3].p_best or 0.0 for target in targets]
    assert p_all is not None
    assert p_all > np.mean(p_one) + 0.1
    assert sum(arm.p_best_rank or 0.0 for arm in answer.arms) == pytest.approx(1.0)


def test_targets_of_one_shape_are_not_drawn_in_step() -> None:
    # equal tables have equal draws: drawn in step, two targets would be as unsure as one
    target = rank_arms(np.random.default_rng(1).normal(size=(5, 4)))
    single, double = rank_overall([target]), rank_overall([target] * 8)
    widths = []
    for arm in (single.arms[1], double.arms[1]):
        assert arm.scaled_high is not None
        assert arm.scaled_low is not None
        widths.append(arm.scaled_high - arm.scaled_low)
    assert widths[1] == pytest.approx(widths[0] / 8**0.5, rel=0.15)


def test_units_of_a_target_do_not_matter() -> None:
    scores = np.random.default_rng(2).normal(size=(5, 4))
    other = rank_arms(np.random.default_rng(3).normal(size=(5, 4)))
    small = rank_overall([rank_arms(scores), other])
    large = rank_overall([rank_arms(100.0 * scores), other])
    for a, b in zip(small.arms, large.arms, strict=True):
        assert (a.scaled_gain, a.mean_rank) == pytest.approx((b.scaled_gain, b.mean_rank))


def test_arms_absent_from_a_target_do_not_compete() -> None:
    answer = rank_overall([exact(0.0, 1.0, 3.0), exact(0.0, 1.0, NAN)])
    assert answer.arms[2].p_best_rank is None
    assert (answer.arms[2].targets, answer.rank_set) == (1, (1,))
    assert answer.notes[0].startswith("1 arms do not compete: in half of the targets or fewer")


def test_arms_without_self_transfer_are_compared_on_shared_targets() -> None:
    # arms 1 to 4 are the tasks of targets 1 to 4 themselves; arm 2 is best wherever it was run
    rows = [
        exact(0.0, NAN, 3.0, 1.0, 2.0),
        exact(0.0, 1.0, NAN, 3.0, 2.0),
        exact(0.0, 1.0, 3.0, NAN, 2.0),
        exact(0.0, 1.0, 3.0, 2.0, NAN),
    ]
    answer = rank_overall(rows)
    # above arm 2: nothing. above arm 4: arm 2 in 2 of 2, arm 3 in 1 of 2. above none: all, always
    assert answer.arms[2].mean_rank == 1.0
    assert answer.arms[4].mean_rank == 1.0 + 1.0 + 0.5
    assert answer.arms[0].mean_rank == 5.0
    assert answer.rank_set == (2,)
    assert answer.shared == (2, 3)
    assert answer.notes == ("two arms are compared on the targets that both have: 2 to 3 of 4",)


def test_an_arm_that_lacks_the_easy_targets_is_not_worse_for_it() -> None:
    # gains add up: arm + target. Arm 2 was run on the three hard targets only
    arms, targets = np.array([0.0, 1.0, 2.0, 1.5]), np.array([50.0, 10.0, 12.0, 14.0])
    table = arms + targets[:, None]
    table[0, 2] = NAN
    answer = rank_overall([exact(*row) for row in table])
    scale = np.std(arms[1:], ddof=1)
    assert answer.scales[1:] == pytest.approx([scale] * 3)
    fitted = [arm.scaled_gain for arm in answer.arms]
    assert fitted[2] == pytest.approx(2.0 / scale, rel=0.1)
    assert answer.rank_set == answer.gain_set == (2,)


def test_targets_that_are_not_learnt_are_left_out() -> None:
    flat = rank_arms(np.random.default_rng(0).normal(size=(3, 3)), learnt=False)
    answer = rank_overall([flat, exact(0.0, 1.0, 2.0)])
    assert (answer.used, answer.left_out, answer.rank_set) == ((1,), (0,), (2,))
    assert answer.notes == ("1 targets left out: not learnt",)


def test_no_baseline_has_no_scaled_gain_but_an_order() -> None:
    answer = rank_overall([exact(NAN, 1.0, 3.0)])
    assert answer.arms[2].scaled_gain is None
    assert answer.arms[2].p_best_gain == 1.0


def test_undetermined_targets_are_left_out_and_named() -> None:
    answer = rank_overall([rank_arms([[0.0], [1.0]]), exact(0.0, 1.0)])
    assert (answer.used, answer.left_out) == ((1,), (0,))
    nothing = rank_overall([rank_arms([[0.0], [1.0]])])
    assert (nothing.rank_set, nothing.arms[0].mean_rank) == ((), None)


def test_ranks_from_one_split_and_gains_from_another() -> None:
    dev = [exact(0.0, 1.0, 3.0), exact(0.0, 40.0, 20.0)]
    test = [exact(0.0, 5.0, 3.0), exact(0.0, 40.0, 50.0)]
    answer = rank_overall(dev, test)
    assert [arm.mean_rank for arm in answer.arms] == [arm.mean_rank for arm in rank_overall(dev).arms]
    assert [arm.scaled_gain for arm in answer.arms] == [arm.scaled_gain for arm in rank_overall(test).arms]
    assert answer.scales == rank_overall(test).scales


def test_aligned_targets_of_different_arms() -> None:
    first, second = exact(0.0, 1.0, 3.0), exact(0.0, 20.0)  # the second has none and the last arm
    answer = rank_overall([first, align(second, [0, None, 1])])
    assert [arm.targets for arm in answer.arms] == [2, 1, 2]
    assert [arm.mean_rank for arm in answer.arms] == [2.0, None, 1.0]
    assert answer.rank_set == (2,)
    turned = align(first, [0, 2, 1])
    assert turned.fit.effects.tolist() == [0.0, 3.0, 1.0]
    assert (turned.leader, turned.best_set) == (1, (1,))


def test_bad_input() -> None:
    with pytest.raises(UserError, match="targets is empty"):
        rank_overall([])
    with pytest.raises(UserError, match=r"\[2, 3\] arms"):
        rank_overall([exact(0.0, 1.0), exact(0.0, 1.0, 2.0)])
