from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from results.examples import write_results
from results.rows import run_row, score_rows, write
from typer.testing import CliRunner

from raystilts.cli.common import app
from raystilts.report.text import best_table, interval, marks, verdict
from raystilts.results.answers import TargetAnswer, arm_names
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results


@pytest.fixture
def answer(tmp_path: Path) -> TargetAnswer:
    [found] = Results(write_results(tmp_path)).answers()
    return found


def test_best_fits_eighty_columns_and_says_it_all(answer: TargetAnswer) -> None:
    shown = best_table(answer)
    assert max(map(len, shown.splitlines())) <= 80
    for word in ("xnli", "accuracy x 100 on test", "snli 25%", "best set", "overlap", "squad is best.", "note: "):
        assert word in shown
    [none] = [line for line in shown.splitlines() if line.startswith("  none")]
    assert none.split()[1] == "45.2"
    [best] = [line for line in shown.splitlines() if line.startswith("* ") and "set" not in line]
    assert best.split()[1] == "squad"


def test_interval_and_verdict(answer: TargetAnswer) -> None:
    arm = replace(answer.arms[0], gain_low=-0.0123, gain_high=0.04)
    assert interval(arm) == "[-1.2, +4.0]"
    assert interval(replace(arm, gain_low=None)) == ""
    assert verdict(replace(answer, best=())) == "No arm can be called best yet: run more seeds."
    assert verdict(replace(answer, best=("a", "b", "c"))).startswith("a, b or c: not told apart with 3 seeds")
    assert verdict(replace(answer, best=("none",))).startswith("No intermediate task helps here: training without")


def test_gains_that_are_not_differences_of_means_are_said_to_be_none(answer: TargetAnswer) -> None:
    said = "they need not be the differences of the means"
    assert said not in " ".join(best_table(answer).split())
    first = replace(answer.arms[0], gain=(answer.arms[0].gain or 0.0) - 0.01)
    assert said in " ".join(best_table(replace(answer, arms=(first, *answer.arms[1:]))).split())


def test_targets_without_a_language_are_named(tmp_path: Path) -> None:
    folder = write_results(tmp_path)
    for arm in ("none", "squad"):
        write(folder, arm, {"sw": 0.5}, intermediate=arm, target="pawsx")
    for command in (["best"], ["matrix"]):
        run = [*command, str(folder), "--language"]
        assert "left out, without scores in de: pawsx\n" in CliRunner().invoke(app, [*run, "de"]).stdout
        assert "left out, without scores in sw: xnli\n" in CliRunner().invoke(app, [*run, "sw"]).stdout
    for more in ([], ["--language", "de", "--target", "xnli"]):
        assert "without scores in" not in CliRunner().invoke(app, ["best", str(folder), *more]).stdout


def close(folder: Path, gap: float, seeds: int = 3, noise: float = 0.01) -> TargetAnswer:
    """none at .5, two arms `gap` apart and one far behind, each seed a little different in each arm."""
    shifts = [(0, 1, -1), (1, -1, 0), (-1, 0, 1), (1, 0, -1)]
    for i, (name, score) in enumerate((("none", 0.5), ("a", 0.6), ("b", 0.6 + gap), ("c", 0.3))):
        for seed in range(seeds):
            value = score + noise * shifts[i][seed]
            run = run_row(f"{name}{seed}", intermediate=name, intermediate_fraction=None if i == 0 else 1.0, seed=seed)
            write_attempt(folder, run, score_rows(run, {"en": value}) + score_rows(run, {"en": value}, split="dev"))
    [found] = Results(folder).answers()
    return found


def test_the_verdict_says_what_would_decide(tmp_path: Path) -> None:
    near = close(tmp_path / "near", 0.0)
    assert sorted(near.best) == ["a", "b"]
    assert "not told apart with 3 seeds; 8 more seeds of these and of no intermediate task would" in verdict(near)
    assert verdict(near).endswith(" only.")
    some = close(tmp_path / "some", 0.016)
    advice = some.advice
    assert advice is not None
    assert advice.seeds is not None
    assert f"; {advice.seeds} more seed" in verdict(some)
    chance = f"would decide with probability {advice.probability:.2f}."
    assert verdict(some).endswith(f"of these and of no intermediate task {chance}")


def test_one_seed_tells_nothing_apart(tmp_path: Path) -> None:
    one = close(tmp_path, 0.1, seeds=1)
    assert verdict(one).endswith("not told apart with 1 seed; nothing is told apart without a second seed.")
    assert [arm.p_best for arm in one.arms] == [None] * 4


def test_stopped_runs_are_shown_and_not_ranked(tmp_path: Path) -> None:
    write_results(tmp_path)
    for seed, rung in ((0, 0.5), (1, 1 / 3)):
        write(tmp_path, f"gone{seed}", {}, intermediate="late", intermediate_fraction=1.0, seed=seed,
              status="stopped", rung=rung)  # fmt: skip
    write(tmp_path, "lost", {}, intermediate="late", intermediate_fraction=1.0, seed=2, status="failed")
    [answer] = Results(tmp_path).answers()
    [late] = [arm for arm in answer.arms if arm.intermediate == "late"]
    assert (late.mean, late.gain, late.p_best, late.in_best_set) == (None, None, None, False)
    assert (late.stopped, late.failed, late.seeds, late.stopped_at) == (2, 1, 0, 0.5)
    assert marks(late) == ["2 runs stopped at 1/2", "1 run failed"]
    assert "(2 runs stopped at 1/2, 1 run failed)" in best_table(answer)


def test_arms_of_one_name_are_told_by_their_settings(answer: TargetAnswer) -> None:
    first, second = (replace(answer.arms[0], hyperparameters={"bf16": False, "lr": rate}) for rate in (1e-5, 2e-5))
    assert arm_names([first, second, answer.arms[2]])[:2] == ["squad (lr=1e-05)", "squad (lr=2e-05)"]
    shown = best_table(replace(answer, arms=(first, second)))
    assert max(map(len, shown.splitlines())) <= 80
    assert json.dumps(first.to_json())


def test_one_arm_alone_is_not_called_best(tmp_path: Path) -> None:
    [answer] = Results(write_results(tmp_path)).answers()
    for name, words in (("squad", "only squad has"), ("none", "only training without an intermediate task has")):
        alone = replace(answer, best=(name,), arms=tuple(
            arm for arm in answer.arms if arm.intermediate == name and arm.intermediate_fraction in (None, 1.0)
        ))  # fmt: skip
        assert verdict(alone) == f"Nothing to compare yet: {words} a finished run."
