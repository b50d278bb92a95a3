"""What models of a study file share: their base, and types of values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _code(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError(f"{value!r} is not a language code; write it in quotes (Norwegian Bokmal is \"nb\")")
    return value


Language = Annotated[str, BeforeValidator(_code)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Model(BaseModel):
    """A part of a study file: frozen, and without fields that nobody knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)
