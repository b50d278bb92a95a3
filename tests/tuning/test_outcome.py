"""What a search says it found: the best values, importance, convergence, the file that a grid takes, the page."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from raystilts.report.html.search_page import search_page
from raystilts.report.search_text import search_json, search_verdict
from raystilts.study.schema import Study
from raystilts.tuning.outcome import UnitOutcome, chosen_text, converged, outcome
from raystilts.tuning.sampler import Observed
from raystilts.tuning.trials import space_of, units

STUDY = Study.model_validate(
    {
        "name": "tune",
        "intermediates": ["none"],
        "targets": ["cldr_dates"],
        "seeds": [0],
        "search": {
            "space": {
                "learning_rate": {"loguniform": [1e-5, 1e-2]},
                "weight_decay": {"uniform": [0, 0.1]},
                "per_device_train_batch_size": {"choice": [8, 16]},
            }
        },
    }
)
[UNIT] = units(STUDY)


def trial(rate: float, decay: float, state: Any = "finished", share: float = 1.0) -> Observed:
    """Only the learning rate matters; 1e-3 is best."""
    value = None if state == "failed" else 0.8 - abs(math.log10(rate) + 3) / 5
    values = {"learning_rate": rate, "weight_decay": decay, "per_device_train_batch_size": 8}
    return Observed(values, state, value, share)


def found(trials: list[Observed]) -> UnitOutcome:
    return outcome(UNIT, "f1", space_of(STUDY, UNIT), trials, 100)


RATES = [1e-5, 8e-3, 5e-5, 9e-4, 2e-3, 1e-4, 3e-4, 1.2e-3, 4e-3, 7e-5, 1e-3, 2e-4]
TRIALS = [trial(rate, (7 * i % 12) / 120) for i, rate in enumerate(RATES)]


def test_the_best_trial_and_those_behind_it() -> None:
    one = found([*TRIALS, trial(2e-5, 0.01, "failed"), trial(3e-5, 0.02, "stopped", 0.5)])
    assert one.best is not None
    assert one.best.values["learning_rate"] == 1e-3
    assert one.next_best == pytest.approx((0.8 - 0.2 * math.log10(1.2), 0.8 + 0.2 * math.log10(0.9)), abs=0.01)
    assert (one.count("finished"), one.count("stopped"), one.count("failed")) == (12, 1, 1)


def test_what_matters_is_what_the_scores_follow() -> None:
    importance = found(TRIALS).importance
    assert importance["learning_rate"] > 0.6
    assert sum(importance.values()) == pytest.approx(1.0, abs=0.01)


def test_of_few_trials_nothing_is_said() -> None:
    one = found(TRIALS[:8])
    assert one.converged is None
    assert one.importance == {}
    assert "Too few trials" in search_verdict(one)


@pytest.mark.parametrize(
    ("scores", "examples", "expected"),
    [
        ([0.5, 0.6, 0.6, 0.6, 0.6, 0.61], 100, True),  # .01 more, with an error of .049
        ([0.5, 0.6, 0.6, 0.6, 0.6, 0.70], 100, False),  # .10 more, with an error of .046
        ([0.5, 0.6, 0.6, 0.6, 0.6, 0.61], 10_000, False),  # .01 more, with an error of .0049
    ],
)
def test_converged_means_within_the_noise_of_dev(scores: list[float], examples: int, expected: bool) -> None:
    assert converged(scores, examples) is expected


def test_a_best_value_at_the_end_of_its_range_is_said() -> None:
    one = found([trial(9.9e-3, 0.0999), trial(1e-5, 0.05)])
    assert one.notes == (
        "learning_rate is at the upper end of its range: widen it",
        "weight_decay is at the upper end of its range: widen it",
    )


def test_nothing_finished() -> None:
    one = found([trial(1e-3, 0.05, "failed"), trial(1e-4, 0.05, "stopped", 0.5)])
    assert one.best is None
    assert search_verdict(one) == "No trial has finished: nothing can be chosen yet."
    assert search_json([one])[0]["best"] is None
    assert "cldr_dates" not in chosen_text(STUDY, [one])
    assert "No trial has finished" in search_page("results/tune", STUDY, [one])


def test_the_file_of_chosen_values_is_one_that_a_grid_takes(tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.yaml"
    path.write_text(chosen_text(STUDY, [found(TRIALS)]))
    grid = Study.model_validate(
        {"name": "grid", "intermediates": ["none"], "targets": ["cldr_dates"], "seeds": [1],
         "hyperparameters": {"from": str(path)}}
    )  # fmt: skip
    values = grid.hyperparameters.resolve("cldr_dates")
    assert (values.learning_rate, values.per_device_train_batch_size) == (1e-3, 8)


class _Balance(HTMLParser):
    """Counts open elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.marks: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "wbr"):
            self.open.append(tag)
        self.marks += [str(value) for name, value in attrs if name == "class" and value in ("sure", "stop")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_every_trial_in_each_chart_and_loads_nothing() -> None:
    page = search_page("results/tune", STUDY, [found([*TRIALS, trial(3e-5, 0.02, "stopped", 0.5)])])
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    charts = 4  # over trials, and over each hyperparameter
    assert parser.marks.count("sure") == charts * len(TRIALS)
    assert parser.marks.count("stop") == charts
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "Converged" in page
