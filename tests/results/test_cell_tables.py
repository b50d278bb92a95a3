from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from raystilts.filesystem import open_folder
from raystilts.results import cells, queries
from raystilts.results.results import Results
from raystilts.results.tables import Tables

from .rows import START, write, write_grid

_ARMS = [("none", None), ("mnli", 1.0), ("squad", 0.5)]
_VALUES = {"split": "test"}


def _alike(folder: Path) -> None:
    """Two targets, one of which is not trained and has languages of its own."""
    write_grid(folder, _ARMS, [1, 2])
    for arm, fraction in _ARMS:
        write(folder, f"t-{arm}", {"fr": 0.3, "de": 0.4}, target="tatoeba", target_fraction=None, intermediate=arm,
              intermediate_fraction=fraction, seed=None if arm == "none" else 1)  # fmt: skip


def _unlike(folder: Path) -> None:
    """The same, one cell trained twice and one in fewer languages."""
    _alike(folder)
    write(folder, "again", {"en": 0.9, "de": 0.8}, intermediate="mnli", intermediate_fraction=1.0, seed=1,
          ended_at=START + timedelta(days=1))  # fmt: skip
    write(folder, "fewer", {"en": 0.2}, intermediate="rte", intermediate_fraction=1.0, seed=1)


def _connection(folder: Path, by_target: bool = False) -> duckdb.DuckDBPyConnection:
    def prepare(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        for statement in (*queries.views(False, False), queries.create_outcomes("latest"), *cells.MACROS):
            connection.execute(statement)
        values = _VALUES | ({"target": "xnli"} if by_target else {})
        connection.execute(cells.create_scored("scored", by_target), values)
        return connection

    return Tables(open_folder(folder)).query(prepare)


def test_only_plain_cells_are_alike(tmp_path: Path) -> None:
    _alike(tmp_path / "alike")
    _unlike(tmp_path / "unlike")
    found = [_connection(tmp_path / name).execute(cells.are_alike("scored")).fetchone() for name in ("alike", "unlike")]
    assert found == [(True,), (False,)]


@pytest.mark.parametrize("by_target", [False, True])
def test_plain_cells_are_those_that_merging_finds(tmp_path: Path, by_target: bool) -> None:
    _alike(tmp_path)
    connection = _connection(tmp_path, by_target)
    values = _VALUES | ({"target": "xnli"} if by_target else {})
    connection.execute(cells.alike_cells("narrow", "scored"))
    connection.execute(cells.cells_with_numbers("plain", "narrow", by_target), values)
    connection.execute(cells.merged_cells("merged", "scored", by_target), values)
    columns = ", ".join(connection.table("merged").columns)
    assert "numbers" in columns
    plain, merged = (connection.execute(f"select {columns} from {name}").fetchall() for name in ("plain", "merged"))
    assert plain == merged
    assert len(plain) == (6 if by_target else 9)


_QUESTIONS: dict[str, Callable[[Results], pd.DataFrame]] = {
    "one target": lambda results: _frame(results, target="xnli"),
    "one target, each language": lambda results: _frame(results, target="xnli", each=True),
    "one target, one language": lambda results: _frame(results, target="xnli", language="de"),
    "one language": lambda results: _frame(results, language="de"),
    "all targets": lambda results: _frame(results),
    "gains": lambda results: results.matrix("gain"),
    "known": lambda results: results.known(),
}


def _frame(
    results: Results, *, target: str | None = None, language: str | None = None, each: bool = False
) -> pd.DataFrame:
    return pd.DataFrame(
        {"target": s.target, "arms": s.arms, "scores": s.scores.tolist(), "each": s.by_language.tolist()}
        for s in results.strata("test", language, target=target, each=each)
    )


@pytest.mark.parametrize("fill", [_alike, _unlike])
def test_no_question_changes_the_answer_to_another(tmp_path: Path, fill: Callable[[Path], None]) -> None:
    fill(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = {name: ask(Results(tmp_path)) for name, ask in _QUESTIONS.items()}
        for order in itertools.permutations(_QUESTIONS, 2):
            results = Results(tmp_path)
            for name in order:
                pd.testing.assert_frame_equal(_QUESTIONS[name](results), alone[name])


@pytest.mark.parametrize("fill", [_alike, _unlike])
@pytest.mark.parametrize("first", ["known", "gains"])
def test_one_language_has_the_scores_of_the_matrix(tmp_path: Path, fill: Callable[[Path], None], first: str) -> None:
    """Joined where only means are there, and read where a question before has made the scores by language."""
    fill(tmp_path)
    results = Results(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _QUESTIONS[first](results)
        strata = results.strata("test", "de")
        matrix = results.matrix()
    found = sorted(
        (s.target, arm.intermediate, score)
        for s in strata
        for arm, row in zip(s.arms, s.scores.tolist(), strict=True)
        for score in (row[:1] if s.deterministic[s.arms.index(arm)] else row)
        if score == score
    )
    rows = matrix[matrix["language"] == "de"]
    assert found == sorted(zip(rows["target"], rows["intermediate"], rows["score"], strict=True))
    assert {target for target, _, _ in found} == {"xnli", "tatoeba"}


@pytest.mark.parametrize("fill", [_alike, _unlike])
def test_questions_between_which_something_is_written(tmp_path: Path, fill: Callable[[Path], None]) -> None:
    """Each sees what a folder just opened shows, also where cells that were alike no longer are."""
    fill(tmp_path)
    seeds = itertools.count(3)
    results, often = Results(tmp_path), Results(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for first, second in itertools.permutations(_QUESTIONS, 2):
            for name in (first, second):
                pd.testing.assert_frame_equal(_QUESTIONS[name](results), _QUESTIONS[name](Results(tmp_path)))
            _QUESTIONS[second](often)
            seed = next(seeds)
            name, fraction = _ARMS[seed % 3]
            write(tmp_path, f"more-{seed}", {"en": 0.5, "de": 0.4}, intermediate=name, intermediate_fraction=fraction,
                  seed=seed, ended_at=START + timedelta(days=2))  # fmt: skip
            if seed == 20:
                _unlike(tmp_path)
