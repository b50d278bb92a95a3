from __future__ import annotations

import pytest
from scipy import stats

from raystilts.errors import UserError
from raystilts.ranking.degenerate import (
    RunFacts,
    chance_p_value,
    flag_run,
    loss_falls,
)

NAN = float("nan")
FALLING = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]


def rule(facts: RunFacts) -> str | None:
    flag = flag_run(facts)
    return None if flag is None else flag.rule


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (RunFacts(), None),
        (RunFacts(scores=[0.5, NAN]), "nan"),
        (RunFacts(losses=[1.0, float("inf")]), "nan"),
        (RunFacts(dev_score=NAN), "nan"),
        (RunFacts(dev_score=0.5, dev_examples=100, chance=0.5), "chance"),
        (RunFacts(dev_score=0.37, dev_examples=3270, chance=0.5), "chance"),
        (RunFacts(dev_score=0.7, dev_examples=100, chance=0.5), None),
        (RunFacts(dev_score=0.1, dev_examples=100, chance=None), None),
        (RunFacts(losses=[0.7] * 8), "loss"),
        (RunFacts(losses=FALLING[::-1]), "loss"),
        (RunFacts(losses=FALLING), None),
        (RunFacts(losses=[0.7] * 7), None),
    ],
)
def test_rules(facts: RunFacts, expected: str | None) -> None:
    assert rule(facts) == expected


def test_binomial_boundary() -> None:
    # of 100 fair guesses, 59 or more come with probability .0443, 58 or more with .0666
    assert chance_p_value(0.59, 100, 0.5) == pytest.approx(0.0443, abs=1e-4)
    assert chance_p_value(0.58, 100, 0.5) == pytest.approx(0.0666, abs=1e-4)
    assert rule(RunFacts(dev_score=0.59, dev_examples=100, chance=0.5)) is None
    assert rule(RunFacts(dev_score=0.58, dev_examples=100, chance=0.5)) == "chance"
    assert chance_p_value(0.0, 10, 0.5) == 1.0


@pytest.mark.parametrize("examples", [1, 7, 500, 20_000])
@pytest.mark.parametrize("chance", [0.0, 0.01, 1 / 3, 0.5, 1.0])
@pytest.mark.parametrize("score", [0.0, 0.2, 0.35, 0.51, 1.0])
def test_the_tail_is_the_binomial_one(examples: int, chance: float, score: float) -> None:
    expected = stats.binom.sf(round(score * examples) - 1, examples, chance)
    assert chance_p_value(score, examples, chance) == pytest.approx(expected, abs=1e-8)


def test_percent_is_refused() -> None:
    with pytest.raises(UserError, match="divided by 100"):
        chance_p_value(59.0, 100, 0.5)


def test_reason_names_the_numbers() -> None:
    flag = flag_run(RunFacts(dev_score=0.5, dev_examples=100, chance=0.5))
    assert flag is not None
    assert "0.5 on 100 items is not above chance 0.5" in flag.reason


def test_loss_must_fall_by_a_share() -> None:
    losses = [1.0] * 4 + [0.995] * 4
    assert not loss_falls(losses)
    assert loss_falls(losses, min_fall=0.0)
