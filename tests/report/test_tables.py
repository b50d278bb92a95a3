from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from raystilts.report.answers import Results, TargetAnswer
from raystilts.report.tables import best_table, gain_matrix, interval, verdict

from .examples import write_results


@pytest.fixture
def answer(tmp_path: Path) -> TargetAnswer:
    [found] = Results(write_results(tmp_path)).answers()
    return found


def text(view: RenderableType, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(view)
    return out.getvalue()


def test_best_fits_eighty_columns_and_says_it_all(answer: TargetAnswer) -> None:
    shown = text(best_table(answer))
    assert max(map(len, shown.splitlines())) <= 80
    for word in ("xnli", "accuracy x 100 on test", "snli 25%", "best set", "overlap", "squad is best.", "note: "):
        assert word in shown
    [none] = [line for line in shown.splitlines() if line.startswith("none")]
    assert none.split()[1] == "45.2"


def test_matrix_shows_every_arm_but_none(answer: TargetAnswer) -> None:
    lines = text(gain_matrix([answer, replace(answer, target="other", arms=answer.arms[:1])])).splitlines()
    names = [line.split("  ")[0].strip() for line in lines]
    assert {"mnli", "snli", "snli 25%", "squad"} <= set(names)
    assert "none" not in names
    [mnli] = [line for line in lines if line.startswith("mnli")]
    assert mnli.rstrip().endswith("-")
    assert "*" in mnli


def test_interval_and_verdict(answer: TargetAnswer) -> None:
    arm = replace(answer.arms[0], gain_low=-0.0123, gain_high=0.04)
    assert interval(arm) == "[-1.2, +4.0]"
    assert interval(replace(arm, gain_low=None)) == ""
    assert verdict(replace(answer, best=())) == "No arm can be called best yet: run more seeds."
    assert verdict(replace(answer, best=("a", "b", "c"))).startswith("a, b or c: not told apart with 3 seeds")
