"""The units of CLDR that the tasks use, by what they measure, and the split they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from raystilts.tasks.cldr.draws import Split, share_out


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
