"""The study beside the tables, `study.json`: settings alone, so that reading it runs no code and looks up no task."""

from __future__ import annotations

import json
import warnings
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any

from raystilts.errors import UserError
from raystilts.filesystem import Folder
from raystilts.results.reader import ResultsWarning

if TYPE_CHECKING:
    from pydantic import ValidationError

    from raystilts.study.schema import Study

FILE = "study.json"


def read_study(folder: Folder) -> Study | None:
    """The study that a folder was last run with; None for tables from elsewhere.

    What a newer version has added is left out with a warning: unknown fields, and unknown values of fields that have a
    default.

    Raises:
        UserError: it is no study, even so.
    """
    try:
        text = folder.read(FILE)
    except FileNotFoundError:
        return None
    from pydantic import ValidationError

    from raystilts.study.schema import Study

    try:
        values = json.loads(text)
        left_out: list[str] = []
        while True:
            try:
                study = Study.model_validate(values)
                break
            except ValidationError as error:
                left_out.append(_drop(values, error))
    except (ValueError, TypeError, KeyError) as error:
        problem = str(error).splitlines()[0]
        raise UserError(f"{folder.url}/{FILE} does not fit any more: {problem}; run the study again") from None
    if left_out:
        warnings.warn(
            f"{folder.url}/{FILE} was written by another version of raystilts: {', '.join(left_out)} left out.",
            ResultsWarning,
            stacklevel=3,
        )
    return study


def _drop(values: Any, error: ValidationError) -> str:
    """Takes what does not fit out of a study's JSON: an unknown field, else the field of the study where it stands.

    Raises:
        ValueError: it is needed.
    """
    from raystilts.study.schema import Study

    first = error.errors()[0]
    place = first["loc"]
    try:
        parent = reduce(getitem, place[:-1], values)
        unknown = first["type"] == "extra_forbidden" and place[-1] in parent
    except (KeyError, TypeError, IndexError):  # names of pydantic's own, for a member of a union
        unknown = False
    if unknown:
        del parent[place[-1]]
        return ".".join(map(str, place))
    if not place or Study.model_fields[str(place[0])].is_required():
        raise ValueError(": ".join([*[".".join(map(str, place))][: len(place)], first["msg"]]))
    del values[place[0]]
    return str(place[0])
