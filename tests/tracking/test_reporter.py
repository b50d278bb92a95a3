from __future__ import annotations

from pathlib import Path

import pytest
from scheduling.examples import study

from raystilts.planning.stages import plan
from raystilts.tracking import reporter
from raystilts.tracking.cell import tracked
from raystilts.training.loop import Progress

from .test_cell import result


def test_without_a_tracker_nothing_is_asked_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("loss_points", "score_points", "points_of", "summary_of"):
        monkeypatch.setattr(reporter, name, lambda *given: pytest.fail("nobody reads this"))
    monkeypatch.setattr(reporter, "REPORT_SECONDS", -1.0)
    planned = plan(study(tmp_path))
    found = reporter.reporter_of(next(iter(planned.stages.values())), planned.study, str(tmp_path), {})
    assert not found.is_due(), "or losses would be fetched from the device"
    found.report(Progress(step=1, losses=[1.0]))
    assert found.end("finished", result((1.0,))) == {}


def test_a_stage_of_several_tasks_is_told_as_one(tmp_path: Path) -> None:
    arms = ["none", "cldr_names", {"tasks": ["cldr_names", "cldr_dates"]}]
    planned = plan(study(tmp_path, intermediates=arms))
    mixed = {one.intermediate.label: tracked(one, planned.study, "").mixed for one in planned.of_kind("intermediate")}
    assert sorted(mixed.values()) == [False, True]
    assert mixed["cldr_names"] is False
