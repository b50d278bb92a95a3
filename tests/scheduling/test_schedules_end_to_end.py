"""Whole studies under each schedule: the same tables and decisions, whatever was interrupted, killed or changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raystilts.planning.stages import plan
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.scheduling.outstanding import outstanding
from raystilts.study.schema import Study

from .here import run_here, same, tables
from .runs import Run, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STUDY = """
name: small
encoder: {{model_name_or_path: {encoder}}}
intermediates: {intermediates}
targets:
  - {{task: cldr_units, languages: [en]}}
seeds: {seeds}
hyperparameters: {{learning_rate: 3e-3, num_train_epochs: 1, max_train_samples: 16, per_device_train_batch_size: 4}}
evaluation: {{eval_steps: 0.25, max_dev_samples: 16, max_test_samples: 8}}
schedule: {schedule}
"""
#: Schedule, intermediates, seeds, and after how many attempts in the ledger the driver is killed.
CASES = {
    "asha": ("asha", "[none, cldr_names, cldr_same]", "[0, 1]", (3, 8)),
    "race": ("{race: {confidence: 0.95}}", "[none, cldr_names, cldr_same, cldr_dates]", "[0, 1, 2, 3]", (9,)),
    "top_two": (
        "{top_two: {runs: 9, round_size: 2}}",
        "[none, cldr_names, cldr_same, cldr_dates]",
        "[0, 1, 2]",
        (7,),
    ),
    "halve": (
        "{halve: {keep: [all, 2, 1], rung: 0.5}}",
        "[none, cldr_names, cldr_same, cldr_dates]",
        "[0, 1, 2]",
        (6,),
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """The studies, and where their runs take place."""
    folder = tmp_path_factory.mktemp("schedules")
    for name, (schedule, intermediates, seeds, _) in CASES.items():
        text = STUDY.format(schedule=schedule, intermediates=intermediates, seeds=seeds, encoder=tiny_encoder)
        (folder / f"{name}.yaml").write_text(text)
    return folder


def study(folder: Path, name: str, storage: str, *changes: str) -> Study:
    return Study.from_file(folder / f"{name}.yaml", (f"storage_path={folder / storage}", *changes))


@pytest.fixture(scope="module")
def calm(folder: Path) -> dict[str, Path]:
    """The results of a run under each schedule that nothing disturbed."""
    found = {}
    for name in CASES:
        run_here(study(folder, name, f"calm_{name}"))
        found[name] = folder / f"calm_{name}" / "small"
    return found


def test_asha_stops_the_worse_arm_and_says_so(calm: dict[str, Path]) -> None:
    rows = Ledger(calm["asha"]).rows()
    last = {row.stage: row for row in rows if row.kind == "target"}
    assert sorted(row.status for row in last.values()) == ["finished"] * 4 + ["stopped"] * 2
    assert len([row for row in rows if row.status == "paused"]) == 4, "both arms, both seeds"
    assert {(row.rung, row.stop_reason) for row in last.values() if row.status == "stopped"} == {(0.5, "asha")}
    assert {row.steps_done for row in last.values() if row.status == "stopped"} == {2}
    [decision] = Results(calm["asha"]).decisions().to_dict("records")
    [dropped] = json.loads(decision["arms_dropped"])
    assert {row.intermediate for row in last.values() if row.status == "stopped"} == {dropped}
    assert not list((calm["asha"].parent / "checkpoints" / "in_progress").glob("*"))


def test_answers_show_what_was_stopped_and_rank_what_was_finished(calm: dict[str, Path]) -> None:
    [answer] = Results(calm["asha"]).answers()
    stopped, finished = ([arm for arm in answer.arms if bool(arm.stopped) == which] for which in (True, False))
    [arm] = stopped
    assert (arm.stopped, arm.seeds, arm.mean, arm.in_best_set) == (2, 0, None, False)
    assert arm.intermediate not in answer.best
    assert {arm.seeds for arm in finished} == {2}


def test_a_race_trains_further_seeds_of_what_may_be_best(calm: dict[str, Path]) -> None:
    decisions = Results(calm["race"]).decisions()
    assert list(decisions["round"]) == list(range(1, len(decisions) + 1))
    assert len(decisions) > 1, "survivors run on, seed after seed"
    arms = {"cldr_names", "cldr_same", "cldr_dates"}
    racing, kept = arms, []
    for seeds, decision in enumerate(decisions.to_dict("records"), start=2):
        assert set(json.loads(decision["scores"])) == racing | {"none"}
        kept = json.loads(decision["arms_kept"])
        for row in Ledger(calm["race"]).rows():
            if row.kind == "target" and row.intermediate in racing - set(kept):
                assert row.seed in range(seeds)
        racing = set(kept)
    rows = Ledger(calm["race"]).rows()
    assert {row.status for row in rows} == {"finished"}
    trained = {(row.kind, row.intermediate, row.seed) for row in rows}
    assert {("target", arm, seed) for arm in arms | {"none"} for seed in (0, 1)} <= trained
    assert {(arm, seed) for kind, arm, seed in trained if kind == "intermediate"} == {
        (arm, seed) for kind, arm, seed in trained if kind == "target" and arm != "none"
    }, "an intermediate is trained for the seeds that race, and no others"


def test_halving_gives_further_seeds_to_the_best_few(calm: dict[str, Path]) -> None:
    decisions = Results(calm["halve"]).decisions()
    assert list(decisions["round"]) == [1, 2, 3]
    assert list(decisions["share"]) == [0.5, 1.0, 1.0]
    kept = [json.loads(arms) for arms in decisions["arms_kept"]]
    assert [len(arms) for arms in kept] == [2, 2, 1]
    scores = json.loads(decisions["scores"][2])
    assert kept[2] == [max(sorted(scores), key=scores.__getitem__)]
    last = {row.stage: row for row in Ledger(calm["halve"]).rows() if row.kind == "target"}.values()
    [stopped] = [row for row in last if row.status == "stopped"]
    assert (stopped.rung, stopped.stop_reason, stopped.seed) == (0.5, "halve", 0)
    assert json.loads(decisions["arms_dropped"][0]) == [stopped.intermediate]
    finished = {(row.intermediate, row.seed) for row in last if row.status == "finished"}
    expected = {(arm, 0) for arm in kept[0]} | {(arm, 1) for arm in kept[1]} | {(kept[2][0], 2)}
    assert finished == expected | {("none", seed) for seed in (0, 1, 2)}
    trained = {(row.intermediate, row.seed) for row in Ledger(calm["halve"]).rows() if row.kind == "intermediate"}
    assert trained == expected | {(stopped.intermediate, 0)}, "an intermediate is trained for the seeds that are run"


def test_top_two_sampling_keeps_to_its_budget_and_names_the_best(calm: dict[str, Path]) -> None:
    decisions = Results(calm["top_two"]).decisions()
    assert set(decisions["rule"]) == {"top_two"}
    rows = Ledger(calm["top_two"]).rows()
    targets = [(row.intermediate, row.seed) for row in rows if row.kind == "target"]
    assert len(targets) == 9
    assert {("none", 0), ("cldr_names", 0), ("cldr_same", 0), ("cldr_dates", 0)} < set(targets)
    last = decisions.iloc[-1]
    scores = json.loads(last["scores"])
    kept, dropped = json.loads(last["arms_kept"]), json.loads(last["arms_dropped"])
    best = max(sorted(scores), key=scores.__getitem__)
    assert kept == ([] if best == "none" else [best])
    assert set(kept + dropped) == {"cldr_names", "cldr_same", "cldr_dates"}
    intermediates = {(row.intermediate, row.seed) for row in rows if row.kind == "intermediate"}
    assert intermediates == {one for one in targets if one[0] != "none"}


@pytest.mark.parametrize("name", list(CASES))
def test_nothing_is_left_to_do(folder: Path, calm: dict[str, Path], name: str) -> None:
    assert outstanding(plan(study(folder, name, f"calm_{name}")), str(calm[name])).ended


@pytest.mark.parametrize("name", list(CASES))
def test_a_driver_that_is_started_anew_after_every_second_segment(
    folder: Path, calm: dict[str, Path], name: str
) -> None:
    one = study(folder, name, f"again_{name}")
    while not run_here(one, segments=2).ended:
        continue
    run_here(one)
    same(tables(folder / f"again_{name}" / "small"), tables(calm[name]))


@pytest.mark.parametrize("name", list(CASES))
def test_killed_and_started_again(folder: Path, calm: dict[str, Path], name: str) -> None:
    results = folder / "killed" / name / "small"
    command = ["run", f"{name}.yaml", "--storage-path", f"killed/{name}"]
    for attempts in CASES[name][-1]:
        with Run(folder, command) as one:
            one.until(results, attempts, attempts=True)
    again = run(folder, *command)
    assert again.code == 0, again.err
    stopped = {"asha": 2, "race": 0, "halve": 1, "top_two": 0}[name]
    assert (f"{stopped} stopped early" in again.err) == (stopped > 0)
    same(tables(results), tables(calm[name]))
    progress = json.loads((results / "progress.json").read_text())
    assert (progress["stopped"], progress["paused"]) == (stopped, 0)
    assert (progress["failed"], progress["waiting"], progress["running"]) == (0, 0, 0)


@pytest.fixture(scope="module")
def full(folder: Path) -> Path:
    """The results of the study of asha under `full`."""
    run_here(study(folder, "asha", "full", "schedule=full"))
    return folder / "full" / "small"


def test_full_goes_on_with_what_was_stopped(folder: Path, calm: dict[str, Path], full: Path) -> None:
    """After the others: the same study under another schedule ends as if it had been that from the start."""
    run_here(study(folder, "asha", "calm_asha", "schedule=full"))
    expected, found = tables(full), tables(calm["asha"])
    assert len(found.pop("decisions")) == 1
    assert set(found["runs"]["status"]) == {"finished"}
    same(found, expected)


def test_stopped_runs_are_finished_at_last(folder: Path, full: Path) -> None:
    run_here(study(folder, "asha", "leftover", "schedule={asha: {finish_stopped: true}}"))
    found = tables(folder / "leftover" / "small")
    [decision] = found.pop("decisions").to_dict("records")
    assert len(json.loads(decision["arms_dropped"])) == 1
    same(found, tables(full))
    assert {row.status for row in Ledger(folder / "leftover" / "small").rows()} == {"finished", "paused"}


def test_another_arm_changes_the_decision(folder: Path) -> None:
    """With three arms two go on, so that one that was stopped may now be finished."""
    more = ("seeds=[0]", "intermediates=[none, cldr_names, cldr_same, cldr_dates]")
    run_here(study(folder, "asha", "wider", "seeds=[0]"))
    run_here(study(folder, "asha", "wider", *more))
    run_here(study(folder, "asha", "wide", *more))
    found, expected = tables(folder / "wider" / "small"), tables(folder / "wide" / "small")
    assert len(found.pop("decisions")) == 2
    assert len(expected.pop("decisions")) == 1
    stages = set(expected["runs"]["stage"])
    assert set(found["runs"]["stage"]) == stages
    for name in ("scores", "curves"):
        merged = found[name].merge(expected[name], how="inner")
        assert len(merged) == len(expected[name]), "whoever was kept has the same scores"
