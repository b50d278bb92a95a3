from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from results.rows import run_row, score_rows, write

from raystilts.analysis.reading import check_language, read_strata, sizes_in_examples, table_of
from raystilts.errors import UserError
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results
from raystilts.results.task_facts import KnownTasks, TaskFacts
from raystilts.study.schema import Study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in (0, 1):
        for name, gain in (("none", 0.0), ("mnli", 0.1)):
            run = run_row(f"{name}-{seed}", intermediate=name, seed=seed, target="xquad")
            values = {"de": 0.5 + gain, "en": 0.7 + gain + 0.01 * seed}
            exact = {code: value / 2 for code, value in values.items()}
            scores = score_rows(run, values, metric="em_f1")
            scores += score_rows(run, exact, metric="em", is_main=False)
            scores += score_rows(run, values, metric="em", is_main=False, is_final=False, step=5)
            write_attempt(tmp_path, run, scores)
    write(tmp_path, "other", {"en": 0.9}, target="xnli")
    return tmp_path


def test_the_main_metric_comes_from_the_store(folder: Path) -> None:
    results = Results(folder)
    found = read_strata(results, "xquad")
    [same] = results.strata("test", target="xquad", each=True)
    assert [s.metric for s in found] == ["em_f1"]
    assert found[0].by_language.tolist() == same.by_language.tolist()


def test_another_metric_is_read_the_same_way(folder: Path) -> None:
    [found] = read_strata(Results(folder), metric="em")  # the target without it is left out
    [main] = read_strata(Results(folder), "xquad")
    assert (found.target, found.metric, found.languages) == ("xquad", "em", ("de", "en"))
    assert found.arms == main.arms
    assert np.allclose(found.by_language, main.by_language / 2)
    assert np.allclose(found.scores, main.scores / 2)


def test_tables_of_the_mean_and_of_a_language(folder: Path) -> None:
    [one] = read_strata(Results(folder), "xquad")
    assert np.allclose(table_of(one, None), (table_of(one, "de") + table_of(one, "en")) / 2)


def test_what_is_not_there_is_said(folder: Path) -> None:
    results = Results(folder)
    with pytest.raises(UserError, match="did you mean 'xquad'"):
        read_strata(results, "xquat")
    with pytest.raises(UserError, match="--metric f1"):
        read_strata(results, metric="f1")
    with pytest.raises(UserError, match="--language fr"):
        check_language("fr", read_strata(results))
    check_language(None, [])


def test_sizes_are_those_that_the_run_has_written() -> None:
    facts = {"type": "classification", "main_score": "accuracy", "languages": ["en"], "dev_languages": ["en"],
             "train_languages": ["en"], "trains": True, "train_data": ["mine", "train"], "rows": 1200}  # fmt: skip
    tasks = {"mine": facts, "yours": facts | {"rows": 30}, "pool": facts | {"trains": False, "rows": None}}
    arms = ["none", {"tasks": ["mine", "yours"]}]
    study = Study.model_validate({"name": "s", "intermediates": arms, "targets": ["yours", "pool"], "seeds": [0]})
    size_of, unit = sizes_in_examples(study, KnownTasks({n: TaskFacts.from_json(t) for n, t in tasks.items()}, study))
    assert (unit, size_of("mine+yours", 0.5), size_of("yours", 1.0)) == ("examples", 615, 30)
