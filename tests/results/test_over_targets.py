from __future__ import annotations

import json
from pathlib import Path

import pytest

from raystilts.report.text import overall_table
from raystilts.results.over_targets import over_targets
from raystilts.results.results import Results

from .examples import write_results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    targets = [{"task": name, "languages": ["en", "de"]} for name in ("xnli", "pawsx")]
    for target in ("xnli", "pawsx"):
        write_results(tmp_path, target=target, targets=targets)
    return Results(tmp_path)


def test_arms_that_compete_everywhere(results: Results) -> None:
    found = results.overall()
    assert found.targets == ("pawsx", "xnli")
    # mnli trains on xnli's data, and the smaller fraction is not compared
    assert [(arm.label, arm.competes) for arm in found.arms] == [
        ("squad", True), ("snli", True), ("none", True), ("mnli", False), ("snli 25%", False),
    ]  # fmt: skip
    squad, snli, none = found.arms[:3]
    assert [arm.mean_rank for arm in (squad, snli, none)] == [1.0, 2.0, 3.0]  # dev chooses
    assert found.by_rank == ("squad",)
    assert found.by_gain == ("snli",)  # better on test
    assert none.scaled_gain == pytest.approx(0.0)
    assert found.arms[3].mean_rank is None
    assert json.loads(json.dumps(found.to_json()))["arms"][0]["intermediate"] == "squad"


def test_table_fits_and_says_both_criteria(results: Results) -> None:
    shown = overall_table(results.overall())
    assert max(map(len, shown.splitlines())) <= 80
    assert "Best on average by mean rank: squad; by scaled gain: snli." in shown
    assert "do not compete: in half of the targets or fewer" in " ".join(shown.split())


def test_one_target_is_its_own_average(results: Results) -> None:
    [answer] = results.answers("xnli")
    found = over_targets([answer])
    assert [arm.label for arm in found.arms if arm.in_rank_set] == list(answer.best)
