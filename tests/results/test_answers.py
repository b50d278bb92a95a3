from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.report.matrix import matrix_text, transfer_matrix
from raystilts.report.text import best_table
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_label
from raystilts.results.ledger import write_attempt
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results

from .examples import ARMS, write_results
from .rows import run_row, score_rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_results(tmp_path)


def arms(answer: TargetAnswer) -> dict[tuple[str, float | None], ArmAnswer]:
    return {(arm.intermediate, arm.intermediate_fraction): arm for arm in answer.arms}


def test_dev_chooses_test_gives_the_gain(folder: Path) -> None:
    [answer] = Results(folder).answers(language="en")
    found = arms(answer)
    assert found.keys() == ARMS.keys()
    for key, (_, on_test) in ARMS.items():
        assert found[key].mean == pytest.approx(on_test + 0.002)
        assert (found[key].seeds, found[key].failed, found[key].selection) == (3, 0, "en_dev")
    assert answer.best == ("squad",)  # best on dev of those that compete, though not on test
    assert found["squad", 1.0].in_best_set
    assert found["squad", 1.0].gain == pytest.approx(0.04, abs=0.01)
    none = found["none", None]
    assert (none.gain, none.gain_low, none.gain_high) == (None, None, None)


def test_overlap_and_other_fractions_do_not_compete(folder: Path) -> None:
    [answer] = Results(folder).answers()
    found = arms(answer)
    assert [key for key, arm in found.items() if not arm.competes] == [("mnli", 1.0), ("snli", 0.25)]
    assert [key for key, arm in found.items() if arm.overlap] == [("mnli", 1.0)]
    assert any(note.startswith("mnli trains on this target's own training data and is left") for note in answer.notes)
    [wide] = Results(folder).answers(include_overlap=True)
    assert wide.best == ("mnli",)
    [small] = Results(folder).answers(intermediate_fraction=0.25)
    assert small.best == ("snli 25%",)


def test_the_studys_compare_at_counts(tmp_path: Path) -> None:
    [answer] = Results(write_results(tmp_path, compare_at=0.25)).answers()
    assert answer.best == ("snli 25%",)


def test_the_mean_over_languages(folder: Path) -> None:
    [answer] = Results(folder).answers()
    assert answer.languages == ("de", "en")
    assert arms(answer)["none", None].mean == pytest.approx(0.5 + 0.002 - 0.05)
    [german] = Results(folder).answers(language="de")
    assert german.language == "de"
    assert arms(german)["none", None].mean == pytest.approx(0.402)


def test_no_dev_data_is_said(tmp_path: Path) -> None:
    [answer] = Results(write_results(tmp_path, dev=False)).answers()
    assert {arm.selection for arm in answer.arms} == {"test"}
    assert answer.best == ("snli",)
    assert any("P(best) is exploratory" in note for note in answer.notes)


def test_what_the_encoder_has_seen_is_said(tmp_path: Path) -> None:
    results = Results(write_results(tmp_path, encoder={"has_seen": ["snli", "hellaswag"]}))
    [answer] = results.answers()
    assert any("the encoder has seen snli in pretraining" in note for note in answer.notes)


def test_best_is_the_same_as_a_table(folder: Path) -> None:
    frame = Results(folder).best(language="en")
    assert sorted(frame.columns) == sorted(ArmAnswer.__dataclass_fields__)
    assert (*frame.columns[:2], frame.columns[-1]) == ("target", "intermediate", "p_best"), "what a print shows"
    assert frame["intermediate"].tolist()[0] == "squad"
    assert len(frame) == len(ARMS)


def test_probabilities_add_up(folder: Path) -> None:
    [answer] = Results(folder).answers()
    assert sum(arm.p_best or 0.0 for arm in answer.arms if arm.competes) == pytest.approx(1.0)
    assert all((arm.expected_regret or 0.0) >= 0 for arm in answer.arms)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"target": "xnil"}, "--target xnil: not in these results; did you mean 'xnli'"),
        ({"language": "fr"}, "--language fr: not in these results; known: de, en"),
        ({"intermediate_fraction": 0.5}, "--intermediate-fraction 0.5: the results hold 0.25, 1"),
    ],
)
def test_what_is_not_there(folder: Path, asked: dict[str, str | float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Results(folder).answers(**asked)  # type: ignore[arg-type]


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished target stage yet; run the study first"):
        Results(tmp_path).answers()


def test_tables_from_elsewhere_need_no_study(folder: Path) -> None:
    (folder / "study.json").unlink()
    assert Results(folder).study() is None
    [answer] = Results(folder).answers()
    assert answer.best == ("squad",)


def test_a_study_whose_task_file_is_gone_is_read_all_the_same(folder: Path) -> None:
    before = Results(folder).answers()
    path = folder / "study.json"
    path.write_text(path.read_text().replace('"task_files": []', '"task_files": ["gone.py"]'))
    assert Results(folder).answers() == before


@pytest.mark.parametrize(
    ("fraction", "label"), [(None, "squad"), (1.0, "squad"), (0.25, "squad 25%"), (0.005, "squad 0.5%")]
)
def test_labels(fraction: float | None, label: str) -> None:
    assert arm_label("squad", fraction) == label


def test_no_language_that_all_runs_have_is_said_and_one_can_be_asked_for(tmp_path: Path) -> None:
    """Each arm lacks another language: there is no mean, and nothing tells the reader to run the study first."""
    for arm, fraction, lacking in (("none", None, "de"), ("mnli", 1.0, "sw"), ("squad", 1.0, "en")):
        for seed in (0, 1):
            run = run_row(f"{arm}{seed}", intermediate=arm, intermediate_fraction=fraction, seed=seed)
            values = {name: 0.5 + 0.01 * seed for name in ("de", "en", "sw") if name != lacking}
            write_attempt(tmp_path, run, score_rows(run, values, examples=5000))
    why = r"xnli: no language is in every run.*; name one: --language de \(there are de, en, sw\)"
    alone = "over no language.*Ask for one of these with --language"
    with pytest.warns(ResultsWarning, match=alone), pytest.raises(UserError, match=why):
        Results(tmp_path).answers()
    with pytest.warns(ResultsWarning):
        [german] = Results(tmp_path).answers(language="de")
    assert {arm.intermediate for arm in german.arms if arm.mean is not None} == {"mnli", "squad"}


def test_which_data_choose_is_said_where_they_are_others_than_those_of_the_means(folder: Path, tmp_path: Path) -> None:
    [by_dev] = Results(folder).answers()
    said = "means and gains are on test; the order, P(best) and regret by dev data"
    assert said in " ".join(best_table(by_dev).split())
    [by_test] = Results(write_results(tmp_path / "other", dev=False)).answers()
    assert "means and gains are on test" not in best_table(by_test)
    shown = [" ".join(matrix_text(transfer_matrix([answer], "gain")).split()) for answer in (by_dev, by_test)]
    assert "gains are on test, the best arms are chosen by dev data in the training language, so that" in shown[0]
    assert "gains are on test" not in shown[1]
