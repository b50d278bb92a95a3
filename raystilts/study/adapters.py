"""Which weights of an encoder a training changes: all of them, or few, by adapter."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from raystilts.errors import did_you_mean, shown
from raystilts.study.base import Model

METHODS = ("full", "lora", "bitfit", "head_only")
#: Stands for every linear layer of the encoder.
ALL_LINEAR = "all-linear"
#: Settings that only LoRA has.
_OF_LORA = ("r", "alpha", "dropout", "target_modules")


class Tuning(Model):
    """What a training changes of the encoder; its task heads train in any case.

    Attributes:
        method: `full` trains all weights; `lora` a low-rank addition to some linear layers (Hu et al. 2022), which
            peft makes; `bitfit` the biases alone (Ben Zaken et al. 2022); `head_only` nothing but the head.
        r: Rank of LoRA's additions.
        alpha: They are scaled by alpha / r.
        dropout: Of what goes into them.
        target_modules: Names, or ends of names, of the linear layers; `all-linear` for every one. Default those that
            peft has for the architecture, else every one.
        freeze: The embeddings and so many of the lowest layers stay as they are; 0 freezes the embeddings alone.
    """

    method: Literal["full", "lora", "bitfit", "head_only"] = "full"
    r: Annotated[int, Field(ge=1, le=10**4)] = 8
    alpha: Annotated[float, Field(gt=0, le=1e6)] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    freeze: Annotated[int, Field(ge=0, le=10**4)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"method": data} if isinstance(data, str) else data

    @field_validator("method", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value not in METHODS:
            raise ValueError(f"no such method: {shown(value)}; {did_you_mean(str(value), METHODS)}")
        return value

    @field_validator("target_modules", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        extra = [name for name in _OF_LORA if name in self.model_fields_set]
        if extra and self.method != "lora":
            raise ValueError(f"{extra[0]} is a setting of lora, not of {self.method}; leave it out")
        if self.method == "head_only" and self.freeze is not None:
            raise ValueError("head_only freezes the whole encoder; leave freeze out")
        return self

    @property
    def is_full(self) -> bool:
        """Whether every weight trains, as without any tuning."""
        return self.method == "full" and self.freeze is None

    @property
    def word(self) -> str:
        """Its part of an arm's name."""
        plain = "" if self.method == "full" and self.freeze is not None else self.method
        rank = f"-r{self.r}" if self.method == "lora" and self.r != Tuning.model_fields["r"].default else ""
        frozen = "" if self.freeze is None else f"freeze-{self.freeze}"
        return "-".join(part for part in (plain + rank, frozen) if part)


#: What is trained where a study says nothing.
FULL = Tuning()
