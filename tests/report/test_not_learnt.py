"""A study whose runs are at chance: every output says so, and no arm is called better than another."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from results.examples import study
from results.rows import run_row, score_rows
from typer.testing import CliRunner

from raystilts.cli.common import app
from raystilts.report.html.gather import gather
from raystilts.report.html.page import page
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results

runner = CliRunner()
ARMS = ("none", "snli", "squad")


def write_folder(folder: Path, value: float, rule: str | None) -> Path:
    """Three arms and seeds of xnli whose dev and test scores are near `value`."""
    for place, arm in enumerate(ARMS):
        for seed in range(3):
            run = run_row(
                f"{arm}.{seed}", intermediate=arm, intermediate_fraction=None if arm == "none" else 1.0, seed=seed,
                target="xnli", degenerate=rule is not None, degenerate_rule=rule,
            )  # fmt: skip
            score = value and value + 0.01 * place + 0.001 * seed * place
            rows = [row for split in ("dev", "test") for row in score_rows(run, {"en": score}, split=split)]
            write_attempt(folder, run, rows)
    target = {"task": "xnli", "languages": ["en"]}
    small = study(intermediates=list(ARMS), intermediate_fractions=[1.0], targets=[target])
    (folder / "study.json").write_text(json.dumps(small.model_dump(mode="json")))
    return folder


@pytest.fixture(params=[(0.34, "chance"), (0.0, None)], ids=["chance", "zero"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_folder(tmp_path / "hard", *request.param)


def run(*arguments: object) -> str:
    found = runner.invoke(app, [str(argument) for argument in arguments])
    assert found.exit_code == 0, found.output
    return " ".join(found.stdout.split())


def test_best_names_no_arm(folder: Path) -> None:
    text = run("best", folder, "--target", "xnli")
    assert "Not learnt at this size" in text
    assert "train longer or on more data" in text
    assert "*" not in text
    assert "+0.0" not in text
    arms = json.loads(run("best", folder, "--json"))
    assert len(arms) == 3
    for arm in arms:
        assert (arm["gain"], arm["gain_low"], arm["p_best"], arm["expected_regret"]) == (None,) * 4
        assert not arm["in_best_set"]
        assert arm["mean"] is not None


def test_the_constant_answer_is_named(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSTILTS_DATA_DIR", str(data_dir))
    text = run("best", write_folder(tmp_path, 0.34, "chance"), "--target", "xnli")
    assert re.search(r"at chance on dev, where the best constant answer scores 3[34]\.\d\.", text)


def test_matrix_and_average_and_next_say_so(folder: Path) -> None:
    assert "not learnt at this size, so no arm is better than another: xnli" in run("matrix", folder)
    text = run("best", folder, "--overall")
    assert "No arm can be called best over targets" in text
    assert "left out, not learnt at this size: xnli" in text
    found = runner.invoke(app, ["next", str(folder), "-o", str(folder / "next.yaml")])
    assert found.exit_code == 1
    assert "not learnt at this size" in " ".join(found.output.split())
    assert "next.yaml was not written" in " ".join(found.output.split())
    assert not (folder / "next.yaml").exists()


def test_analyses_say_so(folder: Path) -> None:
    found = run("analyze", "gains", folder)
    assert found.startswith("9 of 9 cells not learnt at this size, so no arm is better than another: xnli;")


def test_the_page_says_so(folder: Path) -> None:
    text = page(gather(Results(folder)))
    assert "Not learnt at this size" in text
    assert "P(best)" not in text.split("Not learnt at this size")[1].split("</section>")[0]


def test_learnt_again_with_most_runs_above_chance(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, 0.6, None)
    run_at_chance = run_row("squad.3", intermediate="squad", intermediate_fraction=1.0, seed=3, target="xnli",
                            degenerate=True, degenerate_rule="chance")  # fmt: skip
    rows = [row for split in ("dev", "test") for row in score_rows(run_at_chance, {"en": 0.33}, split=split)]
    write_attempt(folder, run_at_chance, rows)
    [answer] = Results(folder).answers()
    assert answer.learnt
    assert answer.best
