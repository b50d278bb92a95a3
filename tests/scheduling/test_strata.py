from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from raystilts.planning.stages import Plan, plan
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.schedule import Curve, Decision, Strata

from .examples import study

#: Final dev scores of the arms; at the rung they are half as high.
SCORES = {"none": 0.4, "cldr_names": 0.6, "cldr_dates": 0.5, "cldr_same": 0.2, "cldr_choice": 0.1}

SCHEDULES: list[Any] = [
    "asha", {"asha": {"grace_period": 0.25}}, "race", "halve", {"halve": {"rung": 0.5}},
    {"top_two": {"budget": 0.6, "round_size": 2}},
]  # fmt: skip


def planned(folder: Path, schedule: Any, **changes: Any) -> Plan:
    """Four arms and `none`, two seeds; a trained target of four updates, each evaluated, and a retrieval target."""
    fields: dict[str, Any] = {
        "intermediates": list(SCORES),
        "seeds": [0, 1],
        "hyperparameters": {"max_train_samples": 16, "num_train_epochs": 1, "per_device_train_batch_size": 4},
        "evaluation": {"eval_steps": 1, "max_dev_samples": 4, "max_test_samples": 4},
        "schedule": schedule,
    }
    return plan(study(folder, **(fields | changes)))


def key_of(one: Plan, arm: str, seed: int | None = 0, target: str | None = "cldr_units", fraction: float = 1.0) -> str:
    [key] = [
        s.key for s in one.stages.values()
        if (s.intermediate.label, s.target) == (arm, target) and s.seed == seed
        and s.intermediate_fraction in (None, fraction)
    ]  # fmt: skip
    return key


def score(one: Plan, key: str, share: float) -> float:
    """What a stage scores on dev at a share of its budget."""
    stage = one.stages[key]
    return SCORES[stage.intermediate.label] * share + 0.001 * (stage.seed or 0)


def drive(one: Plan, strata: Strata, order: random.Random, failing: frozenset[str] = frozenset()) -> StageGraph:
    """Runs the plan without training, taking and ending stages in a random order."""
    graph = StageGraph(one.stages, strata)
    running: list[tuple[str, float]] = []
    while not graph.ended or running:
        key = graph.take() if order.random() < 0.7 or not running else None
        if key is not None:
            running.append((key, graph.until(key)))
        elif running:
            key, until = running.pop(order.randrange(len(running)))
            if key in failing:
                graph.fail(key)
            elif until < 1.0:
                graph.pause(key, until, score(one, key, until))
            else:
                graph.finish(key, score(one, key, 1.0))
        assert sum(graph.counts.values()) == len(one.stages)
    return graph


def rows(decisions: list[Decision]) -> list[Any]:
    return sorted((d.target, d.verdict.rule, d.verdict.round, d.verdict.kept, d.verdict.dropped) for d in decisions)


def test_full_governs_nothing(tmp_path: Path) -> None:
    strata = Strata(planned(tmp_path, "full"))
    assert strata.goal("any") == 1.0
    assert strata.fail("any") == set()


def test_asha_stops_arms_in_their_stratum_alone(tmp_path: Path) -> None:
    one = planned(tmp_path, "asha")
    strata = Strata(one)
    assert strata.goal(key_of(one, "none")) == 1.0
    assert strata.goal(key_of(one, "cldr_same")) == 0.5
    assert strata.goal(key_of(one, "cldr_same", target="cldr_match")) == 1.0, "no rule where nothing is trained"
    graph = drive(one, strata, random.Random(0))
    dropped = {key_of(one, arm, seed) for arm in ("cldr_same", "cldr_choice") for seed in (0, 1)}
    assert {key for key, state in graph.state.items() if state == "stopped"} == dropped
    assert {state for key, state in graph.state.items() if key not in dropped} == {"finished"}
    assert strata.stopped == dict.fromkeys(dropped, 0.5)
    assert sorted(graph.take_stopped()) == sorted(dropped)
    assert graph.take_stopped() == []
    [decision] = strata.take_decisions()
    assert (decision.target, decision.target_fraction) == ("cldr_units", 1.0)
    assert decision.verdict.kept == ("cldr_names", "cldr_dates")
    assert decision.verdict.dropped == ("cldr_same", "cldr_choice")
    assert decision.verdict.scores["cldr_same"] == pytest.approx(0.1005)


@pytest.mark.parametrize(
    "schedule",
    [
        "asha",
        {"asha": {"grace_period": 0.25}},
        "race",
        {"race": {"confidence": 0.6}},
        {"race": {"min_seeds": 1}},
        "halve",
        {"halve": {"rung": 0.5}},
    ],
)
def test_the_order_of_arrival_does_not_decide(tmp_path: Path, schedule: Any) -> None:
    one = planned(tmp_path, schedule, seeds=[0, 1, 2])
    failing = frozenset({key_of(one, "cldr_dates", 1), key_of(one, "cldr_same", 0, target=None)})
    outcomes = []
    for seed in range(12):
        strata = Strata(one)
        graph = drive(one, strata, random.Random(seed), failing)
        outcomes.append((graph.state, strata.stopped, rows(strata.take_decisions())))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0][2], "something was decided"


def known(one: Plan, graph: StageGraph, reached: dict[str, float]) -> dict[str, Curve]:
    """What the ledger would hold of a graph's stages."""
    curves: dict[str, Curve] = {}
    for key, stage in one.stages.items():
        share = 1.0 if graph.state[key] == "finished" else reached.get(key, 0.0)
        if stage.kind == "target" and share:
            steps = {step: score(one, key, step / 4) for step in range(1, round(4 * share) + 1)}
            curves[key] = Curve(steps, score(one, key, 1.0) if share == 1.0 else None)
    return curves


@pytest.mark.parametrize(
    "schedule",
    ["asha", {"asha": {"grace_period": 0.25}}, "race", {"race": {"min_seeds": 1}}, "halve", {"halve": {"rung": 0.5}}],
)
@pytest.mark.parametrize("steps", [3, 9, 15, 22])
def test_a_fresh_driver_goes_on_where_the_last_one_was(tmp_path: Path, schedule: Any, steps: int) -> None:
    one = planned(tmp_path, schedule, seeds=[0, 1, 2])
    calm = Strata(one)
    expected = drive(one, calm, random.Random(1)).state
    first = Strata(one)
    graph = StageGraph(one.stages, first)
    for _ in range(steps):
        key = graph.take()
        assert key is not None
        until = graph.until(key)
        if until < 1.0:
            graph.pause(key, until, score(one, key, until))
        else:
            graph.finish(key, score(one, key, 1.0))
    second = Strata(one, known(one, graph, first.reached))
    assert second.reached == first.reached
    assert second.stopped == first.stopped
    assert rows(second.take_decisions()) == rows(first.take_decisions())
    done = {key for key, state in graph.state.items() if state == "finished"}
    rest = StageGraph({key: stage for key, stage in one.stages.items() if key not in done}, second)
    while (key := rest.take()) is not None:
        until = rest.until(key)
        if until < 1.0:
            rest.pause(key, until, score(one, key, until))
        else:
            rest.finish(key, score(one, key, 1.0))
    assert rest.ended
    assert {**dict.fromkeys(done, "finished"), **rest.state} == expected


def test_a_race_trains_seeds_and_their_intermediates_while_a_stratum_wants_them(tmp_path: Path) -> None:
    fields = {"seeds": [0, 1, 2, 3], "targets": [{"task": "cldr_units", "languages": ["en"]}]}
    one = planned(tmp_path, "race", **fields)
    graph = drive(one, Strata(one), random.Random(0))
    begun = {
        arm: {s.seed for s in one.stages.values() if s.intermediate.label == arm and graph.state[s.key] == "finished"}
        for arm in SCORES
    }
    assert begun == {arm: {0, 1} for arm in SCORES}
    assert {graph.state[key_of(one, arm, 2, None)] for arm in SCORES if arm != "none"} == {"held"}
    with_retrieval = planned(tmp_path, "race", seeds=[0, 1, 2])
    graph = drive(with_retrieval, Strata(with_retrieval), random.Random(0))
    assert graph.state[key_of(with_retrieval, "cldr_same", 2, None)] == "finished", "the retrieval target wants it"
    assert graph.state[key_of(with_retrieval, "cldr_same", 2)] == "held"


def test_points_at_other_fractions_are_trained_to_the_end(tmp_path: Path) -> None:
    one = planned(tmp_path, "asha", intermediate_fractions=[0.5, 1.0], targets=["cldr_units"])
    strata = Strata(one)
    assert strata.goal(key_of(one, "cldr_same", fraction=0.5)) == 1.0
    assert strata.goal(key_of(one, "cldr_same")) == 0.5
    graph = drive(one, strata, random.Random(0))
    assert graph.state[key_of(one, "cldr_same", fraction=0.5)] == "finished"
    assert graph.state[key_of(one, "cldr_same")] == "stopped"


def test_a_rung_at_the_last_update_is_no_pause(tmp_path: Path) -> None:
    rare = {"eval_steps": 3, "max_dev_samples": 4, "max_test_samples": 4}
    two_updates = {"max_train_samples": 8, "num_train_epochs": 1, "per_device_train_batch_size": 4}
    one = planned(tmp_path, "asha", evaluation=rare, hyperparameters=two_updates)
    strata = Strata(one)
    key = key_of(one, "cldr_same")
    assert strata.goal(key) == 0.5, "the stage itself finds that it cannot pause"
    strata.finish(key, 0.1)
    assert strata.goal(key) == 0.0
    assert strata.reached[key] == 0.5


def test_stopped_stages_are_finished_when_nothing_else_is_ready(tmp_path: Path) -> None:
    one = planned(tmp_path, {"asha": {"finish_stopped": True}})
    graph = StageGraph(one.stages, Strata(one))
    order, leftovers = [], set[str]()
    while (key := graph.take()) is not None:
        until = graph.until(key)
        assert graph.strata is not None
        if key in graph.strata.stopped:
            leftovers.add(key)
        order.append(key)
        if until < 1.0:
            graph.pause(key, until, score(one, key, until))
        else:
            graph.finish(key, score(one, key, 1.0))
    assert set(graph.state.values()) == {"finished"}
    assert len(leftovers) == 4
    assert set(order[-4:]) == leftovers
    assert graph.take_stopped() == []


def test_a_failed_intermediate_does_not_hold_its_strata_back(tmp_path: Path) -> None:
    one = planned(tmp_path, "asha")
    failing = frozenset(key_of(one, "cldr_names", seed, None) for seed in (0, 1))
    strata = Strata(one)
    graph = drive(one, strata, random.Random(3), failing)
    assert graph.counts["skipped"] == 4
    [decision] = strata.take_decisions()
    assert decision.verdict.dropped[-1] == "cldr_names"
    assert graph.state[key_of(one, "cldr_dates")] == "finished"


def test_strata_without_dev_data_are_full(tmp_path: Path) -> None:
    one = planned(tmp_path, "asha", targets=["cldr_match"])
    graph = drive(one, Strata(one), random.Random(0))
    assert set(graph.state.values()) == {"finished"}
