"""What a stage takes of the machine, and what that costs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from raystilts.study.base import Model


class StageResources(Model):
    """What one stage takes.

    Attributes:
        cpus: CPU cores; also the stage's number of threads.
        gpus: GPUs; a fraction lets stages share one.
        gpu_memory_gb: Least memory of its GPU in GB; the stage goes to nodes with such GPUs.
    """

    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    gpu_memory_gb: Annotated[float, Field(gt=0)] | None = None

    @property
    def shares_gpu(self) -> bool:
        """Whether others may use its GPU at the same time."""
        return 0 < self.gpus < 1


class Resources(StageResources):
    """What a stage takes, and kinds of stages that take something else.

    Attributes:
        auto: Pick the share of a GPU when the study runs, from measured memory.
        share: How stages that share a GPU use it. `time`: they take turns. `mps`: they compute side by side, through
            NVIDIA's Multi-Process Service, which the run starts and ends on each node that has it.
        limit_gpu_memory: Keep each stage to its share of a GPU's memory, so that one that needs more takes smaller
            micro-batches, and not the others' memory.
        by_kind: Other resources for one kind of stage.
        price_per_gpu_hour: What a whole GPU costs an hour, in any currency.
        price_per_cpu_hour: What a core costs an hour. Where a machine's price is of both, give the GPU's alone.
    """

    auto: bool = False
    share: Literal["time", "mps"] = "time"
    limit_gpu_memory: bool = True
    price_per_gpu_hour: Annotated[float, Field(ge=0, le=1e6)] | None = None
    price_per_cpu_hour: Annotated[float, Field(ge=0, le=1e6)] | None = None
    by_kind: dict[Literal["intermediate", "target", "retrieval"], StageResources] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, str) and data != "auto":
            raise ValueError(f"{data!r} is neither auto nor a mapping, such as {{cpus: 4, gpus: 0.5}}")
        if isinstance(data, dict) and data.get("gpus") == "auto":
            raise ValueError("to have the share of a GPU picked, give auto: true and leave gpus out")
        return {"auto": True} if data == "auto" else data

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.auto and self.gpus:
            raise ValueError(f"auto picks the share of a GPU; leave gpus out, or auto (given: gpus {self.gpus:g})")
        every: list[StageResources] = [self, *self.by_kind.values()]
        if self.share == "mps" and not self.auto and not any(one.shares_gpu for one in every):
            raise ValueError(
                f"share: mps is for stages that share a GPU (given: gpus {self.gpus:g}); give gpus: 0.5, auto: true, "
                "or share: time"
            )
        return self

    def of(self, kind: Literal["intermediate", "target", "retrieval"]) -> StageResources:
        """The resources of one kind of stage."""
        return self.by_kind.get(kind, self)

    def price_per_hour(self, stage: StageResources) -> float | None:
        """What a stage that takes so much costs an hour; None where the study has no price for what it takes."""
        used = [(self.price_per_gpu_hour, stage.gpus), (self.price_per_cpu_hour, stage.cpus)]
        priced = [price * amount for price, amount in used if price is not None and amount]
        return sum(priced) if priced else None
