"""cldr_cities, cldr_countries, cldr_currencies, cldr_languages: the part of the world that a name belongs to.

The label is the area of the time zone database: Africa, America, Asia or Europe. A city has it by its zone, a country
by its cities' zones, a currency by the countries that pay or paid with it, a language by the countries of which it is
a language. What lies in more than one area, or in an area besides these four, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
from babel.core import get_global

from raystilts.tasks.cldr.facts import Draws, Split, check_split, join, names_in

AREAS: Final = ("africa", "america", "asia", "europe")

#: English, and the languages of other scripts: there no name is written as in English.
_CODES: Final = "en am ar bg bn el fa gu he hi hy ja ka kk km kn ko mk ml mn mr my ne pa ru sr ta te th uk ur zh"
WRITTEN_IN: Final = tuple(_CODES.split())

#: Languages of America alone are too few for a class.
LANGUAGE_AREAS: Final = ("africa", "asia", "europe")
ROWS: Final = {"train": 1200, "validation": 240, "test": 240}

#: Names in a text: one to so many.
MOST: Final = 3

#: An area with fewer names than this is left out of a split, for they would come back too often.
FEWEST: Final = 3

#: Per cent of a country's people who speak a language, so that it counts as a language of that country.
SPOKEN: Final = 1.0


def _single(found: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Code -> area, for the codes that are all in one of `AREAS`."""
    areas: dict[str, set[str | None]] = {}
    for code, area in found:
        areas.setdefault(code, set()).add(area)
    return {code: area for code, where in areas.items() if len(where) == 1 for area in where if area in AREAS}


def _zone_area(zone: str) -> str:
    return zone.partition("/")[0].casefold()


@lru_cache(maxsize=8)
def areas(kind: str) -> Mapping[str, str]:
    """Code -> area for the items of a kind: city (by zone), territory, currency or language.

    A territory without a zone of its own (Guernsey has London's) has no area.
    """
    territory_zones: Mapping[str, list[str]] = get_global("territory_zones")
    if kind == "city":
        return _single((zone, _zone_area(zone)) for zones in territory_zones.values() for zone in zones)
    countries = _single((code, _zone_area(zone)) for code, zones in territory_zones.items() for zone in zones)
    if kind == "territory":
        return countries
    if kind == "currency":
        paid: Mapping[str, list[tuple[Any, ...]]] = get_global("territory_currencies")
        return _single((use[0], countries.get(code)) for code, uses in paid.items() for use in uses)
    spoken: Mapping[str, Mapping[str, Mapping[str, Any]]] = get_global("territory_languages")
    return _single(
        (language, countries.get(code))
        for code, languages in spoken.items()
        for language, facts in languages.items()
        if facts["population_percent"] >= SPOKEN
    )


def _texts(draws: Draws, language: str, pool: list[str], count: int) -> list[str]:
    """Up to `count` distinct lists of one to three names."""
    found: dict[str, None] = {}
    for _ in range(6 * count):
        found[join(language, draws.sample(pool, 1 + draws.below(MOST)))] = None
        if len(found) == count:
            break
    return list(found)


def _rows(kind: str, labels: tuple[str, ...], language: str, split: str) -> pa.Table:
    part: Split = check_split(language, split)
    draws = Draws("places", kind, language, part)
    where = areas(kind)
    pools: dict[str, list[str]] = {label: [] for label in labels}
    for code, name in names_in(language, kind, part).items():
        if where.get(code) in pools:
            pools[where[code]].append(name)
    pools = {label: pool for label, pool in pools.items() if len(pool) >= FEWEST}
    count = ROWS[part] // len(labels)
    texts = [(text, label) for label, pool in pools.items() for text in _texts(draws, language, pool, count)]
    texts = draws.sample(texts, len(texts))
    return pa.table({"text": [text for text, _ in texts], "label": [label for _, label in texts]})


def cities(language: str, split: str) -> pa.Table:
    """Columns `text` (one to three cities of an area) and `label` (one of `AREAS`), balanced as far as names go."""
    return _rows("city", AREAS, language, split)


def countries(language: str, split: str) -> pa.Table:
    """The same of countries and territories."""
    return _rows("territory", AREAS, language, split)


def currencies(language: str, split: str) -> pa.Table:
    """The same of currencies, those of the past included."""
    return _rows("currency", AREAS, language, split)


def languages(language: str, split: str) -> pa.Table:
    """The same of languages; `label` is one of `LANGUAGE_AREAS`."""
    return _rows("language", LANGUAGE_AREAS, language, split)


#: Name of a task's generator -> what its items are in `facts.KINDS`.
GENERATORS: Final[Mapping[str, tuple[str, Callable[[str, str], pa.Table]]]] = {
    "cities": ("city", cities),
    "countries": ("territory", countries),
    "currencies": ("currency", currencies),
    "languages": ("language", languages),
}
