from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raystilts.metrics.mining import Mined, MiningScore, best_threshold, mine, score_pairs, to_rows, unique_sentences

Doubles = NDArray[np.float64]


def mined(*rows: tuple[int, int, float]) -> Mined:
    source, target, score = zip(*rows, strict=True)
    return Mined(np.array(source), np.array(target), np.array(score))


def on_circle(*degrees: float) -> Doubles:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_margin_by_hand_with_one_neighbour() -> None:
    # Sources at 0 and 80 degrees, targets at 10 and 60. Nearest: 0 -> 10, 80 -> 60 and back.
    found = mine(on_circle(0, 80), on_circle(10, 60), k=1)
    # cos 10 / ((cos 10 + cos 10) / 2) = 1 for both, so the lower source comes first.
    assert found.score == pytest.approx([1.0, 1.0], abs=1e-9)
    assert found.pairs() == {(0, 0), (1, 1)}
    assert found.source.tolist() == [0, 1]


def test_margin_by_hand_with_two_neighbours() -> None:
    c = {d: float(np.cos(np.radians(d))) for d in (10, 20, 60, 70)}
    found = mine(on_circle(0, 80), on_circle(10, 60), k=2)
    source_mean = [(c[10] + c[60]) / 2, (c[70] + c[20]) / 2]
    target_mean = [(c[10] + c[70]) / 2, (c[60] + c[20]) / 2]
    first = c[10] / ((source_mean[0] + target_mean[0]) / 2)
    second = c[20] / ((source_mean[1] + target_mean[1]) / 2)
    assert first > second
    assert found.source.tolist() == [0, 1]
    assert found.target.tolist() == [0, 1]
    assert found.score == pytest.approx([first, second], abs=1e-9)


def test_a_hub_is_paired_once_and_the_rest_stay_unpaired() -> None:
    # All three sources want target 0, which goes to the nearest; nobody proposes again.
    found = mine(on_circle(1, 5, 9), on_circle(0, 80), k=1)
    assert (0, 0) in found.pairs()
    assert found.pairs() == {(0, 0), (2, 1)}  # target 1 proposed to its own nearest, source 2


def test_pairs_pointing_apart_are_never_mined() -> None:
    assert mine(on_circle(0), on_circle(180)).pairs() == set()
    assert mine(on_circle(0), on_circle(90)).pairs() == set()
    assert mine(on_circle(0), np.zeros((1, 2))).pairs() == set()


def test_more_neighbours_than_sentences_are_all_there_are() -> None:
    few = mine(on_circle(0, 40), on_circle(5, 44), k=2)
    many = mine(on_circle(0, 40), on_circle(5, 44), k=4)
    assert few.score.tolist() == many.score.tolist()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_blocks_change_nothing_and_pairs_are_one_to_one(seed: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    sources, targets = rng.normal(size=(31, 5)), rng.normal(size=(23, 5))
    whole, pieces = mine(sources, targets), mine(sources, targets, block=block)
    assert whole.source.tolist() == pieces.source.tolist()
    assert whole.target.tolist() == pieces.target.tolist()
    assert whole.score.tolist() == pieces.score.tolist()
    assert len(set(whole.source.tolist())) == len(whole.source)
    assert len(set(whole.target.tolist())) == len(whole.target)
    assert (whole.score > 0).all()
    assert (np.diff(whole.score) <= 0).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_swapping_the_sides_swaps_the_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sources, targets = rng.normal(size=(20, 6)), rng.normal(size=(25, 6))
    swapped = {(target, source) for source, target in mine(targets, sources).pairs()}
    assert mine(sources, targets).pairs() == swapped


@pytest.mark.parametrize("block", [1, 3, 16])
def test_ties_are_resolved_the_same_way_whatever_the_block(block: int) -> None:
    same = np.tile(np.linspace(0.1, 1.3, 33), (6, 1))
    assert mine(same, same, block=block).pairs() == {(0, 0)}


def test_memory_stays_far_below_the_full_matrix() -> None:
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(4000, 8))
    tracemalloc.start()
    found = mine(sources, sources + 0.001 * rng.normal(size=sources.shape), block=256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.source) > 3900
    assert peak < 4000 * 4000 * 8 / 8


def test_threshold_is_half_way_to_the_next_score() -> None:
    candidates = mined((0, 0, 1.5), (1, 1, 1.3), (2, 9, 1.2), (3, 3, 1.0))
    # F1 over gold (0,0) (1,1): 2/3, 1, 4/5, 2/3.
    assert best_threshold(candidates, {(0, 0), (1, 1)}) == pytest.approx(1.25)


def test_threshold_of_the_last_pair_is_its_score() -> None:
    candidates = mined((0, 0, 1.5), (1, 1, 1.3))
    assert best_threshold(candidates, {(0, 0), (1, 1)}) == 1.3
    assert candidates.pairs(1.3) == {(0, 0), (1, 1)}


def test_threshold_does_not_cut_between_equal_scores() -> None:
    candidates = mined((0, 0, 1.5), (1, 8, 1.5), (2, 9, 1.5), (3, 3, 1.4), (4, 7, 1.0))
    # Cutting after the first pair would be best (2/3) but is not possible: 2/5 at 1.5, 4/6 at 1.4.
    assert best_threshold(candidates, {(0, 0), (3, 3)}) == pytest.approx(1.2)


def test_threshold_between_neighbouring_floats_keeps_the_right_ones() -> None:
    high, low = np.nextafter(1.0, 2.0), 1.0
    candidates = mined((0, 0, high), (1, 9, low))
    assert candidates.pairs(best_threshold(candidates, {(0, 0)})) == {(0, 0)}


def test_threshold_is_zero_where_no_candidate_is_right() -> None:
    assert best_threshold(mined((0, 1, 1.5)), {(0, 0)}) == 0.0
    empty = np.zeros(0, dtype=np.int64)
    assert best_threshold(Mined(empty, empty, np.zeros(0)), {(0, 0)}) == 0.0


def test_scores_of_pairs() -> None:
    found = {(0, 0), (1, 1), (2, 3)}
    gold = {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert score_pairs(found, gold) == MiningScore(2 / 3, 0.5, 4 / 7)
    assert score_pairs(gold, gold) == MiningScore(1.0, 1.0, 1.0)
    assert score_pairs(set(), gold) == MiningScore(0.0, 0.0, 0.0)


def test_gold_is_needed() -> None:
    with pytest.raises(ValueError, match="no gold pairs"):
        score_pairs({(0, 0)}, set())
    with pytest.raises(ValueError, match="no gold pairs"):
        best_threshold(mined((0, 0, 1.0)), [])


PAIRS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1)


@given(PAIRS, st.lists(st.integers(1, 5), min_size=7, max_size=7))
def test_no_other_threshold_is_better(gold: set[tuple[int, int]], levels: list[int]) -> None:
    rows = [(i, i, level / 4) for i, level in enumerate(sorted(levels, reverse=True))]
    candidates = mined(*rows)
    best = score_pairs(candidates.pairs(best_threshold(candidates, gold)), gold).f1
    assert 0.0 <= best <= 1.0
    others = [score_pairs(candidates.pairs(level / 4), gold).f1 for level in range(7)]
    assert best == pytest.approx(max(others))


def test_repeated_sentences_are_searched_once_and_then_left_out() -> None:
    rows, again = unique_sentences(["a", "b", " a ", "c", "b"])
    assert rows.tolist() == [0, 1, 3]
    assert again.tolist() == [True, True, False]
    assert unique_sentences([])[0].tolist() == []

    targets = unique_sentences(["x", "y", "z"])
    found = to_rows(mined((2, 1, 1.5), (0, 0, 1.2)), (rows, again), targets)
    assert found.pairs() == {(3, 1)}
    assert found.score.tolist() == [1.5]
