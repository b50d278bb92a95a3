from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analysis.test_benchmark import write_suite
from results.rows import run_row, score_rows
from tasks.test_suites import published, task_scores

from raystilts.cli import main
from raystilts.results.ledger import write_attempt
from raystilts.tasks.suites import XTREME

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; exit code, standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raystilts", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


def test_an_incomplete_suite_for_people(call: Call, tmp_path: Path) -> None:
    code, out, err = call("benchmark", str(write_suite(tmp_path)), "--suite", "xtreme")
    assert (code, err) == (0, "")
    assert "INCOMPLETE: 3 of 9 targets; every average is over what is there, not the suite's score" in out
    assert "without udpos, panx, xquad, mlqa, tydiqa, bucc2018 (not in these results)" in out
    assert "best per target" in out
    assert all(len(line) <= 100 for line in out.splitlines())
    [none] = [line.split() for line in out.split("mean over one set")[0].splitlines() if line.startswith("none")]
    assert none == ["none", "68.0", "30.0", "55.3", "2"]


def test_for_programs(call: Call, tmp_path: Path) -> None:
    code, out, _ = call(
        "benchmark", str(write_suite(tmp_path)), "--suite", "pawsx,xnli", "--languages", "de,fr", "--json"
    )
    found = json.loads(out)
    assert (code, found["complete"], found["suite"]) == (0, False, "pawsx,xnli")
    assert found["fixed"]["asked"] == ["de", "fr"]
    assert found["fixed"]["missing_languages"] == {"pawsx": ["fr"], "xnli": ["fr"]}
    best = found["own"]["rows"][-1]
    assert best["arm"] == "best per target"
    assert best["gain"]["value"] == pytest.approx((0.05 + 0.07) / 2)
    assert best["gain"]["low"] < best["gain"]["value"] < best["gain"]["high"]


def test_mistakes(call: Call, tmp_path: Path) -> None:
    write_suite(tmp_path)
    code, out, err = call("benchmark", str(tmp_path), "--suite", "glue")
    assert (code, out) == (2, "")
    assert err.startswith("raystilts: --suite glue: 'glue' is neither a suite (xtreme, xtreme_r) nor a task; ")
    assert call("benchmark", str(tmp_path / "no"), "--suite", "xtreme")[0] == 2


def _write_published(folder: Path, data_dir: Path) -> dict[str, dict[str, float]]:
    """A published dev table as the results of one seed, each score the same in every language."""
    table = published(data_dir, "phang2020_dev_recalled.csv")
    none = task_scores(table[table["kind"] == "value"])
    gains = table[table["kind"] == "delta_vs_baseline"]
    arms = {"none": none}
    for name, rows in gains.groupby("intermediate"):
        own = {"SQuADv1.1": "squad", "MNLI": "mnli"}.get(str(name), str(name).lower())
        arms[own] = {target: none[target] + gain for target, gain in task_scores(rows).items()}
    for arm, scores in arms.items():
        for member in XTREME.members:
            facts: dict[str, Any] = (
                {"target_fraction": None, "kind": "retrieval"} if member.group == "retrieval" else {}
            )
            run = run_row(f"{member.target}_{arm}".replace(".", "_"), intermediate=arm, target=member.target,
                          intermediate_fraction=None if arm == "none" else 1.0, **facts)  # fmt: skip
            values = dict.fromkeys(member.languages, scores[member.target] / 100)
            rows_ = score_rows(run, values, metric=member.metric)
            if member.group != "retrieval":
                rows_ += score_rows(run, {"en": scores[member.target] / 100}, metric=member.metric, split="dev")
            write_attempt(folder, run, rows_)
    return arms


def test_a_published_table_through_the_command(call: Call, tmp_path: Path, data_dir: Path) -> None:
    arms = _write_published(tmp_path, data_dir)
    out = call("benchmark", str(tmp_path), "--suite", "xtreme", "--include-overlap", "--json")[1]
    found = json.loads(out)
    assert found["complete"] is True
    rows = {row["arm"]: row for row in found["own"]["rows"]}
    for arm, scores in arms.items():
        assert 100 * rows[arm]["overall"] == pytest.approx(sum(scores.values()) / 9)
    best = {target: max(scores[target] for scores in arms.values()) for target in arms["none"]}
    assert {target: 100 * score for target, score in rows["best per target"]["scores"].items()} == pytest.approx(best)
    assert 100 * rows["best per target"]["gain"]["value"] == pytest.approx(9.92, abs=0.01)
    assert rows["best per target"]["gain"]["low"] is None  # one seed
