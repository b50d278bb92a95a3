"""Answers of a study whose schedule adapts: chosen by one posterior of all its targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raystilts.filesystem import open_folder
from raystilts.report.text import best_table
from raystilts.results.joint_choice import LOST_PRIOR, least_targets, read_prior, write_prior
from raystilts.results.ledger import write_attempt
from raystilts.results.notes import TOGETHER
from raystilts.results.results import Results

from .examples import study
from .rows import run_row, score_rows

ARMS = {"none": 0.50, "mnli": 0.60, "squad": 0.56, "snli": 0.52}
TARGETS = ("copa", "pawsx", "udpos", "wnli")


def write(folder: Path, left_out: dict[str, tuple[str, ...]] | None = None, **changes: Any) -> Path:
    """The same order of arms on every target; `mnli` and none have two seeds, the others one."""
    rng = np.random.default_rng(0)
    for target in TARGETS:
        for arm, level in ARMS.items():
            if arm in (left_out or {}).get(target, ()):
                continue
            for seed in (0, 1)[: 2 if arm in ("none", "mnli") else 1]:
                score = level + float(rng.normal(0, 0.01))
                fraction = None if arm == "none" else 1.0
                run = run_row(f"{target}_{arm}_{seed}", intermediate=arm, intermediate_fraction=fraction, seed=seed,
                              target=target)  # fmt: skip
                scores = [row for split in ("dev", "test") for row in score_rows(run, {"en": score}, split=split)]
                write_attempt(folder, run, scores)
    fields = {
        "targets": [{"task": target, "languages": ["en"]} for target in TARGETS],
        "intermediate_fractions": [1.0],
        "schedule": {"top_two": {"budget": 0.5}},
    }
    (folder / "study.json").write_text(json.dumps(study(**(fields | changes)).model_dump(mode="json")))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def test_which_schedules_are_answered_by_all_targets() -> None:
    assert [least_targets(study(schedule=one)) for one in ("full", "race", "asha", "halve", "top_two")] == [
        None, None, None, 10, 1,
    ]  # fmt: skip
    assert least_targets(study(schedule={"race": {"min_seeds": 1}}), ["race"]) == 10
    assert least_targets(None, ["halve"]) is None
    assert [least_targets(study(), rules) for rules in ((), ["race"], ["race", "halve"])] == [None, None, 10]


def test_after_halve_few_targets_are_answered_one_by_one(tmp_path: Path) -> None:
    answers = Results(write(tmp_path, schedule="halve")).answers()
    assert {arm.posterior for answer in answers for arm in answer.arms} == {"target"}


def test_the_answer_is_by_all_targets_and_says_so(folder: Path) -> None:
    answers = Results(folder).answers()
    assert {answer.target for answer in answers} == set(TARGETS)
    for answer in answers:
        assert answer.arms[0].intermediate == "mnli"
        assert {arm.posterior for arm in answer.arms} == {"study"}
        assert answer.notes[0] == TOGETHER
        assert "one posterior of all targets" in " ".join(best_table(answer).split())
    alone = write(folder, schedule="full")
    apart = Results(alone).answers()
    assert {arm.posterior for answer in apart for arm in answer.arms} == {"target"}
    assert apart[0].choice is not None
    assert answers[0].choice is not None
    assert not np.array_equal(apart[0].choice.p_best, answers[0].choice.p_best)


def test_one_target_is_answered_as_among_all_of_them(folder: Path) -> None:
    together = {answer.target: answer for answer in Results(folder).answers()}
    [one] = Results(folder).answers("pawsx")
    assert one.arms == together["pawsx"].arms


def test_an_arm_that_was_not_run_on_a_target_may_be_its_best(tmp_path: Path) -> None:
    write(tmp_path, {"copa": ("mnli",)})
    answers = {answer.target: answer for answer in Results(tmp_path).answers()}
    [unseen] = [arm for arm in answers["copa"].arms if arm.intermediate == "mnli"]
    assert unseen.seeds == 0
    assert unseen.mean is None
    assert unseen.p_best is not None
    assert unseen.p_best > 0.1, "it is best on the three other targets"
    assert unseen.in_best_set
    assert "mnli" in answers["copa"].best
    assert "not run on this target" in best_table(answers["copa"])
    assert len(Results(tmp_path).overall().arms) == 4


def test_an_open_folder_sees_a_prior_that_is_written_later(folder: Path) -> None:
    results = Results(folder)
    [before] = results.answers("pawsx")
    write_prior(open_folder(folder), {("pawsx", "squad"): 3.0, ("pawsx", "mnli"): -3.0})
    [after] = results.answers("pawsx")
    assert after.arms == Results(folder).answers("pawsx")[0].arms
    assert after.arms != before.arms


def test_the_worst_case_set_is_of_one_target(folder: Path) -> None:
    for answer in Results(folder).answers(strict=True):
        assert {arm.posterior for arm in answer.arms} == {"target"}


def test_what_the_study_started_from_is_beside_its_tables(folder: Path) -> None:
    begun = study(schedule={"top_two": {"prior": ["gone"]}})
    assert read_prior(open_folder(folder), begun) is None
    write_prior(open_folder(folder), {("copa", "mnli"): 1.5})
    assert read_prior(open_folder(folder), begun) == {("copa", "mnli"): 1.5}
    (folder / "prior.json").write_text("[1, 2")
    assert read_prior(open_folder(folder), begun) is None
    write(folder, schedule={"top_two": {"prior": ["gone"]}})
    assert all(LOST_PRIOR in answer.notes for answer in Results(folder).answers())


def test_what_earlier_studies_expect_counts(folder: Path) -> None:
    write(folder, schedule={"top_two": {"prior": ["gone"]}})

    def said(values: dict[str, float]) -> float:
        write_prior(open_folder(folder), {(target, arm): v for target in TARGETS for arm, v in values.items()})
        [answer] = Results(folder).answers("copa")
        return sum(arm.p_best or 0.0 for arm in answer.arms if arm.intermediate == "mnli")

    assert said({"mnli": 2.0, "squad": 0.0, "snli": -2.0}) > said({"mnli": -2.0, "squad": 2.0, "snli": 1.0})
