"""Tests of the text of the CLDR tasks: names, quantities, dates, pairs, spans."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from raystilts.errors import UserError
from raystilts.tasks import cldr
from raystilts.tasks.cldr import choice, dates, match, same, span
from raystilts.tasks.cldr.facts import KINDS, SPLITS, UNITS, Draws, clean, join, names, names_in, unit_split
from raystilts.tasks.cldr.phrases import (
    DIMENSIONS,
    Quantity,
    draw_moment,
    forms,
    near_miss,
    other_number,
    plain,
    pool,
    write_date,
    write_datetime,
)

SAMPLE = ("de", "ru", "ar", "hi", "th", "zh", "ja", "sw", "my")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", *SAMPLE])
def test_items_of_the_splits_are_disjoint_and_complete(language: str, kind: str) -> None:
    parts = [set(names_in(language, kind, split)) for split in SPLITS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(names(language, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_has_the_same_split_in_every_language(kind: str) -> None:
    train = set(names_in("en", kind, "train"))
    for language in cldr.FOREIGN:
        assert not train & set(names_in(language, kind, "test")), language


@pytest.mark.parametrize("language", SAMPLE)
def test_names_are_translated_and_belong_to_one_item(language: str) -> None:
    found = [
        (name.casefold(), code) for kind in KINDS for code, name in names(language, kind).items()
    ]
    assert len({name for name, _ in found}) == len(found)
    for kind in KINDS:
        english = names("en", kind)
        assert not any(english.get(c) == n for c, n in names(language, kind).items())


@pytest.mark.parametrize("dimension", list(UNITS))
def test_every_split_has_units_of_every_dimension(dimension: str) -> None:
    assert {unit_split(unit) for unit in UNITS[dimension]} == set(SPLITS)


@pytest.mark.parametrize("language", cldr.LANGUAGES)
def test_quantities_never_show_identifiers(language: str) -> None:
    for dimension in DIMENSIONS:
        for unit in pool(language, dimension, "test"):
            for form in forms(language, dimension, unit):
                for number in ("1", "2", "5", "1.5", "1000"):
                    text = Quantity(dimension, unit, Decimal(number)).text(language, form)
                    assert text
                    assert f"{dimension}-" not in text


def test_quantities_follow_the_language() -> None:
    quantity = Quantity("length", "length-mile", Decimal("1234.5"))
    assert quantity.text("en") == "1,234.5 miles"
    assert quantity.text("de") == "1.234,5 Meilen"
    assert quantity.text("de", "short") == "1.234,5 mi"
    assert forms("de", "length", "length-mile") == ("long",)
    assert Quantity("money", "USD", Decimal(3)).text("en") == "3 US dollars"


def test_other_number_keeps_the_look() -> None:
    draws = Draws("numbers")
    for text in ("7", "42", "99.5", "1000"):
        other = str(other_number(draws, Decimal(text)))
        assert other != text
        assert len(other) == len(text)


def test_dates_know_their_fields() -> None:
    moment = datetime(2021, 3, 14, 15, 5)
    pieces = write_date("en", moment, "full")
    assert plain(pieces) == "Sunday, March 14, 2021"
    fields = [(p.text, p.field) for p in pieces if p.field != "other"]
    assert fields == [("Sunday", "weekday"), ("March", "month"), ("14", "day"), ("2021", "year")]
    assert plain(write_date("zh", moment, "full")) == "2021年3月14日星期日"
    assert plain(write_datetime("en", moment, "long")).startswith("March 14, 2021")


def test_tokens_are_tagged_across_scripts() -> None:
    assert dates.tokens_of("2021年3月14日 15:05") == [
        "2021",
        "年",
        "3",
        "月",
        "14",
        "日",
        "15",
        ":",
        "05",
    ]
    assert dates.tokens_of("रविवार, 14 मार्च") == ["रविवार", ",", "14", "मार्च"]
    assert dates.tokens_of("วันที่ 3") == ["วันที่", "3"]


@pytest.mark.parametrize("language", ["en", *SAMPLE])
def test_tags_are_parallel_to_tokens_and_well_formed(language: str) -> None:
    seen: set[str] = set()
    for row in dates.rows(language, "test").to_pylist():
        assert len(row["tokens"]) == len(row["tags"])
        assert all(token and not any(map(str.isspace, token)) for token in row["tokens"])
        for before, tag in zip(["O", *row["tags"]], row["tags"], strict=False):
            assert tag in dates.LABELS
            assert tag[0] != "I" or before[1:] == tag[1:]
        seen |= set(row["tags"])
    assert {f"B-{field}" for field in dates.FIELDS} <= seen


@pytest.mark.parametrize("split", SPLITS)
def test_near_misses_stay_in_the_split_and_change_one_field(split: str) -> None:
    draws = Draws("misses", split)
    for _ in range(50):
        moment = draw_moment(draws, split)  # type: ignore[arg-type]
        other = near_miss(draws, moment, split, ("day", "month", "year"))  # type: ignore[arg-type]
        changed = [f for f in ("day", "month", "year") if getattr(moment, f) != getattr(other, f)]
        assert len(changed) == 1


@pytest.mark.parametrize("language", ["en", *SAMPLE])
def test_pairs_are_never_equal_and_kinds_are_balanced(language: str) -> None:
    found = same.rows(language, "test").to_pylist()
    assert all(row["sentence1"] != row["sentence2"] for row in found)
    for kind in ("date", "time", "quantity", "list"):
        labels = [row["label"] for row in found if row["kind"] == kind]
        assert len(labels) == 60
        assert labels.count("same") == 30


@pytest.mark.parametrize("language", ["en", *SAMPLE])
def test_choices_differ_and_the_right_one_is_anywhere(language: str) -> None:
    found = choice.rows(language, "test").to_pylist()
    assert all(len({row["question"], *row["choices"]}) == 5 for row in found)
    places = [row["label"] for row in found]
    assert all(places.count(place) == len(found) / 4 for place in range(4))


@pytest.mark.parametrize("language", ["en", *SAMPLE])
def test_answers_are_spans_of_their_contexts(language: str) -> None:
    for row in span.rows(language, "test").to_pylist():
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(text)] == text
        assert text
        assert len(row["context"]) < 600


def test_match_pairs_are_unique_translations() -> None:
    table = match.rows("de", "test")
    for column in table.column_names:
        assert len(set(table.column(column).to_pylist())) == table.num_rows
    for language, split in (("en", "test"), ("de", "train")):
        with pytest.raises(UserError, match=r"cldr_match has no rows|only English has training"):
            match.rows(language, split)


def test_lists_and_cleaning() -> None:
    assert join("en", ["A", "B", "C"]) == "A, B, and C"
    assert join("de", ["A", "B"]) == "A und B"
    assert join("zh", ["甲"]) == "甲"
    assert clean("a\u202fb\u200f  c ") == "a b c"
