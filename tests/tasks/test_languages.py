from __future__ import annotations

import pytest

from raystilts.errors import UserError
from raystilts.tasks.languages import check_language, codes, flores_code, iso3_code, language_name


def test_names_and_codes() -> None:
    assert (language_name("sw"), flores_code("sw"), iso3_code("sw")) == ("Swahili", "swh_Latn", "swh")
    assert (language_name("xx"), flores_code("xx"), iso3_code("xx")) == ("xx", "xx", "xx")
    assert codes("de  en") == ("de", "en")


def test_unquoted_no_in_yaml() -> None:
    with pytest.raises(UserError, match=r"False is not a code.*write nb.*quotes"):
        check_language(False)


@pytest.mark.parametrize("value", [None, 1, ""])
def test_other_values_that_are_no_codes(value: object) -> None:
    with pytest.raises(UserError, match="is not a code"):
        check_language(value)
