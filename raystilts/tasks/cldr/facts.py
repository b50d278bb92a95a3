"""Names as CLDR writes them in a language, cleaned of what would give a label away."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal

from babel import Locale, units

from raystilts.tasks.cldr.draws import Split, split_of
from raystilts.tasks.cldr.unit_list import UNITS, unit_split

Form = Literal["long", "short"]

#: Codes that stand for no territory or language of their own.
_NO_PLACES: Final = ("EU", "EZ", "QO", "UN", "XA", "XB", "ZZ")
_NO_LANGUAGES: Final = ("mis", "mul", "root", "und", "zxx")

KINDS: Final = ("territory", "language", "currency", "city", "unit", "zone", "script")

#: Marks of text direction: they are invisible and would only disturb tokens and spans.
_DIRECTION_MARKS: Final = dict.fromkeys((0x200E, 0x200F, 0x061C, 0x2066, 0x2067, 0x2069, 0xAD))


def clean(text: str) -> str:
    """One kind of space, no direction marks, NFC."""
    text = unicodedata.normalize("NFC", text.translate(_DIRECTION_MARKS))
    return " ".join(text.split())


def write_unit(locale: Locale, unit: str, number: Decimal, form: Form) -> str:
    """A number of units, "length-mile" or "length-mile/duration-day"; "" if CLDR has none."""
    top, _, bottom = unit.partition("/")
    for length in (form, "short"):  # CLDR leaves out a long form that is like the short one
        text: str | None = units.format_unit(number, top, length, locale=locale)
        if bottom:
            text = units.format_compound_unit(
                number, top, denominator_unit=bottom, length=length, locale=locale
            )
        # babel writes the identifier itself where it finds no pattern.
        if text and top not in text and (not bottom or bottom not in text):
            return clean(text)
    return ""


@lru_cache(maxsize=128)
def locale_of(language: str) -> Locale:
    """The locale data for one of our language codes."""
    return Locale.parse(language)


def _territories(locale: Locale) -> Mapping[str, str]:
    return {c: n for c, n in locale.territories.items() if c.isalpha() and c not in _NO_PLACES}


def _languages(locale: Locale) -> Mapping[str, str]:
    return {c: n for c, n in locale.languages.items() if c.isalpha() and c not in _NO_LANGUAGES}


def _currencies(locale: Locale) -> Mapping[str, str]:
    # Codes with X are metals, funds and tests, or of several countries.
    return {c: n for c, n in locale.currencies.items() if not c.startswith("X")}


def _scripts(locale: Locale) -> Mapping[str, str]:
    return dict(locale.scripts.items())


def _cities(locale: Locale) -> Mapping[str, str]:
    zones: dict[str, str] = {}
    for zone in map(
        str, locale_of("ar").time_zones
    ):  # Arabic names every zone; English only irregular ones
        city = locale.time_zones.get(zone, {}).get("city")
        if city is None and locale.language == "en":
            city = zone.rsplit("/", 1)[-1].replace("_", " ")
        if city is not None and "/" in zone and not zone.startswith("Etc/"):
            zones[zone] = city
    return zones


def _zones(locale: Locale) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for zone, forms in locale.meta_zones.items():
        long: Mapping[str, str] = forms.get("long", {})
        name = long.get("generic") or long.get("standard")
        if name is not None:
            found[zone] = name
    return found


def _units(locale: Locale) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for unit in (u for members in UNITS.values() for u in members):
        name: Any = units.get_unit_name(unit, locale=locale)
        # Where the bare name is missing, the counted form ("7 kilometers") holds it.
        counted = write_unit(locale, unit, Decimal(7), "long").replace("7", "")
        if name or counted:
            found[unit] = name or counted
    return found


_READERS: Final[Mapping[str, Callable[[Locale], Mapping[str, str]]]] = {
    "territory": _territories,
    "language": _languages,
    "currency": _currencies,
    "city": _cities,
    "unit": _units,
    "zone": _zones,
    "script": _scripts,
}


@lru_cache(maxsize=512)
def _raw_names(language: str, kind: str) -> Mapping[str, str]:
    """Every name of a kind with its code, sorted by code."""
    found = _READERS[kind](locale_of(language))
    return {code: clean(found[code]) for code in sorted(found)}


def _usable(code: str, name: str) -> bool:
    """Whether a name is a plain name: no qualifier, no digits, not the code itself."""
    odd = any(c in "()[]（）/:,،、;" or c.isdigit() for c in name)
    return not odd and 1 < len(name) <= 60 and name.casefold() != code.casefold()


@lru_cache(maxsize=128)
def _counts(language: str) -> Mapping[str, int]:
    """How many items of any kind have this name, whatever its case."""
    return Counter(n.casefold() for k in KINDS for n in _raw_names(language, k).values())


@lru_cache(maxsize=512)
def names(language: str, kind: str) -> Mapping[str, str]:
    """Code -> name for the items of one kind.

    Left out: names that two items share (in this kind or another), names with qualifiers or
    digits, and, other than in English, names that are still the English ones.
    """
    counts = _counts(language)
    english = _raw_names("en", kind) if language != "en" else {}
    return {
        code: name
        for code, name in _raw_names(language, kind).items()
        if _usable(code, name)
        and counts[name.casefold()] == 1
        and name.casefold() != english.get(code, "").casefold()
    }


@lru_cache(maxsize=1024)
def names_in(language: str, kind: str, split: Split) -> Mapping[str, str]:
    """The names whose items belong to `split`."""

    def belongs(code: str) -> bool:
        return (unit_split(code) if kind == "unit" else split_of(kind, code)) == split

    return {code: name for code, name in names(language, kind).items() if belongs(code)}


def join(language: str, parts: list[str]) -> str:
    """The parts as a list in running text: "A, B, and C"."""
    patterns = locale_of(language).list_patterns["standard"]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        return clean(patterns["2"].format(parts[0], parts[1]))
    text = patterns["start"].format(parts[0], "{0}")
    for part in parts[1:-2]:
        text = text.format(patterns["middle"].format(part, "{0}"))
    return clean(text.format(patterns["end"].format(parts[-2], parts[-1])))
