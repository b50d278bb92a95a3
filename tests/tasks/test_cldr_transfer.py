"""Tests of the tasks between which transfer shows: continents of names, and parts of dates."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from babel import Locale
from babel.dates import format_date, format_skeleton

from raystilts.errors import UserError
from raystilts.tasks.cldr import calendar, places
from raystilts.tasks.cldr.facts import SPLITS, clean, names, names_in
from raystilts.tasks.cldr.phrases import DAYS, FIRST_DAY, of_day
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import shares_training_data
from raystilts.tasks.types.classification import SequenceClassification

PLACES = ("cldr_cities", "cldr_countries", "cldr_currencies", "cldr_languages")
DATES = ("cldr_months", "cldr_weekdays", "cldr_seasons")
TRAINED = (*PLACES, *DATES)
SCRIPTS = ("ru", "el", "zh", "ja", "ar", "he", "hi", "th", "am")
DAY_OF_EACH = ("en", "de", "fr", "ru", "el", "ar", "hi", "sw")

#: What an atlas says.
KNOWN = {
    "city": {"Africa/Nairobi": "africa", "America/Lima": "america", "Asia/Tokyo": "asia", "Europe/Rome": "europe"},
    "territory": {"GH": "africa", "BR": "america", "IN": "asia", "PL": "europe"},
    "currency": {"KES": "africa", "BRL": "america", "INR": "asia", "PLN": "europe"},
    "language": {"yo": "africa", "gn": "america", "th": "asia", "cs": "europe"},
}


def rows(name: str, language: str, split: str) -> pa.Table:
    """The rows of a task's split."""
    task = get_task(name)
    if split == "train":
        return task.load_train(None)
    return (task.load_dev if split == "validation" else task.load_test)(language, None)


def texts(name: str, language: str, split: str) -> list[str]:
    """The texts alone."""
    found: list[str] = rows(name, language, split)["text"].to_pylist()
    return found


@pytest.mark.parametrize("name", TRAINED)
def test_training_rows_are_as_many_as_declared_and_accepted(name: str) -> None:
    task, table = get_task(name), rows(name, "en", "train")
    assert task.train is not None
    assert table.num_rows == task.train.rows
    assert task.type.check(table, "en") == []
    counts = Counter(table["label"].to_pylist())
    assert min(counts.values()) >= 0.99 * max(counts.values())


@pytest.mark.parametrize("language", ["en", *SCRIPTS])
@pytest.mark.parametrize("name", TRAINED)
def test_dev_and_test_rows_are_accepted_and_distinct(name: str, language: str) -> None:
    task = get_task(name)
    for split in SPLITS[1:]:
        table = rows(name, language, split)
        assert 120 <= table.num_rows <= 240
        assert task.type.check(table, language) == []
        assert len(set(table["text"].to_pylist())) == table.num_rows


@pytest.mark.parametrize("name", PLACES)
def test_every_language_has_every_area_on_test_but_for_one(name: str) -> None:
    task = get_task(name)
    assert isinstance(task.type, SequenceClassification)
    assert len(task.languages) >= 30
    for language in task.languages:
        lacking = set(task.type.labels) - set(rows(name, language, "test")["label"].to_pylist())
        assert len(lacking) <= 1, (language, lacking)


@pytest.mark.parametrize("name", TRAINED)
def test_no_text_of_any_training_is_ever_scored(name: str) -> None:
    trained = set(texts(name, "en", "train"))
    for other in TRAINED:
        for split in SPLITS[1:]:
            assert not trained & set(texts(other, "en", split)), (other, split)


@pytest.mark.parametrize("kind", ["city", "territory", "currency", "language"])
def test_names_of_training_are_in_no_scored_text(kind: str) -> None:
    trained = set(names_in("en", kind, "train").values())
    name = next(task for task, (own, _) in _by_task().items() if own == kind)
    for split in SPLITS[1:]:
        for text in texts(name, "en", split):
            single = text.replace(", and ", ", ").replace(" and ", ", ").split(", ")
            assert not trained & {text, *single}


def _by_task() -> dict[str, Any]:
    return {f"cldr_{name}": entry for name, entry in places.GENERATORS.items()}


def test_days_of_seasons_are_trained_on_by_no_other_task() -> None:
    seasons = _days_of("cldr_seasons")
    assert seasons
    for other in ("cldr_months", "cldr_weekdays"):
        found = _days_of(other)
        assert found
        assert not seasons & found
        assert all(of_day(day) == "train" for day in found)


def _days_of(name: str) -> set[datetime]:
    """The days of a task's training texts, found by writing every day that there is."""
    trained = set(texts(name, "en", "train"))
    days = [FIRST_DAY + timedelta(days=i) for i in range(DAYS)]
    return {day for day in days if trained & set(_written("en", day))}


def _written(language: str, day: datetime) -> list[str]:
    """A day in the forms of the tasks, by babel itself."""
    found = [format_date(day, form, locale=language) for form in ("full", "long")]
    return [clean(text) for text in (*found, format_skeleton("yMMMEd", day, locale=language))]


def test_no_two_tasks_share_training_data() -> None:
    tasks = [get_task(name) for name in (*TRAINED, "cldr_units", "cldr_names")]
    assert not any(shares_training_data(one, other) for one in tasks for other in tasks if one is not other)


@pytest.mark.parametrize("kind", KNOWN)
def test_areas_are_those_of_an_atlas(kind: str) -> None:
    found = places.areas(kind)
    assert {code: found.get(code) for code in KNOWN[kind]} == KNOWN[kind]
    assert set(found.values()) <= set(places.AREAS)


def test_what_lies_in_two_areas_has_none() -> None:
    assert not {"RU", "AU", "AQ"} & set(places.areas("territory"))
    assert not {"USD", "EUR", "GBP"} & set(places.areas("currency"))
    assert not {"en", "es", "ar"} & set(places.areas("language"))


@pytest.mark.parametrize("language", ["en", *SCRIPTS])
@pytest.mark.parametrize("name", PLACES)
def test_a_name_alone_has_the_area_of_its_item(name: str, language: str) -> None:
    kind, generate = _by_task()[name]
    code_of = {text: code for code, text in names(language, kind).items()}
    found = 0
    for row in generate(language, "test").to_pylist():
        code = code_of.get(row["text"])
        if code is not None:
            found += 1
            assert places.areas(kind)[code] == row["label"]
    assert found >= 10


@pytest.mark.parametrize("language", DAY_OF_EACH)
def test_dates_name_the_month_and_the_weekday_of_their_label(language: str) -> None:
    locale = Locale.parse(language)
    wide = {form: locale.months["format"][form] for form in ("wide", "abbreviated")}
    days = {form: locale.days["format"][form] for form in ("wide", "abbreviated")}
    for row in calendar.months(language, "test").to_pylist():
        at = calendar.MONTHS.index(row["label"]) + 1
        assert any(clean(form[at]) in row["text"] for form in wide.values()), row
    for row in calendar.weekdays(language, "test").to_pylist():
        at = calendar.WEEKDAYS.index(row["label"])
        assert any(clean(form[at]) in row["text"] for form in days.values()), row


def test_seasons_are_whole_months() -> None:
    found = [calendar.season_of(datetime(2021, month, 28)) for month in range(1, 13)]
    assert found == ["winter"] * 2 + ["spring"] * 3 + ["summer"] * 3 + ["autumn"] * 3 + ["winter"]


@pytest.mark.parametrize("language", DAY_OF_EACH)
def test_seasons_hold_the_month(language: str) -> None:
    wide = [Locale.parse(language).months["format"][form] for form in ("wide", "abbreviated")]
    for row in calendar.seasons(language, "test").to_pylist():
        months = [m for m in range(1, 13) if calendar.SEASONS[m % 12 // 3] == row["label"]]
        assert any(clean(form[m]) in row["text"] for form in wide for m in months), row


@pytest.mark.parametrize("language", ["de", "ru", "ar", "hi", "zh"])
def test_matched_dates_are_the_same_day(language: str) -> None:
    days = [FIRST_DAY + timedelta(days=i) for i in range(DAYS)]
    pairs = {
        tuple(clean(format_skeleton("MMMEd", day, locale=code)) for code in ("en", language)) for day in days[:12000]
    }
    table = calendar.date_match(language, "test")
    assert table.num_rows == 150
    for side in ("source_sentence", "target_sentence"):
        assert len(set(table[side].to_pylist())) == 150
    for row in table.to_pylist():
        assert (row["target_sentence"], row["source_sentence"]) in pairs


@pytest.mark.parametrize(("language", "split"), [("en", "test"), ("de", "train")])
def test_dates_are_matched_in_other_languages_only(language: str, split: str) -> None:
    with pytest.raises(UserError, match=r"train|matches other languages' dates"):
        calendar.date_match(language, split)
