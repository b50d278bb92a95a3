"""Arms and a baseline that were run with several sets of hyperparameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raystilts.analysis.gains import language_gains
from raystilts.analysis.kept_models import choose_model
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results
from raystilts.results.stratum import Arm, Final, Place, build_stratum, rank_stratum

from .examples import study
from .rows import run_row, score_rows

HIGH, LOW = '{"head_learning_rate": 0.005}', '{"head_learning_rate": 0.002}'
SCORES = {
    ("none", HIGH): (0.503, 0.507, 0.499), ("mnli", HIGH): (0.501, 0.504, 0.499),
    ("none", LOW): (0.386, 0.389, 0.383), ("mnli", LOW): (0.381, 0.385, 0.379),
}  # fmt: skip


def test_a_gain_is_over_the_baseline_of_its_own_settings() -> None:
    finals = [
        Final(Arm(name, None if name == "none" else 1.0, setting), seed, score, None, (score,))
        for (name, setting), scores in SCORES.items()
        for seed, score in enumerate(scores)
    ]
    stratum = build_stratum(Place("udpos", 1.0, "test", None, ("en",), "accuracy"), finals, [])
    found = rank_stratum(stratum, None, [True] * 4, "settings")
    for row, arm in enumerate(stratum.arms):
        if arm.intermediate != "none":
            mean, none = (sum(SCORES[name, arm.hyperparameters]) / 3 for name in ("mnli", "none"))
            assert found.gains[0][row] == pytest.approx(mean - none, abs=0.003)
            assert found.gains[1][row] < 0 < found.gains[2][row] + 0.01
    gains = language_gains(stratum, lambda *_: False)
    for one in gains:
        mean, none = (sum(SCORES[name, one.hyperparameters]) / 3 for name in ("mnli", "none"))
        assert one.gain == pytest.approx(mean - none)
        assert one.shared_seeds == 3


def test_a_setting_that_the_baseline_was_not_run_with() -> None:
    finals = [Final(Arm("none", None, HIGH), seed, 0.5 + seed / 100, None, (0.5,)) for seed in range(3)]
    finals += [Final(Arm("mnli", 1.0, LOW), seed, 0.6 + seed / 100, None, (0.6,)) for seed in range(3)]
    stratum = build_stratum(Place("udpos", 1.0, "test", None, ("en",), "accuracy"), finals, [])
    assert [stratum.baseline_of(row) for row in range(2)] == [0, 0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two settings of two arms, as runs of one study."""
    for (name, setting), scores in SCORES.items():
        for seed, score in enumerate(scores):
            fraction = None if name == "none" else 1.0
            row = run_row(f"{name}{json.loads(setting)['head_learning_rate']}{seed}", intermediate=name, seed=seed,
                          intermediate_fraction=fraction, target="udpos", hyperparameters=setting)  # fmt: skip
            both = [score_rows(row, {"en": score}, split=split) for split in ("dev", "test")]
            write_attempt(tmp_path, row, [one for rows in both for one in rows])
    return tmp_path


def test_all_answers_agree(folder: Path) -> None:
    results = Results(folder)
    [answer] = results.answers()
    assert "several settings of none: each gain is over none with the arm's own" in answer.notes
    rows = results.matrix("gain")
    by_seed = rows[rows["language"] == "macro"].groupby("hyperparameters")["gain"].mean()
    for arm in answer.arms:
        if arm.intermediate == "mnli":
            assert arm.gain == pytest.approx(by_seed[json.dumps(arm.hyperparameters)], abs=0.003)


def test_the_model_that_is_taken_away_is_of_the_arm_that_is_named(folder: Path) -> None:
    """Runs of the other setting ended later."""
    for seed in range(3):
        row = run_row(f"later{seed}", intermediate="none", seed=seed, target="udpos", hyperparameters=LOW, attempt=9)
        write_attempt(folder, row, score_rows(row, {"en": 0.38}, split="dev") + score_rows(row, {"en": 0.38}))
    (folder / "study.json").write_text(json.dumps(study().model_dump(mode="json")))
    for intermediate in (None, "none"):
        found = choose_model(Results(folder), "udpos", intermediate, best=True)
        assert json.loads(found.run["hyperparameters"]) == json.loads(HIGH)
        assert found.arm is not None
        assert found.arm.hyperparameters == json.loads(HIGH)
        assert "the hyperparameters that it ranks first" in found.chosen
    assert choose_model(Results(folder), "udpos", "mnli", seed=1).run["hyperparameters"] == HIGH


def test_arms_that_tie_are_named_in_the_order_of_the_table(folder: Path) -> None:
    [answer] = Results(folder).answers()
    shown = [arm.intermediate for arm in answer.arms if arm.in_best_set]
    assert list(answer.best) == shown
