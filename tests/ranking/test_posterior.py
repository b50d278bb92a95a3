from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.errors import UserError
from raystilts.ranking.advice import advise
from raystilts.ranking.draws import smallest_set
from raystilts.ranking.posterior import (
    NO_BASELINE,
    NO_REPEATS,
    NO_RUNS,
    NOT_LEARNT,
    Posterior,
    rank_arms,
)

from .entries import Entry, entries
from .t_intervals import gain_intervals

NAN = float("nan")
# residuals that sum to zero over rows and columns, with 3 seeds
PATTERN = np.array([[1.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])


def table(seed: int, arms: int = 7, seeds: int = 4, sigma: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 2.0 * rng.normal(size=(arms, 1)) + sigma * rng.normal(size=(arms, seeds))


def numbers(arm: Entry) -> list[float]:
    values = (arm.mean, arm.gain, arm.low, arm.high, arm.p_best, arm.regret)
    return [NAN if value is None else value for value in values]


def column(answer: Posterior, name: str) -> list[float]:
    return [getattr(arm, name) for arm in entries(answer)]


def test_same_table_same_bits() -> None:
    first, second = rank_arms(table(0)), rank_arms(table(0))
    assert entries(first) == entries(second)
    assert np.array_equal(first.draws, second.draws)
    assert not np.array_equal(first.draws, rank_arms(table(0), stream="other").draws)


def test_p_best_sums_to_one_and_the_set_reaches_the_mass() -> None:
    answer = rank_arms(table(1))
    p_best = np.array(column(answer, "p_best"))
    assert p_best.sum() == pytest.approx(1.0)
    assert p_best[list(answer.best_set)].sum() >= 0.95
    assert p_best[list(answer.best_set[:-1])].sum() < 0.95


def test_little_noise_leaves_gains_unshrunk() -> None:
    scores = np.array([0.0, 1.0, 4.0, 2.0])[:, None] + np.vstack([PATTERN, PATTERN[:1]]) * 1e-4
    answer = rank_arms(scores)
    assert column(answer, "gain") == pytest.approx([0.0, 1.0, 4.0, 2.0], abs=1e-3)
    assert column(answer, "p_best") == [0.0, 0.0, 1.0, 0.0]
    assert (answer.leader, answer.best_set) == (2, (2,))


def test_noise_alone_shrinks_the_arms_to_each_other() -> None:
    effects = np.linspace(-0.3, 0.3, 12)
    scores = np.concatenate([[0.0], effects])[:, None] + np.vstack([PATTERN] * 5)[:13] * 2.0
    answer = rank_arms(scores)
    gains = np.array(column(answer, "gain"))[1:]
    assert np.ptp(gains) < 0.35 * np.ptp(effects)
    assert np.corrcoef(gains, effects)[0, 1] > 0.85  # so strongly shrunk that the draws' own error is seen


def test_a_lone_good_arm_is_shrunk_less_than_under_a_normal_prior() -> None:
    truth = np.zeros(13)
    truth[5] = 8.0
    scores = truth[:, None] + np.vstack([PATTERN] * 5)[:13]
    gain = entries(rank_arms(scores))[5].gain
    assert gain is not None
    between = truth[1:].var(ddof=1)
    v = rank_arms(scores).fit.variances[5]
    normal = truth[1:].mean() + (8.0 - truth[1:].mean()) * between / (between + v)
    assert normal < gain < 8.05
    assert gain == pytest.approx(8.0, abs=0.5)


def test_equal_arms_have_equal_answers_and_enter_the_set_together() -> None:
    scores = np.vstack([np.zeros(3), *[PATTERN[0] + 5.0] * 4])
    answer = rank_arms(scores)
    assert column(answer, "p_best") == pytest.approx([0.0, 0.25, 0.25, 0.25, 0.25], abs=1e-12)
    assert len({arm.gain for arm in entries(answer)[1:]}) == 1
    assert set(answer.best_set) == {1, 2, 3, 4}


def test_zero_variance_is_certain() -> None:
    answer = rank_arms([[0.1, 0.3], [0.2, 0.4], [0.6, 0.8], [0.6, 0.8]])
    assert column(answer, "p_best") == [0.0, 0.0, 0.5, 0.5]
    assert column(answer, "regret") == pytest.approx([0.5, 0.4, 0.0, 0.0])
    assert [entries(answer)[2].low, entries(answer)[2].high] == pytest.approx([0.5, 0.5])
    assert set(answer.best_set) == {2, 3}


def test_deterministic_scores_at_one_seed() -> None:
    answer = rank_arms([[0.1], [0.4], [0.3]], deterministic=[True] * 3)
    assert column(answer, "p_best") == [0.0, 1.0, 0.0]
    assert column(answer, "gain") == pytest.approx([0.0, 0.3, 0.2])
    assert answer.notes == ()


def test_deterministic_baseline_among_trained_arms() -> None:
    scores = np.vstack([np.full(3, 0.0), 2.0 + PATTERN])
    answer = rank_arms(scores, deterministic=[True, False, False, False])
    assert np.ptp(answer.draws[0]) == 0.0
    [_, one, *_] = entries(answer)
    assert one.low is not None
    assert one.gain is not None
    assert one.low < one.gain == pytest.approx(2.0, abs=0.25)


#: Tatoeba with multilingual-e5-small: three arms as good as `none`, which has one score, and MNLI four points lower.
TATOEBA = [[95, 95, 95.5, 96], [95.5, 95.5, 96, 95.5], [88, 94.5, 91.5, 92], [95.5, 96.5, 96, 96]]


def test_an_exact_score_in_the_middle_draws_no_other_onto_itself() -> None:
    """With `none` at 95.5, the median, the gain of MNLI was -0.1 [-1.3, +0.7], and is -3.1 [-5.5, -0.2]."""
    gains = {}
    for none in (95.2, 95.45, 95.5, 95.55, 95.8):
        table = np.array([[none, *[np.nan] * 3], *TATOEBA]) / 100
        gain, _, high = rank_arms(table, deterministic=[True, *[False] * 4]).gains
        gains[none] = 100 * gain[3] + none
        assert high[3] < 0.001
    assert max(gains.values()) - min(gains.values()) < 0.2, "its score hardly hangs on that of none"


def test_intervals_hold_where_an_exact_baseline_is_in_the_middle() -> None:
    """By simulation; 3 standard errors are .025. With a point mass at the exact score it was .85."""
    rng = np.random.default_rng(0)
    held: list[bool] = []
    while len(held) < 4 * 150:
        spread, noise = rng.choice([0.003, 0.01, 0.03]), rng.choice([0.003, 0.006, 0.012], (5, 1))
        effects = 0.5 + rng.normal(0, spread, 5) * np.where(rng.random(5) < 0.7, 1.0, 2.5)
        table = effects[:, None] + rng.normal(0, 0.003, 4) + noise * rng.standard_normal((5, 4))
        table[0] = effects[0]
        if np.sum(table.mean(axis=1) < effects[0]) != 2:
            continue
        _, low, high = rank_arms(table, deterministic=[True, *[False] * 4], stream=str(len(held))).gains
        true = effects - effects[0]
        held += [*((low <= true) & (true <= high))[1:]]
    assert 0.93 < np.mean(held) < 0.99


def test_one_seed_says_that_nothing_is_told_apart() -> None:
    answer = rank_arms([[0.1], [0.4], [0.3]])
    assert not answer.determined
    assert answer.notes == (NO_REPEATS,)
    assert column(answer, "gain") == pytest.approx([0.0, 0.3, 0.2])
    assert column(answer, "p_best") == [None] * 3
    assert (answer.leader, answer.best_set) == (1, (1, 2, 0))


def test_no_baseline_ranks_without_gains() -> None:
    scores = table(3)
    scores[0] = NAN
    answer = rank_arms(scores)
    assert answer.notes == (NO_BASELINE,)
    assert column(answer, "gain") == [None] * 7
    assert entries(answer)[0].p_best is None
    assert sum(arm.p_best or 0.0 for arm in entries(answer)) == pytest.approx(1.0)


def test_missing_runs_and_arms() -> None:
    scores = table(4)
    scores[2] = NAN
    scores[3, 1:] = NAN
    answer = rank_arms(scores)
    assert [arm.runs for arm in entries(answer)] == [4, 4, 0, 1, 4, 4, 4]
    assert np.isnan(numbers(entries(answer)[2])).all()
    assert 2 not in answer.best_set
    few, many = entries(answer)[3], entries(answer)[4]
    assert few.high is not None
    assert few.low is not None
    assert many.high is not None
    assert many.low is not None
    assert few.high - few.low > many.high - many.low


@pytest.mark.parametrize("scores", [table(0), np.zeros((4, 3))])
def test_what_is_not_learnt_is_not_ranked(scores: np.ndarray) -> None:
    answer = rank_arms(scores, learnt=not scores.any())  # scores of 0 are not learnt by themselves
    assert (answer.leader, answer.best_set, answer.notes) == (None, (), (NOT_LEARNT,))
    assert all((a.gain, a.low, a.p_best, a.regret) == (None,) * 4 for a in entries(answer))
    assert column(answer, "mean") == pytest.approx(scores.mean(axis=1))
    advice = advise(answer)
    assert (advice.arms, advice.seeds) == ((), None)
    assert advice.note.startswith("not learnt")


def test_an_empty_stratum() -> None:
    answer = rank_arms(np.full((3, 2), NAN))
    assert (answer.leader, answer.best_set, answer.notes) == (None, (), (NO_RUNS,))


def test_ineligible_arms_keep_their_gain_and_cannot_be_best() -> None:
    scores = table(5)
    best = rank_arms(scores).leader
    assert best is not None
    allowed = [i != best for i in range(7)]
    answer = rank_arms(scores, eligible=allowed)
    arm = entries(answer)[best]
    assert arm.gain == entries(rank_arms(scores))[best].gain
    assert (arm.p_best, arm.regret) == (None, None)
    assert answer.leader != best


def test_gain_agrees_with_least_squares_when_the_noise_is_small() -> None:
    scores = table(6, sigma=0.01)
    for arm, plain in zip(entries(rank_arms(scores)), gain_intervals(scores), strict=True):
        assert arm.gain == pytest.approx(plain.gain, abs=0.005)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), lost=st.integers(0, 3))
def test_order_of_arms_and_seed_shifts_change_nothing(seed: int, lost: int) -> None:
    rng = np.random.default_rng(seed)
    scores = table(seed)
    scores.ravel()[rng.choice(np.arange(4, 28), lost, replace=False)] = NAN
    order = np.concatenate([[0], 1 + rng.permutation(6)])
    old = rank_arms(scores)
    new = rank_arms((scores + rng.normal(size=4))[order])
    for position, arm in enumerate(order):
        # the mean itself moves with the shift, what is concluded does not
        assert numbers(entries(new)[position])[1:] == pytest.approx(
            numbers(entries(old)[arm])[1:], abs=1e-9, nan_ok=True
        )
    assert tuple(int(order[i]) for i in new.best_set) == old.best_set


def test_none_has_the_prior_of_the_arms() -> None:
    # the same rows with another one in the place of none: the same answers about every row
    scores = table(9, arms=8, seeds=3)
    first = rank_arms(scores)
    for row in range(1, 8):
        order = [row, *(i for i in range(8) if i != row)]
        again = rank_arms(scores[order])
        assert [again.p_best[order.index(i)] for i in range(8)] == pytest.approx(first.p_best, abs=1e-9)


def test_quiet_leaders_among_noisy_arms_are_surer_than_by_one_variance() -> None:
    rng = np.random.default_rng(3)
    effects = np.append(np.linspace(-30.0, -8.0, 12), [0.5, 1.0, 2.0])
    spread = np.repeat([2.4, 0.3], [12, 3])  # twelve noisy arms, three quiet ones
    answers = [rank_arms((effects + spread * rng.normal(size=(4, 15))).T) for _ in range(20)]
    assert all(answer.leader == 14 for answer in answers)
    assert np.mean([answer.p_best[14] for answer in answers]) > 0.77  # .70 with one variance for all


def test_one_collapsed_run_hides_no_good_arm() -> None:
    scores = np.linspace(0.0, 3.0, 8)[:, None] + 0.3 * np.vstack([np.tile(PATTERN, (3, 1))])[:8]
    scores = np.hstack([scores, scores[:, :1] + 0.1])
    scores[7, 2] -= 30.0
    answer = rank_arms(scores)
    assert int(np.argmax(np.mean(scores, axis=1))) != 7
    assert answer.leader == 7
    assert entries(answer)[7].p_best == pytest.approx(0.7, abs=0.15)


def test_new_runs_are_foretold() -> None:
    # the share of new runs' means inside the central 80 % of what the posterior expects
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(150):
        effects = rng.normal(size=(10, 1))
        answer = rank_arms(effects + 0.7 * rng.normal(size=(10, 4)))
        low, high = np.quantile(answer.future(np.full(10, 3), rng), [0.1, 0.9], axis=1)
        new = (effects + 0.7 * rng.normal(size=(10, 3))).mean(axis=1)
        inside.append((low <= new) & (new <= high))
    assert np.mean(inside) == pytest.approx(0.8, abs=0.05)


def test_scale_changes_units_only() -> None:
    points, shares = rank_arms(table(8)), rank_arms(table(8) / 100.0)
    assert column(points, "p_best") == pytest.approx(column(shares, "p_best"))
    assert column(points, "gain") == pytest.approx([100.0 * g for g in column(shares, "gain")])


@pytest.mark.parametrize(
    ("p_best", "expected"),
    [
        ([0.96, 0.04], (0,)),
        ([0.2, 0.8], (1, 0)),
        ([0.9, 0.05, 0.05], (0, 2, 1)),
        ([NAN, 0.5, 0.5], (2, 1)),
    ],
)
def test_smallest_set(p_best: list[float], expected: tuple[int, ...]) -> None:
    effects = np.arange(len(p_best), dtype=float)
    assert smallest_set(np.array(p_best), effects, 0.95) == expected


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"draws": 10}, "draws"), ({"eligible": [True]}, "eligible")],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], name: str) -> None:
    with pytest.raises(UserError, match=name):
        rank_arms(table(0), **arguments)  # type: ignore[arg-type]
