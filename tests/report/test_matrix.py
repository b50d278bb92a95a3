from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from results.examples import ARMS, write_results

from raystilts.analysis.presentation import check_plot
from raystilts.errors import UserError
from raystilts.report.dataset_card import SharedTable, dataset_card
from raystilts.report.matrix import cell_text, gains_text, matrix_csv, matrix_text, plot_matrix, transfer_matrix
from raystilts.report.text import best_table, overall_table
from raystilts.results.answers import TargetAnswer
from raystilts.results.over_targets import over_targets
from raystilts.results.results import Results


@pytest.fixture
def answers(tmp_path: Path) -> list[TargetAnswer]:
    return Results(write_results(tmp_path)).answers()


def test_gains_of_every_arm_but_none(answers: list[TargetAnswer]) -> None:
    found = transfer_matrix([*answers, replace(answers[0], target="other", arms=answers[0].arms[:1])], "gain")
    assert found.arms == ("mnli", "snli 25%", "snli", "squad")
    assert found.targets == ("xnli", "other")
    assert cell_text(found, 0, 0).startswith("(+25.0±")
    assert cell_text(found, 0, 1) == ""
    assert cell_text(found, 3, 0) == cell_text(found, 3, 1)
    assert cell_text(found, 3, 0).endswith("*")


def test_cells_of_fewer_runs_are_named(answers: list[TargetAnswer]) -> None:
    arms = [replace(arm, degenerate=0, failed=0) for arm in answers[0].arms]
    whole = replace(answers[0], arms=tuple(arms))
    assert "fewer runs" not in matrix_text(transfer_matrix([whole], "gain"))
    squad = next(i for i, arm in enumerate(arms) if arm.label == "squad")
    arms[squad] = replace(arms[squad], seeds=2, degenerate=2, failed=1)
    text = matrix_text(transfer_matrix([replace(whole, arms=tuple(arms))], "gain"))
    assert "fewer runs, for the others failed or are degenerate: squad on xnli (2 of 5)" in " ".join(text.split())


def test_scores_and_probabilities(answers: list[TargetAnswer]) -> None:
    scores = transfer_matrix(answers, "score")
    assert scores.arms[0] == "none"
    assert scores.number(0, 0) == pytest.approx(ARMS["none", None][1] + 0.002 - 0.05)
    chances = transfer_matrix(answers, "p_best")
    assert cell_text(chances, chances.arms.index("squad"), 0) == "1.00"
    assert cell_text(chances, chances.arms.index("mnli"), 0) == "-"


def test_csv_can_be_read_again(answers: list[TargetAnswer]) -> None:
    rows = list(csv.DictReader(io.StringIO(matrix_csv(transfer_matrix(answers, "gain")))))
    assert list(rows[0]) == ["arm", "xnli", "xnli_low", "xnli_high"]
    squad = next(row for row in rows if row["arm"] == "squad")
    [arm] = [arm for arm in answers[0].arms if arm.intermediate == "squad"]
    assert float(squad["xnli"]) == pytest.approx(arm.gain, rel=1e-5)
    assert float(squad["xnli_low"]) <= float(squad["xnli"]) <= float(squad["xnli_high"])


def test_many_targets_fit_eighty_columns(answers: list[TargetAnswer]) -> None:
    many = [replace(answers[0], target=f"target{i}") for i in range(12)]
    shown = matrix_text(transfer_matrix(many, "gain"))
    assert max(map(len, shown.splitlines())) <= 80
    assert all(f"target{i}" in shown for i in range(12))


def test_names_that_leave_no_room_for_numbers_are_given_below(answers: list[TargetAnswer]) -> None:
    settings = [{"learning_rate": 1e-05 * i, "per_device_train_batch_size": 8 * i} for i in (1, 2)]
    squad = next(arm for arm in answers[0].arms if arm.intermediate == "squad")
    twins = [replace(squad, hyperparameters=one) for one in settings]
    lone = replace(squad, intermediate="mean_of_multinli_and_cosmosqa_and_squad_at_0.5")
    found = transfer_matrix([replace(answers[0], target=f"t{i}", arms=(*twins, lone)) for i in range(3)], "gain")
    shown = matrix_text(found)
    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(r"^squad \[b\]  +\S+±", shown, re.MULTILINE)
    assert "[b] squad (learning_rate=1e-05, per_device_train_batch_size=8)" in shown
    assert "[a] mean_of_multinli_and_cosmosqa_and_squad_at_0.5" in shown
    assert matrix_csv(found).count("per_device_train_batch_size=16") == 1


def test_no_gains_is_said(tmp_path: Path) -> None:
    write_results(tmp_path, leave_out=("none",))
    [answer] = Results(tmp_path).answers()
    assert {(arm.gain, arm.gain_low, arm.gain_high) for arm in answer.arms} == {(None, None, None)}
    assert sum(arm.p_best or 0.0 for arm in answer.arms if arm.competes) == pytest.approx(1.0)
    assert any("gain unavailable" in note for note in answer.notes)
    assert "none" not in {arm.intermediate for arm in answer.arms}
    assert "no gains: none has no finished run" in matrix_text(transfer_matrix([answer], "gain"))
    shown = gains_text([answer])
    assert shown.startswith("no gains: none has no finished run; scores instead, or --value p_best\n")
    assert shown.endswith(matrix_text(transfer_matrix([answer], "score")))


def test_what_to_do_for_gains_is_said_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import is told how to name its baseline, a study without the arm that it may have one."""
    write_results(tmp_path, leave_out=("none",))
    plain = Results(tmp_path).study()
    assert plain is not None
    arms = tuple(arm for arm in plain.intermediates if not arm.is_none)
    for study, remedy in (
        (None, "none has no finished run (raystilts import --baseline NAME says which intermediate is none)"),
        (plain.model_copy(update={"intermediates": arms}), "no finished run (add none to the intermediates of the"),
    ):
        results = Results(tmp_path)
        monkeypatch.setattr(Results, "study", lambda _, found=study: found)
        answers = results.answers()
        card = dataset_card(results, answers, [SharedTable("finals", 1)], study)
        texts = [best_table(answers[0]), gains_text(answers), matrix_text(transfer_matrix(answers, "gain")),
                 overall_table(over_targets(answers)), card]  # fmt: skip
        for text in texts:
            assert remedy in " ".join(text.split())
        assert "scaled gain:" in texts[3]
        assert "scaled gain\n" not in texts[3], "no empty column"
        assert "by scaled gain" not in texts[3]


def test_with_a_baseline_gains_are_shown(answers: list[TargetAnswer]) -> None:
    assert gains_text(answers) == matrix_text(transfer_matrix(answers, "gain"))


def test_plot(answers: list[TargetAnswer], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    plot_matrix(transfer_matrix(answers, "gain"), tmp_path / "m.png")
    pixels = imread(tmp_path / "m.png")[..., :3]
    grey = pixels.mean(axis=2)
    assert pixels.shape[0] > 200
    assert grey.min() < 0.3 < 0.9 < grey.max()


@pytest.mark.parametrize(("name", "message"), [("m.xls", "must end in .png"), ("no/m.png", "there is no folder")])
def test_plots_that_cannot_be_written(tmp_path: Path, name: str, message: str) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(UserError, match=message):
        check_plot(tmp_path / name)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("raystilts.analysis.presentation.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'raystilts\[plot\]'"):
        check_plot(tmp_path / "m.png")
