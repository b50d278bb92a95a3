"""The intermediate fraction at which arms compete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from raystilts.errors import UserError
from raystilts.results.stratum import Stratum

if TYPE_CHECKING:
    from raystilts.study.schema import Study


def compared_fraction(given: float | None, tests: Iterable[Stratum], study: Study | None) -> float | None:
    """The fraction of intermediates at which arms compete: as given, as the study says, or the largest.

    Raises:
        UserError: No result has the fraction that is given.
    """
    fractions = (arm.intermediate_fraction for test in tests for arm in test.arms)
    there = sorted({fraction for fraction in fractions if fraction is not None})
    if given is not None and given not in there:
        known = ", ".join(f"{fraction:g}" for fraction in there) or "none"
        raise UserError(f"--intermediate-fraction {given:g}: the results hold {known}")
    if given is None and study is not None and study.compared_fraction in there:
        return study.compared_fraction
    return given if given is not None else max(there, default=None)
