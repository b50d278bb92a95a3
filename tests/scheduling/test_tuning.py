"""The searcher that hands trials to Tune: what Tune tells it, and what it tells the board."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from raystilts.scheduling.searchers import TrialSearch
from raystilts.scheduling.trial_board import TrialBoard, Work
from raystilts.study.schema import Study
from raystilts.tuning.trials import units


def search(ended: list[tuple[Work, dict[str, Any]]], **more: Any) -> TrialSearch:
    """A search over a finite space, every combination."""
    study = Study.model_validate(
        {
            "name": "tune",
            "intermediates": ["none"],
            "targets": [{"task": "cldr_dates", "languages": ["en"]}],
            "seeds": [0],
            "search": {
                "space": {"per_device_train_batch_size": {"choice": [4, 8, 16]}},
                "sampler": "grid",
                **more,
            },
        }
    )
    return TrialSearch(TrialBoard(study, units(study), {}), lambda work, result: ended.append((work, result)))


def test_tune_can_pickle_it() -> None:
    one = search([])
    assert isinstance(one.suggest("a"), dict)
    assert pickle.loads(pickle.dumps(one)).__dict__ == {}  # noqa: S301 (made here)


def test_every_combination_once_and_then_the_end() -> None:
    ended: list[tuple[Work, dict[str, Any]]] = []
    one = search(ended)
    asked = [one.suggest(name) for name in ("a", "b", "c")]
    sizes = [found["values"]["per_device_train_batch_size"] for found in asked if isinstance(found, dict)]
    assert sizes == [4, 8, 16]
    one.on_trial_complete("a", {"status": "finished", "dev_score": 0.5, "seconds": 2.0})
    one.on_trial_complete("b", {"status": "failed", "error": "no"})
    one.on_trial_complete("c", None, error=True)
    assert one.suggest("d") == "FINISHED"
    assert [result["status"] for _, result in ended] == ["finished", "failed", "failed"]
    assert [work.values["per_device_train_batch_size"] for work in one.lost] == [16]
    assert one.board.counts == {"asked": 3, "ended": 3, "running": 0, "resting": 0}


def test_the_metric_that_was_asked_for() -> None:
    ended: list[tuple[Work, dict[str, Any]]] = []
    one = search(ended, metric="f1")
    one.suggest("a")
    one.on_trial_complete("a", {"status": "finished", "dev_score": 0.1, "dev_means": {"f1": 0.7, "exact_match": 0.2}})
    assert ended[0][1]["score"] == 0.7


@pytest.mark.parametrize("message", ["the disk is full"])
def test_a_full_disk_ends_the_search_and_counts_no_trial(message: str) -> None:
    ended: list[tuple[Work, dict[str, Any]]] = []
    one = search(ended)
    one.suggest("a")
    one.on_trial_complete("a", {"status": "storage", "error": message})
    assert one.halted == message
    assert one.ended
    assert one.suggest("b") == "FINISHED"
    assert ended == []
