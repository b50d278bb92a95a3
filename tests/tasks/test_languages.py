from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.tasks.languages import check_language, codes, flores_code, iso3_code, language_name, retired
from raystilts.tasks.registry import get_task


def test_names_and_codes() -> None:
    assert (language_name("sw"), flores_code("sw"), iso3_code("sw")) == ("Swahili", "swh_Latn", "swh")
    assert (language_name("xx"), flores_code("xx"), iso3_code("xx")) == ("xx", "xx", "xx")
    assert codes("de  en") == ("de", "en")


def test_unquoted_no_in_yaml() -> None:
    with pytest.raises(UserError, match=r"False is not a code.*write nb.*quotes"):
        check_language(False)


@pytest.mark.parametrize(("given", "here"), [("no", "nb"), ("iw", "he"), ("in", "id"), ("deu", "de"), ("jp", "ja")])
def test_codes_that_are_not_ours_get_a_hint(given: str, here: str, data_dir: Path) -> None:
    assert f"{given!r} is written {here!r} here" in retired(given)
    with pytest.raises(UserError, match=f"has no test data in '{given}'.*'{given}' is written '{here}' here"):
        get_task("sib200").load_test(given, data_dir)
    with pytest.raises(UserError, match=f"languages there: .*'{given}' is written '{here}' here"):
        get_task("mono").in_language(given).load_train(data_dir)


@pytest.mark.parametrize("value", ["sw", "xx", None, "mos"])
def test_our_codes_and_unknown_ones_get_none(value: object) -> None:
    assert retired(value) == ""


@pytest.mark.parametrize("value", [None, 1, "", "../de", "d e", "x" * 40 + "/"])
def test_other_values_that_are_no_codes(value: object) -> None:
    with pytest.raises(UserError, match="is not a code"):
        check_language(value)
