from __future__ import annotations

import numpy as np
import pytest

from raystilts.errors import UserError
from raystilts.ranking.languages import rank_languages
from raystilts.ranking.posterior import rank_arms

from .entries import entries

NAN = float("nan")
NAMES = ("de", "sw", "th", "hi")


def layers(
    deviation: float, noise: float, seed: int = 0, arms: int = 8, seeds: int = 4
) -> np.ndarray:
    """A common arm effect and seed noise, plus deviations and noise of each language."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(arms, 1, 1)) + rng.normal(size=(arms, seeds, 1))
    own = deviation * rng.normal(size=(arms, 1, 4)) + noise * rng.normal(size=(arms, seeds, 4))
    return np.asarray(common + own + 10.0 * rng.normal(size=4))


def test_macro_is_the_posterior_of_the_mean() -> None:
    scores = layers(1.0, 1.0)
    assert entries(rank_languages(scores, NAMES).macro) == entries(rank_arms(scores.mean(axis=2)))


def test_languages_that_agree_give_the_macro_answer() -> None:
    scores = np.repeat(layers(0.0, 0.0)[:, :, :1], 4, axis=2) + np.arange(4.0)
    answer = rank_languages(scores, NAMES)
    for language in NAMES:
        for arm, macro in zip(entries(answer.by_language[language]), entries(answer.macro), strict=True):
            assert (arm.gain, arm.p_best) == pytest.approx((macro.gain, macro.p_best), abs=1e-9)


def test_noise_alone_is_shrunk_away() -> None:
    assert rank_languages(layers(0.0, 1.0), NAMES).shrinkage.max() < 0.4


def test_shrinkage_has_the_stated_size() -> None:
    # true share: deviation variance 1, noise variance 1 over 4 seeds: 1 - .25 / 1.25 = .8
    kept = [rank_languages(layers(1.0, 1.0, seed=s), NAMES).shrinkage[1] for s in range(20)]
    assert np.mean(kept) == pytest.approx(0.8, abs=0.05)


def test_a_language_without_noise_keeps_its_deviation() -> None:
    scores = layers(0.0, 0.0)
    scores[3, :, 1] += 50.0
    scores[3, :, 2] -= 50.0
    answer = rank_languages(scores, NAMES)
    assert answer.shrinkage == pytest.approx(np.ones(8), abs=1e-9)
    assert answer.by_language["sw"].leader == 3
    assert entries(answer.by_language["th"])[3].p_best == 0.0


def test_the_language_set_is_complete() -> None:
    scores = layers(1.0, 1.0)
    scores[2, 1, 3] = NAN  # this run was not evaluated on hi
    scores[4, 2] = NAN  # this run failed
    answer = rank_languages(scores, NAMES)
    assert answer.languages == ("de", "sw", "th")
    assert answer.left_out == ("hi",)
    assert list(answer.by_language) == ["de", "sw", "th"]
    assert entries(answer.macro)[2].runs == 4
    assert entries(answer.macro)[4].runs == 3


def test_one_language_alone_has_the_same_answer() -> None:
    scores = layers(1.0, 1.0)
    one = rank_languages(scores, NAMES, only=["sw"])
    assert list(one.by_language) == ["sw"]
    assert entries(one.by_language["sw"]) == entries(rank_languages(scores, NAMES).by_language["sw"])


def test_one_seed_has_a_macro_only() -> None:
    answer = rank_languages(layers(1.0, 1.0, seeds=1), NAMES)
    assert not answer.macro.determined
    assert answer.by_language == {}


def test_deterministic_scores_are_exact_in_every_language() -> None:
    scores = layers(1.0, 0.0, seeds=1)
    answer = rank_languages(scores, NAMES, deterministic=[True] * 8)
    for k, language in enumerate(NAMES):
        assert answer.by_language[language].leader == int(scores[:, 0, k].argmax())
        assert entries(answer.by_language[language])[2].gain == pytest.approx(
            float(scores[2, 0, k] - scores[0, 0, k])
        )


def test_order_of_arms_does_not_matter() -> None:
    scores = layers(1.0, 1.0, seed=5)
    order = [0, 5, 3, 1, 7, 2, 6, 4]
    old, new = rank_languages(scores, NAMES), rank_languages(scores[order], NAMES)
    for position, arm in enumerate(order):
        got, want = entries(new.by_language["hi"])[position], entries(old.by_language["hi"])[arm]
        assert (got.gain, got.p_best) == pytest.approx((want.gain, want.p_best))


def test_coverage_of_language_gains() -> None:
    rng = np.random.default_rng(3)
    inside = []
    for seed in range(30):
        truth = rng.normal(size=(8, 1)) + rng.normal(size=(8, 4))
        noise = rng.normal(size=(8, 3, 1)) + rng.normal(size=(8, 3, 4))
        answer = rank_languages(truth[:, None, :] + noise, NAMES, stream=str(seed), draws=500)
        for k, language in enumerate(NAMES):
            for arm in entries(answer.by_language[language])[1:]:
                assert arm.low is not None
                assert arm.high is not None
                inside.append(arm.low <= truth[arm.arm, k] - truth[0, k] <= arm.high)
    assert 0.92 <= np.mean(inside) <= 0.98


@pytest.mark.parametrize(
    ("scores", "names", "message"),
    [
        (np.zeros((2, 2)), ("de", "sw"), "shape"),
        (np.zeros((2, 2, 2)), ("de", "de"), "named twice"),
        (np.full((2, 2, 1), NAN), ("de",), "no language"),
    ],
)
def test_bad_input(scores: np.ndarray, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        rank_languages(scores, names)
