"""Reproducible choices and the one split of items that all CLDR tasks share.

The units of CLDR that the tasks use, by what they measure, and the split they belong to.

Names as CLDR writes them in a language, cleaned of what would give a label away.
"""

from __future__ import annotations

import hashlib
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

from babel import Locale, units

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.cldr import LANGUAGES

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")

#: Share of the items of a kind that training and dev have; test has the rest.
TRAIN_SHARE: Final = 0.55
DEV_SHARE: Final = 0.18

T = TypeVar("T")


def _fraction(key: str) -> float:
    """A number in [0, 1) that only `key` determines."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 2**56


class Draws:
    """Random choices that are the same on every machine and Python version.

    Only `random.Random.random` is used: Python guarantees its sequence, not that of `choice`.
    """

    def __init__(self, *key: str) -> None:
        self._random = random.Random(int(_fraction("\x1f".join(key)) * 2**56))

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return int(self._random.random() * n)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` of the items (all, if there are fewer) in random order."""
        pool = list(items)
        count = min(count, len(pool))
        for i in range(count):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:count]


def split_of(kind: str, code: str) -> Split:
    """The split that the item `code` of this kind belongs to, in every task and language."""
    place = _fraction(f"{kind}\x1f{code}")
    if place < TRAIN_SHARE:
        return "train"
    return "validation" if place < TRAIN_SHARE + DEV_SHARE else "test"


def share_out(kind: str, codes: Sequence[str]) -> dict[Split, tuple[str, ...]]:
    """Splits a small set of items so that each split has at least one of three or more."""
    ranked = sorted(codes, key=lambda code: _fraction(f"{kind}\x1f{code}"))
    held_out = max(1, round(len(ranked) * (1 - TRAIN_SHARE - DEV_SHARE)))
    dev = max(1, round(len(ranked) * DEV_SHARE))
    return {
        "test": tuple(ranked[:held_out]),
        "validation": tuple(ranked[held_out : held_out + dev]),
        "train": tuple(ranked[held_out + dev :]),
    }


def check_split(language: str, split: str) -> Split:
    """Returns `split`, typed, if the CLDR tasks have it in this language.

    Raises:
        UserError: The language or the split is unknown, or training data is asked for in a
            language other than English.
    """
    if language not in LANGUAGES:
        raise UserError(
            f"language {language!r} has no CLDR tasks; {did_you_mean(str(language), LANGUAGES)}"
        )
    for known in SPLITS:
        if split == known and (known != "train" or language == "en"):
            return known
    allowed = SPLITS if language == "en" else SPLITS[1:]
    raise UserError(
        f"split {split!r} of the CLDR tasks does not exist in {language!r}: "
        f"only English has training data; use one of {', '.join(allowed)}"
    )


def check_matched(task: str, what: str, language: str, split: str) -> Split:
    """As `check_split`, for a task that matches other languages with English and trains on nothing."""
    part = check_split(language, split)
    if language == "en" or part == "train":
        raise UserError(
            f"{task} has no rows for {language!r} {part!r}: it matches other languages' {what} with English ones; use "
            "a language other than 'en' and the split validation or test"
        )
    return part


def _named(prefix: str, units: str) -> tuple[str, ...]:
    return tuple(f"{prefix}-{unit}" for unit in units.split())


#: Dimension -> CLDR's unit identifiers.
UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "length": _named(
        "length",
        "astronomical-unit centimeter decimeter fathom foot furlong inch kilometer light-year"
        " meter micrometer mile millimeter nanometer nautical-mile parsec picometer yard",
    ),
    "mass": _named(
        "mass",
        "carat grain gram kilogram microgram milligram ounce ounce-troy pound stone ton tonne",
    ),
    "duration": _named(
        "duration",
        "century day decade hour microsecond millisecond minute month nanosecond night quarter"
        " second week year",
    ),
    "volume": _named(
        "volume",
        "barrel bushel centiliter cubic-centimeter cubic-foot cubic-inch cubic-kilometer"
        " cubic-meter cubic-mile cubic-yard cup deciliter fluid-ounce gallon hectoliter liter"
        " megaliter milliliter pint quart tablespoon teaspoon",
    ),
    "area": _named(
        "area",
        "acre dunam hectare square-centimeter square-foot square-inch square-kilometer"
        " square-meter square-mile square-yard",
    ),
    "speed": _named("speed", "kilometer-per-hour knot light-speed meter-per-second mile-per-hour"),
    "temperature": _named("temperature", "celsius fahrenheit generic kelvin"),
    "digital": _named(
        "digital",
        "bit byte gigabit gigabyte kilobit kilobyte megabit megabyte petabyte terabit terabyte",
    ),
    "energy": (
        *_named(
            "energy",
            "british-thermal-unit calorie electronvolt joule kilocalorie kilojoule kilowatt-hour",
        ),
        *_named("power", "gigawatt horsepower kilowatt megawatt milliwatt watt"),
    ),
    "pressure": _named(
        "pressure",
        "atmosphere bar hectopascal inch-ofhg kilopascal megapascal millibar millimeter-ofhg"
        " pascal pound-force-per-square-inch",
    ),
}


@lru_cache(maxsize=1)
def _splits() -> Mapping[str, Split]:
    return {
        unit: split
        for dimension, members in UNITS.items()
        for split, part in share_out(dimension, members).items()
        for unit in part
    }


def unit_split(unit: str) -> Split:
    """The split of a unit: dimensions are shared out, so that each has all dimensions."""
    return _splits()[unit]


def units_in(dimension: str, split: Split) -> tuple[str, ...]:
    """The units of a dimension that belong to `split`."""
    return tuple(unit for unit in UNITS[dimension] if unit_split(unit) == split)


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
    "territory": lambda locale: {c: n for c, n in locale.territories.items() if c.isalpha() and c not in _NO_PLACES},
    "language": lambda locale: {c: n for c, n in locale.languages.items() if c.isalpha() and c not in _NO_LANGUAGES},
    # Codes with X are metals, funds and tests, or of several countries.
    "currency": lambda locale: {c: n for c, n in locale.currencies.items() if not c.startswith("X")},
    "city": _cities,
    "unit": _units,
    "zone": _zones,
    "script": lambda locale: dict(locale.scripts.items()),
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
