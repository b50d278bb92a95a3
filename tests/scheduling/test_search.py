from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.schedule import Decision, Strata
from raystilts.scheduling.searchers import StageSearch

from .test_graph import graph, stage
from .test_strata import SCORES, key_of, planned


def test_what_tune_is_told() -> None:
    one = StageSearch(graph(stage("p"), stage("a", "p"), stage("q"), stage("b", "q")))

    def suggest(trial: str) -> Any:
        return one.suggest(trial)

    assert suggest("1") == {"stage": "p", "kind": "intermediate", "until": 1.0}
    assert suggest("2") == {"stage": "q", "kind": "intermediate", "until": 1.0}
    assert suggest("3") is None
    one.on_trial_complete("1", {"status": "finished"})
    assert suggest("3") == {"stage": "a", "kind": "target", "until": 1.0}
    one.on_trial_complete("2", error=True)
    assert suggest("4") == Searcher.FINISHED
    one.on_trial_complete("3", {"status": "failed"})
    one.on_trial_complete("unknown", {"status": "finished"})
    assert one.graph.state == {"p": "finished", "a": "failed", "q": "failed", "b": "skipped"}


def test_a_result_without_a_status_is_a_failure() -> None:
    one = StageSearch(graph(stage("p"), stage("a", "p")))
    one.suggest("1")
    one.on_trial_complete("1", {})
    assert one.graph.state == {"p": "failed", "a": "skipped"}


def test_segments_and_decisions(tmp_path: Path) -> None:
    one = planned(tmp_path, "asha", seeds=[0], targets=["cldr_units"])
    recorded: list[tuple[list[Decision], list[str]]] = []

    def record(decisions: Sequence[Decision], stopped: Sequence[str]) -> None:
        recorded.append((list(decisions), list(stopped)))

    search = StageSearch(StageGraph(one.stages, Strata(one)), record)
    names = {stage.key: stage.intermediate.label for stage in one.stages.values()}
    segments, trial = [], 0
    while (config := search.suggest(str(trial))) != Searcher.FINISHED:
        assert isinstance(config, dict)
        if config["kind"] == "target":
            segments.append((names[config["stage"]], config["until"]))
        status = "finished" if config["until"] == 1.0 else "paused"
        search.on_trial_complete(
            str(trial), {"status": status, "dev_score": SCORES[names[config["stage"]]] * config["until"]}
        )
        trial += 1
    assert set(segments) == {
        *((arm, 0.5) for arm in SCORES if arm != "none"), *((arm, 1.0) for arm in ("none", "cldr_names", "cldr_dates")),
    }  # fmt: skip
    assert len(segments) == 7
    decisions = [decision.verdict.dropped for found, _ in recorded for decision in found]
    assert decisions == [("cldr_same", "cldr_choice")]
    stopped = [key for _, keys in recorded for key in keys]
    assert sorted(stopped) == sorted(key_of(one, arm) for arm in ("cldr_same", "cldr_choice"))
