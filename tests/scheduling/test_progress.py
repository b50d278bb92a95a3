from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from raystilts.planning.resolve import resolve
from raystilts.planning.stages import Plan, plan
from raystilts.scheduling.announce import Steps
from raystilts.scheduling.driver import Driver, Job, _Fitting
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.lock import HeldLock
from raystilts.scheduling.progress import GridProgress
from raystilts.scheduling.schedule import Strata
from raystilts.scheduling.searchers import StageSearch
from raystilts.scheduling.status import Status, clock, render
from raystilts.scheduling.stopping import StopRequest
from raystilts.scheduling.tally import GridTally, arm_name, describe, stage_work
from raystilts.training.checkpoints import open_checkpoints

from .examples import study
from .test_strata import SCORES
from .test_strata import planned as asha_plan


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    return plan(study(tmp_path, intermediate_fractions=[0.25, 1.0]))


def run_one(tally: GridTally, status: str, **more: object) -> str:
    key = tally.graph.take()
    assert key is not None
    tally.start(key)
    if status == "finished":
        tally.graph.finish(key)
    else:
        tally.graph.fail(key)
    tally.end(key, {"status": status, **more})
    return key


def test_tally(planned: Plan) -> None:
    tally = GridTally(StageGraph(planned.stages), already=3)
    assert len(planned.stages) == 8
    assert tally.seconds_left is None
    first = run_one(tally, "finished", dev_score=0.5)
    assert tally.seconds_left is None, "what ends first tells little of the others"
    assert (tally.work_done, tally.dev) == (stage_work(planned.stages[first]), {})
    failed = run_one(tally, "failed", error="Traceback\nValueError: odd")
    targets = [run_one(tally, "finished", dev_score=0.25) for _ in range(2)]
    tally.start(str(tally.graph.take()))
    found = tally.as_json()
    assert tally.errors == [f"{describe(planned.stages[failed])}: ValueError: odd"]
    assert (found["done"], found["running"], found["failed"]) == (6, 1, 1)
    skipped = 2 if planned.stages[failed].kind == "intermediate" else 0
    assert (found["not_run"], found["waiting"]) == (skipped, 8 - 5 - skipped)
    assert found["seconds_left"] is not None
    assert found["best_so_far"].keys() <= {"cldr_units", "cldr_match"}
    assert any(planned.stages[key].target for key in targets)


def test_arms_that_answers_leave_out_are_not_named_best(planned: Plan) -> None:
    tally = GridTally(StageGraph(planned.stages), already=0, compared=1.0)
    for key, stage in planned.stages.items():
        tally.end(key, {"status": "finished", "dev_score": 0.9 if stage.intermediate_fraction == 0.25 else 0.5})
    assert tally.dev
    assert not [arm for arms in tally.dev.values() for arm in arms if arm.endswith("25%")]
    alone = GridTally(StageGraph(planned.stages), already=0)
    alone.dev["t"]["none"].append(0.5)
    assert alone.best() == {}


def test_a_broken_run_is_in_no_mean_and_a_target_at_chance_has_no_best(planned: Plan) -> None:
    tally = GridTally(StageGraph(planned.stages), already=0)
    for key in planned.stages:
        tally.end(key, {"status": "finished", "dev_score": 0.9, "flagged": True})
    assert not tally.dev
    for key in planned.stages:
        tally.end(key, {"status": "finished", "dev_score": 0.5, "at_chance": True})
    assert tally.dev
    assert tally.best() == {}


def test_best_is_the_highest_mean(planned: Plan) -> None:
    tally = GridTally(StageGraph(planned.stages), already=0)
    tally.dev["t"]["a"] += [0.2, 0.4]
    tally.dev["t"]["b"] += [0.35]
    assert tally.best() == {"t": ("b", 0.35)}


def test_names_for_people(planned: Plan) -> None:
    names = [describe(stage) for stage in planned.stages.values()]
    assert names == [
        "train cldr_names 25% seed 0",
        "train cldr_names seed 0",
        "none > cldr_units seed 0",
        "cldr_names 25% > cldr_units seed 0",
        "cldr_names > cldr_units seed 0",
        "none > cldr_match",
        "cldr_names 25% > cldr_match seed 0",
        "cldr_names > cldr_match seed 0",
    ]
    assert {arm_name(stage) for stage in planned.stages.values()} == {"none", "cldr_names", "cldr_names 25%"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (9.4, "9 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (7290, "2 h 01 min")],
)
def test_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


class Trial:
    def __init__(self, key: str, **result: object) -> None:
        self.config: dict[str, object] = {"stage": key, "until": 1.0}
        self.last_result = result


def test_plain_lines_and_the_file(planned: Plan, tmp_path: Path) -> None:
    out = io.StringIO()
    tally = GridTally(StageGraph(planned.stages), already=0)
    with GridProgress(tally, tmp_path, Console(file=out, width=80)) as view:
        for status in ("finished", "failed"):
            key = tally.graph.take()
            assert key is not None
            trial = Trial(key, status=status, dev_score=0.5, error="ValueError: odd")
            view.on_trial_start(0, [], trial)
            if status == "finished":
                tally.graph.finish(key)
            else:
                tally.graph.fail(key)
            view.on_trial_complete(0, [], trial)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("[1 done, 0 running, ")
    assert lines[0].endswith(": dev 50.0")
    assert lines[1].endswith(": FAILED")
    found = json.loads((tmp_path / "progress.json").read_text())
    assert (found["done"], found["failed"]) == (1, 1)


def test_the_file_does_not_say_ended_where_stages_are_left_to_the_next_run(planned: Plan, tmp_path: Path) -> None:
    def state() -> str:
        return str(json.loads((tmp_path / "progress.json").read_text())["state"])

    console = Console(file=io.StringIO(), width=80)
    tally = GridTally(StageGraph(planned.stages), already=0)
    view = GridProgress(tally, tmp_path, console)
    with pytest.raises(RuntimeError, match="of Ray"), view:
        raise RuntimeError("of Ray")
    assert state() == "stopped"
    search = StageSearch(tally.graph)
    search.halt("no space left")
    job = Job(planned, (), (), search, object, GridProgress(tally, tmp_path, console), lambda: None)
    checkpoints = open_checkpoints(tmp_path / "checkpoints")
    parts = resolve(planned.study), str(tmp_path), checkpoints, console, None, HeldLock(), StopRequest(), Steps(console)
    driver = Driver(*parts)
    fitting = _Fitting(lambda: None)
    fitting.start()
    with job.view:
        driver._watch(fitting, job, "a run")
    assert state() == "stopped"


def test_the_live_view_fits_a_narrow_terminal(planned: Plan) -> None:
    out = io.StringIO()
    tally = GridTally(StageGraph(planned.stages), already=0)
    tally.start(str(tally.graph.take()))
    Console(file=out, width=60).print(render(Status.from_json(tally.as_json()), 60))
    assert max(map(len, out.getvalue().splitlines())) <= 60
    assert "cldr_units" in out.getvalue()


def test_paused_and_stopped_runs_are_counted_apart(tmp_path: Path) -> None:
    one = asha_plan(tmp_path, "asha", seeds=[0], targets=["cldr_units"])
    graph = StageGraph(one.stages, Strata(one))
    tally, out = GridTally(graph, already=0), io.StringIO()
    whole = tally.work_left()
    with GridProgress(tally, tmp_path, Console(file=out, width=80)) as view:
        while (key := graph.take()) is not None:
            until = graph.until(key)
            score = SCORES[one.stages[key].intermediate.label] * until
            trial = Trial(key, status="paused" if until < 1.0 else "finished", dev_score=score)
            trial.config["until"] = until
            view.on_trial_start(0, [], trial)
            if until < 1.0:
                graph.pause(key, until, score)
            else:
                graph.finish(key, score)
            view.on_trial_complete(0, [], trial)
            counts = tally.as_json()
            assert counts["done"] + counts["waiting"] + counts["paused"] + counts["stopped"] == len(one.stages)
    lines = [line for line in out.getvalue().splitlines() if line.endswith(" at 1/2")]
    assert len(lines) == 4, "each arm but none is paused once"
    assert " 2 paused, 0 failed" in lines[1]
    assert " 1 paused, 1 stopped, 0 failed" in lines[2], "the worst of three is out, the best of three goes on"
    assert (counts["stopped"], counts["paused"], counts["waiting"]) == (2, 0, 0)
    assert tally.work_left() == 0
    stopped = [key for key, state in graph.state.items() if state == "stopped"]
    assert tally.work_done == pytest.approx(whole - sum(stage_work(one.stages[key]) / 2 for key in stopped))
    assert not tally.errors
