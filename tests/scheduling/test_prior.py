from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raystilts.errors import UserError
from raystilts.planning.stages import plan
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import only_intermediates, promising_first, turns_of
from raystilts.study.schema import Study


def study(**changes: Any) -> Study:
    """Two arms and `none`, two targets of which one is retrieval, two seeds."""
    fields: dict[str, Any] = {
        "name": "small",
        "intermediates": ["none", "cldr_names", "cldr_units"],
        "targets": [{"task": "cldr_dates", "languages": ["en"]}, {"task": "cldr_match", "languages": ["de"]}],
        "seeds": [0, 1],
    }
    return Study.model_validate(fields | changes)


def order(graph: StageGraph) -> list[str]:
    """Keys in the order in which one worker gets them."""
    found = []
    while (key := graph.take()) is not None:
        found.append(key)
        graph.finish(key)
    return found


def predicted(path: Path, *arms: str) -> Path:
    rows = [{"target": "cldr_dates", "intermediate": arm, "logme": -i} for i, arm in enumerate(arms)]
    path.write_text(json.dumps({"predictions": rows}), encoding="utf-8")
    return path


def test_promising_cells_run_first_and_all_of_them_run(tmp_path: Path) -> None:
    planned = plan(study())
    places = promising_first(planned, predicted(tmp_path / "p.json", "cldr_units", "none", "cldr_names"))
    found = order(StageGraph(planned.stages, turns=turns_of(planned, places)))
    assert sorted(found) == sorted(order(StageGraph(planned.stages))) == sorted(planned.stages)
    targets = [planned.stages[key] for key in found if planned.stages[key].kind == "target"]
    assert [(one.seed, one.intermediate.label) for one in targets] == [
        (seed, arm) for seed in (0, 1) for arm in ("cldr_units", "none", "cldr_names")
    ]
    longest = plan(study(order="longest_first"))
    found = order(StageGraph(longest.stages, turns=turns_of(longest, places)))
    targets = [longest.stages[key] for key in found if longest.stages[key].kind == "target"]
    assert [one.intermediate.label for one in targets] == ["cldr_units"] * 2 + ["none"] * 2 + ["cldr_names"] * 2


def test_at_any_time_every_target_has_an_answer() -> None:
    targets = [{"task": "cldr_dates", "languages": ["en"]}, {"task": "cldr_same", "languages": ["en"]}]
    planned = plan(study(targets=targets, seeds=[7, 3], baseline_seeds=[0, 1]))
    stages = [planned.stages[key] for key in order(StageGraph(planned.stages, turns=turns_of(planned)))]
    first = {7: 0, 3: 1, 0: 0, 1: 1}
    assert [first[stage.seed or 0] for stage in stages] == [0] * (len(stages) // 2) + [1] * (len(stages) // 2)
    names = [(stage.kind[0], stage.intermediate.label) for stage in stages[: len(stages) // 2]]
    assert names == [
        ("t", "none"), ("t", "none"), ("i", "cldr_names"), ("t", "cldr_names"), ("t", "cldr_names"),
        ("i", "cldr_units"), ("t", "cldr_units"), ("t", "cldr_units"),
    ]  # fmt: skip


def test_what_is_not_a_prediction_of_this_study(tmp_path: Path) -> None:
    planned = plan(study())
    with pytest.raises(UserError, match="it ranks no arm and target of this study"):
        promising_first(planned, predicted(tmp_path / "p.json", "squad"))
    (tmp_path / "x.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="expected a results folder, or the output of raystilts predict"):
        promising_first(planned, tmp_path / "x.json")


def test_intermediates_alone_are_kept_whatever_the_study_says() -> None:
    planned = plan(study(keep="none", schedule="race"))
    alone = only_intermediates(planned)
    assert list(alone.stages) == [stage.key for stage in planned.of_kind("intermediate")]
    assert (alone.study.keep, alone.study.schedule, alone.cells) == ("all", "full", ())
