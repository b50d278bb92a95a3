from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from results.examples import write_results
from results.rows import run_row, score_rows, write
from typer.testing import CliRunner

from raystilts.analysis.next_runs import next_runs
from raystilts.cli.common import app
from raystilts.ranking.advice import chance_words
from raystilts.report.html.gather import gather
from raystilts.report.html.page import page
from raystilts.report.matrix import gains_text
from raystilts.report.text import best_table, footnotes, interval, marks, verdict
from raystilts.results.answers import TargetAnswer, arm_names
from raystilts.results.ledger import write_attempt
from raystilts.results.over_targets import over_targets
from raystilts.results.results import Results
from raystilts.study.schema import Study


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


def test_one_seed_an_arm_claims_no_certainty(tmp_path: Path) -> None:
    """No best set at 95 %, in the table, the matrix that ends a run, and the page."""
    answer = close(tmp_path, 0.1, seeds=1)
    assert not answer.repeated
    shown = page(gather(Results(tmp_path)))
    for text in (best_table(answer), gains_text([answer]), shown):
        told = " ".join(re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL).replace("95 % interval", "").split())
        assert "95 %" not in told
        assert "best set" not in told
        assert "no arm has a second seed, so there is no interval over seeds" in told
    assert "with half the width" not in gains_text([answer])


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


def grid(folder: Path, dev: dict[str, list[float]] | None, test: dict[str, list[float]], items: int = 100_000) -> None:
    """Runs of each arm, seed by seed, with dev scores in English and test scores in English and Chinese."""
    for name, scores in test.items():
        for seed, value in enumerate(scores):
            run = run_row(f"{name}{seed}", intermediate=name, intermediate_fraction=None if name == "none" else 1.0,
                          seed=seed)  # fmt: skip
            rows = score_rows(run, {"en": value, "zh": value - 0.1}, examples=items)
            if dev is not None:
                rows += score_rows(run, {"en": dev[name][seed]}, split="dev", examples=items)
            write_attempt(folder, run, rows)


SOUND = [0.0, 0.004, -0.003, 0.002, -0.004, 0.001]
ONE_LOST = {
    "none": [0.30 + x for x in SOUND],
    "good": [0.10, *(0.42 - x for x in SOUND[1:])],
    "fair": [0.40 + x for x in SOUND],
}


def test_a_run_that_the_ranking_takes_for_collapsed_is_named(tmp_path: Path) -> None:
    grid(tmp_path / "test", None, ONE_LOST)
    [answer] = Results(tmp_path / "test").answers(language="en")
    assert answer.best == ("good",)
    others = sum(ONE_LOST["good"][1:]) / 5
    what = f"(10.0; its others have {100 * others:.1f})"
    assert (
        f"good: 1 of 6 runs looks collapsed {what}: it is in the mean and hardly counts in the gain and P(best)"
        in answer.notes
    )
    grid(tmp_path / "both", ONE_LOST, ONE_LOST)
    [answer] = Results(tmp_path / "both").answers(language="en")
    there = [note for note in answer.notes if "collapsed" in note]
    assert there == [
        f"good: 1 of 6 runs looks collapsed {what}: it is in the mean and hardly counts in the gain",
        f"good: 1 of 6 runs looks collapsed on dev {what}: it hardly counts in P(best)",
    ]


def test_of_many_collapsed_arms_three_are_named_and_sound_runs_are_not(tmp_path: Path) -> None:
    arms = {f"a{i}": [0.10, *(0.42 - 0.01 * i + x for x in SOUND[1:])] for i in range(5)}
    grid(tmp_path, None, {name: [0.40 + x for x in SOUND] for name in ("none", "b", "c", "d", "e", "f")} | arms)
    [answer] = Results(tmp_path).answers()
    [note] = [note for note in answer.notes if "collapsed" in note]
    assert [note.count(f"{name}: 1 of 6 runs") for name in ("a0", "a1", "a2", "a3", "none")] == [1, 1, 1, 0, 0]
    assert note.endswith(" and 2 more: they are in the means and hardly count in the gain and P(best)")


FULL = {name: [1.0, 1.0, 1.0] for name in ("none", "a", "b")}
APART = {"none": [0.5, 0.51, 0.52], "a": [0.6, 0.61, 0.62], "b": [0.7, 0.71, 0.72]}


def test_dev_data_at_their_ceiling_are_said_to_choose_nothing(tmp_path: Path) -> None:
    grid(tmp_path, FULL, APART, items=30)
    [answer] = Results(tmp_path).answers(language="en")
    said = "the dev data cannot choose: all runs score 100.0 on its 30 items; give more or harder dev data"
    assert verdict(answer).endswith(f"not told apart with 3 seeds; {said}.")
    study = Study.model_validate({
        "name": "full", "intermediates": ["none", "squad", "mlqa"], "seeds": [0, 1, 2],
        "targets": [{"task": "xnli", "languages": ["en", "zh"]}],
    })  # fmt: skip
    (tmp_path / "study.json").write_text(json.dumps(study.model_dump(mode="json")))
    [answer] = Results(tmp_path).answers()
    assert verdict(answer).endswith(f"{said}, or selection: target_dev.")
    assert next_runs(Results(tmp_path)).hopeless == (("xnli", f"{said}, or selection: target_dev"),)


def test_dev_data_that_can_choose_are_not_blamed(tmp_path: Path) -> None:
    assert close(tmp_path / "near", 0.0).ceiling is None
    grid(tmp_path / "one", {name: [0.6] for name in FULL}, {name: values[:1] for name, values in APART.items()})
    [answer] = Results(tmp_path / "one").answers(language="en")
    assert answer.ceiling is None  # one run each may be equal by chance


def test_what_is_not_of_the_language_asked_for_is_said(tmp_path: Path) -> None:
    grid(tmp_path, APART, APART)
    results = Results(tmp_path)
    said = "P(best), order and regret are from dev data in en: of zh only the mean and the gain"
    [chinese], [english], [mean] = results.answers(language="zh"), results.answers(language="en"), results.answers()
    assert said in footnotes(chinese)
    assert "mean rank and P(best) are from dev data in en: of zh only the scaled gain" in over_targets([chinese]).notes
    for other in (english, mean):
        assert not [note for note in (*footnotes(other), *over_targets([other]).notes) if "dev data in en" in note]
        assert any("regret in points of the dev score" in note for note in footnotes(other))


def test_without_p_best_it_is_not_called_exploratory(tmp_path: Path) -> None:
    grid(tmp_path, None, {name: values[:1] for name, values in APART.items()})
    [answer] = Results(tmp_path).answers(language="en")
    assert "no dev data: chosen and scored on the same test data" in answer.notes


@pytest.mark.parametrize(
    ("chance", "words"), [(0.004, "less than 0.01 only"), (0.23, "0.23 only"), (0.5, "0.50"), (0.7, "0.70")]
)
def test_only_is_said_of_small_chances(chance: float, words: str) -> None:
    assert chance_words(chance) == words
