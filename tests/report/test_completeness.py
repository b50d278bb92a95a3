from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from results.examples import study, write_results
from results.rows import run_row, score_rows
from typer.testing import CliRunner

from raystilts.cli.common import app
from raystilts.report.completeness import completeness
from raystilts.report.text import verdict
from raystilts.results.ledger import Ledger, write_attempt
from raystilts.results.results import Results

TARGETS = ["xnli", "pawsx"]


def write(folder: Path, stages: list[tuple[str, str, int]], status: str = "finished", **changes: object) -> Results:
    """A study of three arms, two targets and two seeds of which these stages (arm, target, seed) are there."""
    for arm, target, seed in stages:
        run = run_row(f"{arm}.{target}.{seed}", intermediate=arm, target=target, seed=seed, status=status,
                      intermediate_fraction=None if arm == "none" else 1.0)  # fmt: skip
        rows = [row for split in ("dev", "test") for row in score_rows(run, {"en": 0.5 + 0.01 * seed}, split=split)]
        write_attempt(folder, run, rows if status == "finished" else [])
    fields = {
        "intermediates": ["none", "snli", "squad"],
        "intermediate_fractions": [1.0],
        "targets": [{"task": name, "languages": ["en"]} for name in TARGETS],
        "seeds": [0, 1],
    }
    (folder / "study.json").write_text(json.dumps(study(**(fields | changes)).model_dump(mode="json")))
    return Results(folder)


def everything() -> list[tuple[str, str, int]]:
    return [(arm, target, seed) for arm in ("none", "snli", "squad") for target in TARGETS for seed in (0, 1)]


def test_a_whole_study(tmp_path: Path) -> None:
    found = completeness(write(tmp_path, everything()))
    assert found is not None
    assert (found.done, found.asked, found.complete) == (12, 12, True)
    assert found.sentence() == "12 of 12 cells"


def test_an_arm_and_a_part_of_another_are_missing(tmp_path: Path) -> None:
    there = [s for s in everything() if s[0] != "squad" and s != ("snli", "pawsx", 1)]
    found = completeness(write(tmp_path, there))
    assert found is not None
    assert found.sentence() == "7 of 12 cells; missing: squad; snli for pawsx"


def test_a_target_is_missing_and_a_failed_stage_is_not_there(tmp_path: Path) -> None:
    results = write(tmp_path, [s for s in everything() if s[1] == "xnli" and s[:1] != ("squad",)])
    write(tmp_path, [("squad", "xnli", 0), ("squad", "xnli", 1)], status="failed")
    found = completeness(results)
    assert found is not None
    assert found.sentence() == "4 of 12 cells; missing: squad; target pawsx"


def test_rows_that_were_read_already_say_the_same(tmp_path: Path) -> None:
    results = write(tmp_path, [s for s in everything() if s[0] != "squad"])
    write(tmp_path, [("squad", "xnli", 0)], status="failed")
    write(tmp_path, [("squad", "xnli", 1)], status="stopped")
    again = run_row("snli.xnli.0", intermediate="snli", target="xnli", seed=0, intermediate_fraction=1.0,
                    status="failed", attempt=2)  # fmt: skip
    write_attempt(tmp_path, again, [])
    found = completeness(results, Ledger(tmp_path).rows())
    assert found == completeness(results)
    assert found is not None
    assert (found.done, found.asked) == (9, 12)


def test_where_a_schedule_ends_arms_pairs_are_counted(tmp_path: Path) -> None:
    seeds: dict[str, Any] = {"schedule": {"race": {}}, "seeds": [0, 1, 2, 3]}
    found = completeness(write(tmp_path, everything(), **seeds))
    assert found is not None
    assert found.sentence() == "6 of 6 arm and target pairs"


def test_none_alone_is_not_called_best(tmp_path: Path) -> None:
    results = write(tmp_path, [s for s in everything() if s[0] == "none"])
    for answer in results.answers():
        assert verdict(answer).startswith("Nothing to compare yet")
    shown = CliRunner().invoke(app, ["best", str(tmp_path)]).output
    assert shown.startswith("4 of 12 cells; missing: snli; squad\n")
    assert "best" not in shown.split("arm ")[0].lower().replace("nothing", "")


def test_answers_begin_with_it(tmp_path: Path) -> None:
    write_results(tmp_path)
    for command in (["best"], ["matrix"], ["next"]):
        shown = CliRunner().invoke(app, [*command, str(tmp_path)]).output
        assert shown.startswith("15 of 21 cells; missing: ")
