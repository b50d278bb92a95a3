from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from results.rows import run_row, score_rows

from raystilts.analysis.benchmark import BEST, SuiteAnswer, SuiteRow, SuiteTable, benchmark
from raystilts.errors import UserError
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results
from raystilts.study.schema import Study
from raystilts.tasks.languages import codes
from raystilts.tasks.suites import Member, Suite, get_suite

#: Test accuracy x 100 of each arm with seeds 0 and 1; Swahili is 10 lower. On English dev squad leads xnli, hellaswag
#: pawsx.
XNLI = {"none": (60, 62), "squad": (66, 66), "hellaswag": (61, 65)}
PAWSX = {"none": (80, 80), "squad": (79, 81), "hellaswag": (86, 88)}
TATOEBA = {"none": (30, 30), "squad": (50, 54), "hellaswag": (40, 44)}


def write_run(folder: Path, target: str, arm: str, seed: int | None, test: dict[str, float], **more: Any) -> None:
    """One finished run with its English dev score (the mean of its test scores, unless it is retrieval)."""
    retrieval = target == "tatoeba"
    facts: dict[str, Any] = {"kind": "retrieval", "target_fraction": None} if retrieval else {}
    fraction = None if arm == "none" else 1.0
    run = run_row(f"{target}_{arm}_{seed}", intermediate=arm, intermediate_fraction=fraction, seed=seed, target=target,
                  **facts, **more)  # fmt: skip
    scores = score_rows(run, test)
    if not retrieval:
        scores += score_rows(run, {"en": sum(test.values()) / len(test)}, split="dev")
    write_attempt(folder, run, scores)


def write_suite(folder: Path, **study: Any) -> Path:
    """Three targets of XTREME, three arms, two seeds."""
    for seed in (0, 1):
        for arm in XNLI:
            xnli = XNLI[arm][seed] / 100
            write_run(folder, "xnli", arm, seed, {"de": xnli, "sw": xnli - 0.1})
            write_run(folder, "pawsx", arm, seed, {"de": PAWSX[arm][seed] / 100})
            if arm != "none":
                write_run(folder, "tatoeba", arm, seed, {"de": TATOEBA[arm][seed] / 100})
    write_run(folder, "tatoeba", "none", None, {"de": 0.30})
    fields: dict[str, Any] = {
        "name": "suite", "intermediates": list(XNLI), "seeds": [0, 1],
        "targets": [{"task": "xnli", "languages": ["de", "sw"]}, {"task": "pawsx", "languages": ["de"]},
                    {"task": "tatoeba", "languages": ["de"]}],
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(Study.model_validate(fields | study).model_dump(mode="json")))
    return folder


def three(**changes: Any) -> Suite:
    """The suite of the three targets, in the languages that are there."""
    suite = get_suite("xnli,pawsx,tatoeba")
    languages = {"xnli": ("de", "sw"), "pawsx": ("de",), "tatoeba": ("de",)}
    fitted = [Member(m.target, m.group, m.metric, languages[m.target]) for m in suite.members]
    return Suite("three", "three targets", tuple(fitted), **changes)


def rows(table: SuiteTable) -> dict[str, SuiteRow]:
    return {row.arm: row for row in table.rows}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_suite(tmp_path)


@pytest.fixture
def answer(folder: Path) -> SuiteAnswer:
    return benchmark(Results(folder), three())


def test_scores_by_hand(answer: SuiteAnswer) -> None:
    found = rows(answer.own)
    assert list(found) == ["none", "squad", "hellaswag", BEST]
    none, squad = found["none"], found["squad"]
    assert none.scores == pytest.approx({"xnli": 0.56, "pawsx": 0.80, "tatoeba": 0.30})
    assert none.groups == pytest.approx({"classification": 0.68, "retrieval": 0.30})
    assert none.overall == pytest.approx(1.66 / 3)
    assert squad.scores == pytest.approx({"xnli": 0.61, "pawsx": 0.80, "tatoeba": 0.52})
    assert squad.overall == pytest.approx(1.93 / 3)
    assert [row.seeds for row in answer.own.rows] == [2, 2, 2, 2]
    assert answer.own.languages == {"xnli": ("de", "sw"), "pawsx": ("de",), "tatoeba": ("de",)}
    assert answer.own.complete
    assert answer.fixed is None


def test_the_best_per_target(answer: SuiteAnswer) -> None:
    chosen = {choice.target: choice for choice in answer.own.choices}
    assert {target: choice.arm for target, choice in chosen.items()} == {
        "xnli": "squad", "pawsx": "hellaswag", "tatoeba": "squad"
    }  # fmt: skip
    assert [choice.selection for choice in answer.own.choices] == ["en_dev", "en_dev", "test"]
    best = rows(answer.own)[BEST]
    assert best.scores == pytest.approx({"xnli": 0.61, "pawsx": 0.87, "tatoeba": 0.52})
    assert best.overall == pytest.approx(2.0 / 3)
    assert best.gain is not None
    assert best.gain.value == pytest.approx(0.34 / 3)
    assert best.groups["classification"] == pytest.approx(0.74)
    gain = best.group_gains["classification"]
    assert gain.value == pytest.approx(0.06)
    assert gain.low is not None
    assert gain.low < 0.06
    assert chosen["xnli"].gain is not None
    assert chosen["xnli"].gain.value == pytest.approx(0.05)
    assert any("tatoeba: no dev data" in note for note in answer.notes)


def test_choosing_looks_at_dev_alone(tmp_path: Path) -> None:
    write_suite(tmp_path)
    for seed in (0, 1):  # a later attempt: hellaswag is better on dev and worse on test
        run = run_row(
            f"xnli_hellaswag_{seed}", intermediate="hellaswag", intermediate_fraction=1.0, seed=seed, attempt=2
        )
        scores = score_rows(run, {"de": 0.3, "sw": 0.3}) + score_rows(run, {"en": 0.9}, split="dev")
        write_attempt(tmp_path, run, scores)
    found = benchmark(Results(tmp_path), three()).own
    assert {choice.target: choice.arm for choice in found.choices}["xnli"] == "hellaswag"
    assert rows(found)[BEST].scores["xnli"] == pytest.approx(0.3)


def test_a_suite_with_targets_missing_is_incomplete(folder: Path) -> None:
    found = benchmark(Results(folder), get_suite("xtreme"))
    assert not found.own.complete
    assert set(found.own.missing) == {"udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018"}
    assert set(found.own.missing.values()) == {"not in these results"}
    assert len(found.own.missing_languages["xnli"]) == 13
    assert rows(found.own)["none"].overall == pytest.approx(1.66 / 3)  # over what is there
    assert found.fixed is not None
    assert found.fixed.asked == codes("ar de el en es hi ru th tr vi zh")
    assert found.fixed.languages["xnli"] == ("de",)
    assert rows(found.fixed)["none"].scores["xnli"] == pytest.approx(0.61)


def test_one_stated_set_of_languages(folder: Path) -> None:
    found = benchmark(Results(folder), three(fixed_languages=("de",)), languages=["sw"])
    assert found.fixed is not None
    assert found.fixed.asked == ("sw",)
    assert found.fixed.missing == dict.fromkeys(("pawsx", "tatoeba"), "has none of these languages")
    assert rows(found.fixed)["none"].overall == pytest.approx(0.51)
    assert found.own.complete
    default = benchmark(Results(folder), three(fixed_languages=("de",))).fixed
    assert default is not None
    assert rows(default)["none"].scores["xnli"] == pytest.approx(0.61)


def test_an_arm_that_lacks_a_target_is_compared_where_it_is(folder: Path) -> None:
    for seed in (0, 1):
        write_run(folder, "xnli", "mnli_like", seed, {"de": 0.7, "sw": 0.7})
    found = benchmark(Results(folder), three()).own
    row = rows(found)["mnli_like"]
    assert row.lacks == ("pawsx", "tatoeba")
    assert row.overall == pytest.approx(0.7)
    assert row.gain is not None
    assert row.gain.value == pytest.approx(0.14)
    assert not found.complete
    assert found.rows[-2].arm == "mnli_like"  # after those that have everything


def test_a_language_that_one_run_lacks_is_in_no_mean(folder: Path) -> None:
    write_run(folder, "xnli", "social_i_qa", 0, {"de": 0.7})
    with pytest.warns(UserWarning, match="not every run has sw"):
        found = benchmark(Results(folder), three()).own
    assert found.languages["xnli"] == ("de",)
    assert found.missing_languages == {"xnli": ("sw",)}


def test_degenerate_runs_count_for_nothing(folder: Path) -> None:
    write_run(folder, "xnli", "squad", 2, {"de": 0.1, "sw": 0.1}, degenerate=True, degenerate_rule="loss")
    assert rows(benchmark(Results(folder), three()).own)["squad"].scores["xnli"] == pytest.approx(0.61)


def test_overlap_is_marked_and_left_out_of_best(tmp_path: Path) -> None:
    write_suite(tmp_path, intermediates=[*XNLI, "mnli"])
    for seed in (0, 1):
        write_run(tmp_path, "xnli", "mnli", seed, {"de": 0.9 + 0.01 * seed, "sw": 0.9})
    strict, loose = (benchmark(Results(tmp_path), three(), include_overlap=flag) for flag in (False, True))
    assert rows(strict.own)["mnli"].overlap == ("xnli",)
    assert rows(strict.own)["mnli"].scores == pytest.approx({"xnli": 0.9025})
    assert strict.own.choices[0].arm == "squad"
    assert (loose.own.choices[0].arm, loose.own.choices[0].overlap) == ("mnli", True)
    assert rows(loose.own)[BEST].overlap == ("xnli",)


def test_what_was_not_scored_in_full_is_said(tmp_path: Path) -> None:
    write_suite(tmp_path, evaluation={"max_test_samples": 40})
    assert any("at most 40 test rows a language" in note for note in benchmark(Results(tmp_path), three()).notes)


def test_another_metric_is_not_the_suites(folder: Path) -> None:
    members = tuple(
        Member(m.target, m.group, "f1" if m.target == "xnli" else m.metric, m.languages) for m in three().members
    )
    found = benchmark(Results(folder), Suite("other", "other", members)).own
    assert found.missing == {"xnli": "scored by accuracy, not by f1"}


def test_no_target_of_the_suite(folder: Path) -> None:
    with pytest.raises(UserError, match=r"--suite sib200: no target of it is in these results \(they hold pawsx, tat"):
        benchmark(Results(folder), get_suite("sib200"))


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    for arm in XNLI:
        write_run(tmp_path, "xnli", arm, 0, {"de": XNLI[arm][0] / 100, "sw": 0.5})
    found = rows(benchmark(Results(tmp_path), three()).own)
    gain = found[BEST].gain
    assert gain is not None
    assert gain.value == pytest.approx(0.03)
    assert gain.low is None
