"""Dev data choose by whatever name their language has, and where they do not, the answer says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from raystilts.errors import UserError
from raystilts.importing.table import Imported
from raystilts.results.notes import unused_dev
from raystilts.results.results import Results
from raystilts.tasks.languages import code_of, english_names, every_code, language_name, other_name

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]
#: On dev mnli is best, on test none is.
VALUES = {"dev": {"none": 60, "mnli": 65}, "test": {"none": 50, "mnli": 48}}


def table(dev: str, test: str, target: str = "q") -> str:
    lines = [
        f"{arm},{target},{seed},{language},{split},{value + seed}"
        for split, language in (("dev", dev), ("test", test)) for arm, value in VALUES[split].items() for seed in (1, 2)
    ]  # fmt: skip
    return "\n".join(["intermediate,target,seed,language,split,acc", *lines]) + "\n"


@pytest.mark.parametrize("name", ["English", "english ", "EN", "eng", "eng_Latn", "en-US", "en_US", "en_us"])
def test_english_chooses_by_any_name(load: Import, scores: Scores, tmp_path: Path, name: str) -> None:
    done = load(table(name, name))
    [answer] = Results(tmp_path / "out").answers()
    assert (answer.best, {arm.selection for arm in answer.arms}) == (("mnli",), {"en_dev"})
    assert not [note for note in answer.notes if "chosen and scored" in note]
    assert [said for said in done.said if "taken for 'en'" in said] == [f"language {name!r} taken for 'en'"]
    assert set(scores()["language"]) == {"en"}


def test_english_of_two_files_is_one_language(load: Import, scores: Scores) -> None:
    rows = "intermediate,target,seed,language,acc\n"
    load(f"{rows}none,q,1,English,60\nmnli,q,1,eng,70\n", "a.csv")
    done = load(f"{rows}none,q,1,en,60\nmnli,q,1,en-GB,70\n", "b.csv", where=[("intermediate", "mnli")])
    assert (done.equal, set(scores()["language"])) == (1, {"en"})


def test_two_values_in_english_are_refused(load: Import) -> None:
    with pytest.raises(UserError, match="give different values for the same run"):
        load("intermediate,target,seed,language,acc\nnone,q,1,en,60\nnone,q,1,English,61\n")


def test_what_is_set_is_english_too(load: Import, scores: Scores) -> None:
    load("intermediate,target,seed,acc\nnone,q,1,60\nmnli,q,1,70\n", constants={"language": "English"})
    assert set(scores()["language"]) == {"en"}


def test_two_varieties_stay_two_languages(load: Import, scores: Scores, tmp_path: Path) -> None:
    load(table("en-US", "en-US") + table("en-GB", "en-GB").partition("\n")[2].replace("65", "55"))
    assert set(scores()["language"]) == {"en-US", "en-GB"}
    [answer] = Results(tmp_path / "out").answers()
    [note] = [note for note in answer.notes if "chosen and scored" in note]
    assert note.startswith("dev data in en-GB, en-US do not choose: the training language is taken to be en; ")


def test_other_languages_keep_their_names(load: Import, scores: Scores) -> None:
    """Arms are named by the same codes: a matrix of trained by tested languages would fall apart."""
    load(",amh,ara,zul,eng\namh,60,21,35,35\nara,20,70,17,15\n", constants={"target": "ner"}, baseline="amh")
    assert set(scores()["language"]) == {"amh", "ara", "zul", "en"}


def test_a_variety_of_dev_alone_chooses(load: Import, tmp_path: Path) -> None:
    load(table("en-US", "en"))
    [answer] = Results(tmp_path / "out").answers()
    assert (answer.best, answer.choice_languages) == (("mnli",), ("en-US",))


@pytest.mark.parametrize("name", ["de", "deu", "German", "deu_Latn", "de-DE"])
def test_another_training_language_chooses_by_any_name(load: Import, tmp_path: Path, name: str) -> None:
    load(table(name, name, "udpos@de"))
    [answer] = Results(tmp_path / "out").answers()
    assert (answer.best, {arm.selection for arm in answer.arms}) == (("mnli",), {"en_dev"})


def test_a_task_that_is_known_says_its_training_language(load: Import, tmp_path: Path) -> None:
    load(table("en", "en", "udpos@de"))
    [answer] = Results(tmp_path / "out").answers()
    assert any(note.startswith("dev data in en do not choose: the training language is de;") for note in answer.notes)


def test_dev_data_in_another_language_are_not_missing(load: Import, tmp_path: Path) -> None:
    load(table("de", "de"))
    [answer] = Results(tmp_path / "out").answers()
    assert {arm.selection for arm in answer.arms} == {"test"}
    [note] = [note for note in answer.notes if "chosen and scored" in note]
    assert note == (
        "dev data in de do not choose: the training language is taken to be en; chosen and scored on the same test "
        "data, so P(best) is exploratory"
    )


def test_without_dev_data_there_are_none(load: Import, tmp_path: Path) -> None:
    load("intermediate,target,seed,acc\nnone,q,1,60\nnone,q,2,61\nmnli,q,1,70\nmnli,q,2,71\n")
    [answer] = Results(tmp_path / "out").answers()
    assert "no dev data: chosen and scored on the same test data, so P(best) is exploratory" in answer.notes


def test_why_dev_data_do_not_choose() -> None:
    assert unused_dev([], "en", "x") == ""
    assert unused_dev(list("abcdefg"), "en", "x") == "dev data in a, b, c, d, e and 2 more do not choose: x"
    assert "en do not choose: no run has a score there that counts" in unused_dev(["de", "en"], "en", "x")
    assert "no language is in every run" in unused_dev(["de"], None, "x")


def test_a_question_in_a_language_by_another_name(load: Import, tmp_path: Path) -> None:
    load(table("English", "English"))
    with pytest.raises(UserError, match="--language English: not in these results; there it is 'en'"):
        Results(tmp_path / "out").answers(language="English")


def test_names_of_languages() -> None:
    assert code_of("German") == code_of("deu") == code_of("deu_Latn") == code_of("de-Latn") == ("de", "")
    assert code_of("ENGLISH") == code_of("EN") == ("en", "")
    assert (code_of("pt-BR"), code_of("zh_Hant"), code_of("en_us")) == (("pt", "BR"), ("zh", "Hant"), ("en", "US"))
    for name in ("DE", "BE", "de-en", "en-de", "en-ca", "eng_Latn-deu_Latn", "nan", "", "xx", "code"):
        assert code_of(name) == ("", ""), name
    for code in every_code():
        assert code_of(language_name(code))[0] in (code, code_of(code)[0])


def test_one_other_name_or_none() -> None:
    assert other_name("de", ["en", "German", "de-AT"]) == "German"
    assert other_name("en", ["en-US", "en-GB"]) == other_name("en", ["fr"]) == ""
    assert english_names(["English", "en-US", "de"]) == ["English"]
    assert english_names(["en-US", "en_US", "de"]) == ["en-US", "en_US"]
    assert english_names(["en", "en-US"]) == []
