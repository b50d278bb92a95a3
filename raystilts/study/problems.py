"""What is wrong with a study file, in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from raystilts.errors import did_you_mean


def first_problem(error: ValidationError, fields_at: Callable[[tuple[int | str, ...]], Sequence[str]]) -> str:
    """One line for the first problem of a pydantic error, with the place in the file and the value given.

    Args:
        fields_at: Names of the fields at a place of the file.
    """
    # A list whose items are wrong also counts as too short; that is no second problem.
    problems = [p for p in error.errors() if p["type"] != "too_short" or not p["input"]]
    problem = problems[0]
    place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("function-"))
    message = re.sub(r"^Value error, ", "", problem["msg"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such field; {did_you_mean(str(problem['loc'][-1]), fields_at(problem['loc'][:-1]))}"
    given = "" if problem["type"] in ("value_error", "missing") else f" (given: {problem['input']!r})"
    more = f" [and {len(problems) - 1} more]" if len(problems) > 1 else ""
    return f"{place}: {message}{given}{more}" if place else f"{message}{more}"
