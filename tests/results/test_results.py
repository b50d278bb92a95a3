from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.errors import UserError
from raystilts.results.ledger import write_attempt
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results
from raystilts.results.schema import encode_scores
from raystilts.results.stratum import Arm

from .rows import START, run_row, score_rows, write, write_grid

_ARMS = [("none", None), ("mnli", 1.0), ("squad", 0.5)]


def test_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="raystilts run STUDY"):
        Results(tmp_path / "none")


def test_empty_folder(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert len(results.runs()) == len(results.scores()) == len(results.curves()) == 0
    assert len(results.matrix("gain")) == 0
    stratum = results.stratum_scores("xnli", 1.0)
    assert stratum.arms == [Arm("none", None, "")]
    assert not stratum.has_baseline


def test_column_types_do_not_depend_on_missing_values(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5}, seed=None, kind="retrieval", target_fraction=None)
    seed = Results(tmp_path).runs()["seed"]
    assert seed.dtype == pd.Int64Dtype()
    assert Results(tmp_path).runs()["ended_at"][0] == START + timedelta(minutes=1)


def test_latest_finished_attempt_and_only_its_scores(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.1, "de": 0.1}, attempt=1)
    write(tmp_path, "a", {"en": 0.2}, attempt=2)
    write(tmp_path, "a", {"en": 0.9}, attempt=3, status="stopped")
    write(tmp_path, "b", {"en": 0.8}, attempt=1, status="failed")
    results = Results(tmp_path)
    assert results.scores()[["stage", "attempt", "value"]].values.tolist() == [["a", 2, 0.2]]
    runs = results.runs()
    assert list(zip(runs["stage"], runs["attempt"], runs["status"], strict=True)) == [
        ("a", 2, "finished"),
        ("b", 1, "failed"),
    ]
    assert len(results.runs(all_attempts=True)) == 4


def test_curves_show_stopped_stages_too(tmp_path: Path) -> None:
    for stage, status in (("a", "finished"), ("b", "stopped"), ("c", "failed")):
        run = run_row(stage, status=status)
        scores = score_rows(run, {"en": 0.3}, step=5, share=0.5, is_final=False)
        write_attempt(tmp_path, run, scores + score_rows(run, {"en": 0.4}))
    curves = Results(tmp_path).curves()
    assert list(zip(curves["stage"], curves["step"], curves["status"], strict=True)) == [
        ("a", 5, "finished"),
        ("a", 10, "finished"),
        ("b", 5, "stopped"),
        ("b", 10, "stopped"),
    ]


def test_matrix_and_gains(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1, 2])
    write(tmp_path, "i", {"en": 0.9}, kind="intermediate", intermediate="mnli", target=None)
    matrix = Results(tmp_path).matrix()
    assert len(matrix) == 3 * 2 * 3
    macro = matrix[matrix["language"] == "macro"]
    assert macro["score"].round(6).tolist() == [0.51, 0.52, 0.41, 0.42, 0.61, 0.62]
    assert set(macro["languages"]) == {"de,en"}
    gains = Results(tmp_path).matrix("gain")
    assert set(gains["intermediate"]) == {"mnli", "squad"}
    assert gains.groupby("intermediate")["gain"].unique().map(
        lambda values: sorted({round(v, 6) for v in values})
    ).to_dict() == {"mnli": [0.1], "squad": [0.2]}
    with pytest.raises(UserError, match="must be 'gain' or 'score'"):
        Results(tmp_path).matrix("gains")  # type: ignore[arg-type]


def test_gain_needs_none_of_the_same_seed(tmp_path: Path) -> None:
    write(tmp_path, "n", {"en": 0.5}, seed=1)
    write(tmp_path, "m1", {"en": 0.6}, seed=1, intermediate="mnli")
    write(tmp_path, "m2", {"en": 0.7}, seed=2, intermediate="mnli")
    gains = Results(tmp_path).matrix("gain")
    english = gains[gains["language"] == "en"]["gain"].tolist()
    assert english[0] == pytest.approx(0.1)
    assert np.isnan(english[1])


def test_gain_prefers_none_of_the_same_hyperparameters(tmp_path: Path) -> None:
    write(tmp_path, "n1", {"en": 0.5}, hyperparameters='{"lr": 1}')
    write(tmp_path, "n2", {"en": 0.4}, hyperparameters='{"lr": 2}')
    write(tmp_path, "n3", {"en": 0.3}, hyperparameters='{"lr": 2}', seed=2)
    for rate in (1, 2, 3):
        settings_ = f'{{"lr": {rate}}}'
        write(tmp_path, f"m{rate}", {"en": 0.6}, intermediate="m", hyperparameters=settings_)
    gains = Results(tmp_path).matrix("gain")
    english = gains[gains["language"] == "en"]["gain"].round(6).tolist()
    assert english == [0.1, 0.2, 0.2]


def test_no_gain_over_a_degenerate_baseline(tmp_path: Path) -> None:
    write(tmp_path, "n", {"en": 0.33}, degenerate=True)
    write(tmp_path, "m", {"en": 0.6}, intermediate="mnli")
    assert Results(tmp_path).matrix("gain")["gain"].isna().all()


def test_macro_is_over_languages_that_all_have(tmp_path: Path) -> None:
    write(tmp_path, "n", {"en": 0.5, "de": 0.3, "sw": 0.1})
    write(tmp_path, "m", {"en": 0.6, "de": 0.4}, intermediate="mnli")
    with pytest.warns(ResultsWarning, match="over de, en language.*not every run has sw"):
        matrix = Results(tmp_path).matrix()
    macro = matrix[matrix["language"] == "macro"]
    assert macro["score"].tolist() == [0.5, 0.4]
    assert set(macro["languages"]) == {"de,en"}


def test_no_macro_without_a_common_language(tmp_path: Path) -> None:
    write(tmp_path, "n", {"en": 0.5})
    write(tmp_path, "m", {"de": 0.4}, intermediate="mnli")
    with pytest.warns(ResultsWarning, match="over no language"):
        assert set(Results(tmp_path).matrix()["language"]) == {"en", "de"}


def test_only_final_main_scores_of_the_split(tmp_path: Path) -> None:
    run = run_row("a")
    scores = score_rows(run, {"en": 0.5})
    scores += score_rows(run, {"en": 0.1}, step=5, is_final=False)
    scores += score_rows(run, {"en": 0.2}, metric="f1", is_main=False)
    scores += score_rows(run, {"en": 0.3}, split="dev")
    write_attempt(tmp_path, run, scores)
    results = Results(tmp_path)
    assert results.matrix()["score"].tolist() == [0.5, 0.5]
    assert results.matrix(split="dev")["score"].tolist() == [0.3, 0.3]


def test_stratum(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1, 2])
    write(tmp_path, "x1", {}, intermediate="mrpc", status="failed", seed=1)
    write(tmp_path, "x2", {}, intermediate="mrpc", status="stopped", seed=2)
    write(tmp_path, "s3", {}, intermediate="squad", intermediate_fraction=0.5, status="failed")
    write(tmp_path, "other", {}, intermediate="squad", target="pawsx", status="failed")
    stratum = Results(tmp_path).stratum_scores("xnli", 1.0, "test")
    assert stratum.arms == [
        Arm("none", None, "{}"),
        Arm("mnli", 1.0, "{}"),
        Arm("mrpc", None, "{}"),
        Arm("squad", 0.5, "{}"),
    ]
    assert stratum.seeds == [1, 2]
    nan = np.nan
    expected = [[0.41, 0.42], [0.51, 0.52], [nan, nan], [0.61, 0.62]]
    np.testing.assert_allclose(stratum.scores, expected, equal_nan=True)
    assert stratum.failed.tolist() == [0, 0, 1, 1]
    assert stratum.stopped.tolist() == [0, 0, 1, 0]
    assert (stratum.languages, stratum.metric) == (("de", "en"), "accuracy")
    german = Results(tmp_path).stratum_scores("xnli", 1.0, "test", "de")
    assert german.scores[1].tolist() == [0.41, 0.42]


def test_stratum_leaves_out_degenerate_runs(tmp_path: Path) -> None:
    write(tmp_path, "n", {"en": 0.5})
    write(tmp_path, "m", {"en": 0.3}, intermediate="mnli", degenerate=True)
    results = Results(tmp_path)
    stratum = results.stratum_scores("xnli", 1.0, "test")
    assert np.isnan(stratum.scores[1, 0])
    assert stratum.degenerate.tolist() == [0, 1]
    kept = results.stratum_scores("xnli", 1.0, "test", keep_degenerate=True)
    assert kept.scores[1, 0] == 0.3


def test_retrieval_baseline_without_seed(tmp_path: Path) -> None:
    fixed = {"kind": "retrieval", "target": "tatoeba", "target_fraction": None}
    write(tmp_path, "n", {"de": 0.5}, seed=None, **fixed)
    for seed in (1, 2):
        write(tmp_path, f"m{seed}", {"de": 0.6}, intermediate="mnli", seed=seed, **fixed)
    results = Results(tmp_path)
    stratum = results.stratum_scores("tatoeba", None, "test", "de")
    assert stratum.scores.tolist() == [[0.5, 0.5], [0.6, 0.6]]
    assert stratum.deterministic.tolist() == [True, False]
    assert results.matrix("gain")["gain"].round(6).tolist() == [0.1] * 4
    only = Results(tmp_path, stages=["n"]).stratum_scores("tatoeba", None, "test")
    assert (only.seeds, only.scores.tolist()) == ([None], [[0.5]])


def test_task_scored_but_not_trained_on(tmp_path: Path) -> None:
    run = run_row("a", target="squad")
    write_attempt(tmp_path, run, score_rows(run, {"en": 0.5}, target="xquad"))
    write(tmp_path, "b", {}, target="squad", intermediate="mnli", status="failed")
    stratum = Results(tmp_path).stratum_scores("xquad", 1.0, "test")
    assert stratum.failed.tolist() == [0, 1]


def test_encoders_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5})
    write(tmp_path, "b", {"en": 0.7}, encoder="other")
    with pytest.raises(UserError, match="several values of `encoder`: encoder, other"):
        Results(tmp_path).stratum_scores("xnli", 1.0, "test")
    write(tmp_path, "c", {"en": 0.5}, target="pawsx")
    write(tmp_path, "d", {"en": 0.7}, target="pawsx", encoder="other")
    with pytest.raises(UserError, match="target 'pawsx' have several values of `encoder`"):
        Results(tmp_path).strata("test")
    chosen = Results(tmp_path, encoder="other").stratum_scores("xnli", 1.0, "test")
    assert chosen.scores.tolist() == [[0.7]]


def test_metrics_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5})
    run = run_row("b", intermediate="mnli")
    write_attempt(tmp_path, run, score_rows(run, {"en": 0.7}, metric="f1"))
    results = Results(tmp_path)
    with pytest.raises(UserError, match="several values of `metric`: accuracy, f1"):
        results.stratum_scores("xnli", 1.0, "test")
    assert results.stratum_scores("xnli", 1.0, "test", metric="f1").scores[1, 0] == 0.7


def test_cell_trained_twice_counts_once_and_is_said(tmp_path: Path) -> None:
    write(tmp_path, "old", {"en": 0.5, "de": 0.4})
    later = {"ended_at": START + timedelta(days=1)}
    write(tmp_path, "new", {"en": 0.6, "de": 0.6}, **later)
    with pytest.warns(ResultsWarning, match="trained more than once.*stages new, old"):
        stratum = Results(tmp_path).stratum_scores("xnli", 1.0, "test")
    assert stratum.scores.tolist() == [[0.6]]
    assert Results(tmp_path, stages=["old"]).matrix()["score"].tolist() == [0.4, 0.5, 0.45]


def test_languages_evaluated_later_join_the_same_weights(tmp_path: Path) -> None:
    write(tmp_path, "first", {"en": 0.5}, train_key="same")
    write(tmp_path, "second", {"sw": 0.3}, train_key="same", eval_key="more")
    stratum = Results(tmp_path).stratum_scores("xnli", 1.0, "test")
    assert stratum.languages == ("en", "sw")
    assert stratum.scores.tolist() == [[0.4]]


def test_bad_scores_are_named_and_skipped(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    scores = tmp_path / "scores"
    whole = (scores / "mnli1.1-1.parquet").read_bytes()
    (scores / "mnli1.1-1.parquet").write_bytes(whole[:-20])
    pd.DataFrame({"value": [1.0]}).to_parquet(scores / "squad2.1-1.parquet")
    with pytest.warns(ResultsWarning) as caught:
        matrix = Results(tmp_path).matrix()
    assert set(matrix["intermediate"]) == {"none"}
    text = str(caught[0].message)
    assert "mnli1.1-1.parquet (cut off or not Parquet)" in text
    assert "squad2.1-1.parquet (not a raystilts file of scores)" in text


def test_file_damaged_behind_a_whole_footer(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    path = tmp_path / "scores" / "mnli1.1-1.parquet"
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(bytes(data))
    with pytest.warns(ResultsWarning, match=r"mnli1.1-1.parquet \(damaged"):
        matrix = Results(tmp_path).matrix()
    assert set(matrix["intermediate"]) == {"none", "squad"}


def test_file_of_another_schema_version(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5})
    run = write(tmp_path, "b", {"en": 0.5})
    data = encode_scores("b", 1, score_rows(run, {"en": 0.5}))
    data = data.replace(b"schema_version\x18\x013", b"schema_version\x18\x014")
    (tmp_path / "scores" / "b-1.parquet").write_bytes(data)
    with pytest.warns(ResultsWarning, match="schema version 4, newer than 3.*upgrade raystilts"):
        assert set(Results(tmp_path).scores()["stage"]) == {"a"}


def test_object_store_gives_the_same_answers(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1, 2])
    url = f"memory://{tmp_path.name}"
    write_grid(url, _ARMS, [1, 2])
    local, remote = Results(tmp_path), Results(url)
    pd.testing.assert_frame_equal(local.matrix("gain"), remote.matrix("gain"))
    pd.testing.assert_frame_equal(local.scores(), remote.scores())


_ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["finished", "stopped", "failed"]),
        st.lists(st.floats(0, 1), max_size=2),
    ),
    max_size=6,
)


@given(_ATTEMPTS)
@settings(max_examples=25, deadline=None)
def test_deduplication(tmp_path_factory: pytest.TempPathFactory, attempts: list[tuple[str, str, list[float]]]) -> None:
    folder = tmp_path_factory.mktemp("results")
    expected: dict[str, list[float]] = {}
    for number, (stage, status, values) in enumerate(attempts, start=1):
        languages = dict(zip(["de", "en"], values, strict=False))
        write(folder, stage, languages, attempt=number, status=status)
        if status == "finished":
            expected[stage] = values
    scores = Results(folder).scores()
    found = {s: rows["value"].tolist() for s, rows in scores.groupby("stage")}
    assert found == {stage: values for stage, values in expected.items() if values}


def test_strata_are_those_of_one_after_the_other(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1, 2])
    for seed in (1, 2):
        write(tmp_path, f"p{seed}", {"en": 0.5 + seed / 10, "de": 0.1}, target="pawsx", seed=seed)
        write(tmp_path, f"q{seed}", {"en": 0.9}, target="tatoeba", target_fraction=None, seed=seed)
    write(tmp_path, "stopped", {}, target="pawsx", intermediate="mrpc", status="stopped", rung=0.5)
    results = Results(tmp_path)
    for language in (None, "en"):
        strata = results.strata("test", language)
        assert [(s.target, s.target_fraction) for s in strata] == [("pawsx", 1.0), ("tatoeba", None), ("xnli", 1.0)]
        for one in strata:
            alone = Results(tmp_path).stratum_scores(one.target, one.target_fraction, "test", language)
            assert (alone.arms, alone.seeds, alone.languages) == (one.arms, one.seeds, one.languages)
            np.testing.assert_array_equal(alone.scores, one.scores)
            assert alone.stopped_at == one.stopped_at
    each = results.strata("test", target="pawsx", each=True)[0]
    assert each.languages == ("de", "en")
    np.testing.assert_allclose(each.by_language[0], [[0.1, 0.6], [0.1, 0.7]])
    assert each.stopped_at == (None, 0.5)


def test_parts_of_scores_and_curves(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    run = run_row("a", target="pawsx")
    scores = score_rows(run, {"en": 0.5, "de": 0.4}) + score_rows(run, {"en": 0.3}, split="dev")
    write_attempt(tmp_path, run, scores + score_rows(run, {"en": 0.1}, step=5, share=0.5, is_final=False))
    results = Results(tmp_path)
    assert results.scores(target="pawsx", language="en")["value"].tolist() == [0.1, 0.3, 0.5]
    assert results.curves(target="pawsx", language="en")["value"].tolist() == [0.1, 0.3, 0.5]
    assert results.scores(target="pawsx", split="test", final=True)["value"].tolist() == [0.4, 0.5]
    assert len(results.scores(final=True)) == 9


def test_what_is_known(tmp_path: Path) -> None:
    write_grid(tmp_path, [("none", None), ("mnli", 0.5)], [1, 2])
    known = Results(tmp_path).known()
    assert known["target"].tolist() == ["xnli", "xnli"]
    assert known["intermediate_fraction"].isna().tolist() == [False, True]
    assert [list(names) for names in known["languages"]] == [["de", "en"], ["de", "en"]]
