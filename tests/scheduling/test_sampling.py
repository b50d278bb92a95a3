"""What a study's `top_two` starts from: priors from results folders, prices of intermediates, budgets."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.importing.table import import_table
from raystilts.planning.cost import stage_tokens
from raystilts.planning.stages import Plan
from raystilts.schedules.top_two import TopTwoRule
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import outstanding
from raystilts.scheduling.sampling import prior_of, spent_by
from raystilts.scheduling.schedule import Strata

from .test_strata import key_of, planned


def earlier(folder: Path) -> str:
    """Imported: cldr_dates is best on cldr_units, cldr_choice next; cldr_names and none are not known there."""
    rows = [f"{arm},cldr_units,{seed},accuracy,{level + seed}"
            for arm, level in (("cldr_dates", 70), ("cldr_choice", 60), ("cldr_same", 40), ("other", 30))
            for seed in (0, 1)]  # fmt: skip
    (folder / "early.csv").write_text("\n".join(["intermediate,target,seed,metric,value", *rows]), encoding="utf-8")
    import_table(folder / "early.csv", folder / "early")
    return str(folder / "early")


def started(one: Plan, strata: Strata) -> set[tuple[str, str]]:
    """Arm and target of the governed stages that are wanted now."""
    stages = (one.stages[key] for key in one.stages if strata.governs(key) and strata.goal(key))
    return {(stage.intermediate.label, str(stage.target)) for stage in stages}


def test_a_study_starts_with_what_an_earlier_one_found(tmp_path: Path) -> None:
    folder = earlier(tmp_path)
    schedule = {"top_two": {"prior": folder, "runs": 4}}
    one = planned(tmp_path, schedule, targets=["cldr_units"], storage_path=str(tmp_path / "now"))
    prior = prior_of(one, [folder])
    assert sorted(prior, key=lambda cell: -prior[cell]) == [
        ("cldr_units", arm) for arm in ("cldr_dates", "cldr_choice", "cldr_same")
    ]
    strata = outstanding(one, str(tmp_path / "now" / "small")).strata
    assert strata is not None
    assert {("none", "cldr_units"), ("cldr_dates", "cldr_units"), ("cldr_choice", "cldr_units")} < started(one, strata)
    assert len(started(one, strata)) == 4


def test_texts_of_the_tasks_are_a_prior_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    one = planned(tmp_path, {"top_two": {"prior": "text"}}, targets=["cldr_units"], storage_path=str(tmp_path / "now"))
    text = prior_of(one, ["text"])
    arms = {arm.label for arm in one.study.intermediates if arm.tasks}
    assert text.keys() == {("cldr_units", arm) for arm in arms}
    assert sum(text.values()) == pytest.approx(0.0)
    assert sum(value**2 for value in text.values()) == pytest.approx(len(arms))
    folder = earlier(tmp_path)
    scores, both = prior_of(one, [folder]), prior_of(one, ["text", folder])
    for cell in both:
        given = [prior[cell] for prior in (text, scores) if cell in prior]
        assert both[cell] == pytest.approx(sum(given) / len(given))
    priors: tuple[str | list[str], ...] = ("text", ["text", folder], [])
    schedules = [planned(tmp_path, {"top_two": {"prior": prior}}).study.schedule for prior in priors]
    assert [getattr(schedule, "share", None) for schedule in schedules] == [0.30, 0.25, 0.35]


def test_a_prior_that_is_not_there_is_said_before_anything_trains(tmp_path: Path) -> None:
    one = planned(tmp_path, {"top_two": {"prior": str(tmp_path / "nowhere")}}, storage_path=str(tmp_path / "now"))
    with pytest.raises(UserError, match="nowhere does not exist"):
        outstanding(one, str(tmp_path / "now" / "small"))


def test_time_is_spent_by_targets_and_intermediates(tmp_path: Path) -> None:
    """Each run of a round costs 10 s and each intermediate 20 s: 30 s a run, `none` apart."""
    schedule = {"top_two": {"gpu_hours": 200 / 3600, "round_size": 1}}
    one = planned(tmp_path, schedule, targets=["cldr_units"], seeds=[0, 1, 2, 3])

    def spent(stages: Collection[str]) -> float:
        return sum(20.0 if one.stages[key].kind == "intermediate" else 10.0 for key in stages if key in one.stages)

    strata = Strata(one, spent=spent)
    graph = StageGraph(one.stages, strata)
    trained = 0.0
    while not graph.ended:
        key = graph.take()
        if key is None:
            break
        if strata.governs(key) or one.stages[key].kind == "intermediate":
            trained += spent({key})
        graph.finish(key, 0.5 + len(one.stages[key].intermediate.label) / 100)
    assert 140 <= trained <= 230, "the last runs are decided on before their price is known"
    assert spent_by(str(tmp_path / "empty"))(set(one.stages)) == 0.0


def test_prices_are_work_of_an_intermediate_in_target_runs(tmp_path: Path) -> None:
    one = planned(tmp_path, {"top_two": {"runs": 9}}, targets=["cldr_units"])
    strata = Strata(one)
    assert isinstance(strata._joint, TopTwoRule)
    prices = strata._joint._settings.prices
    assert "none" not in prices
    mine = one.stages[str(one.stages[key_of(one, "cldr_names")].parent)]
    targets = [stage for stage in one.stages.values() if stage.kind == "target"]
    mean = sum(map(stage_tokens, targets)) / len(targets)
    assert prices["cldr_names"] == pytest.approx(stage_tokens(mine) / mean)
