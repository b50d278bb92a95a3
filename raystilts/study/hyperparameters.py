"""Hyperparameters in the words of Hugging Face's `TrainingArguments`.

Files of chosen hyperparameters: what a search found, for grids to name under `hyperparameters: {from: FILE}`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from raystilts.errors import UserError, shown
from raystilts.study.base import Model, expanded, first_problem, read_yaml

#: Names that `TrainingArguments` once had, and what stands for them now.
RETIRED = {
    "warmup_ratio": "warmup_steps (a number below 1 is a share of all steps)",
    "evaluation_strategy": "evaluation.eval_steps",
    "eval_strategy": "evaluation.eval_steps",
    "group_by_length": "train_sampling_strategy: group_by_length",
    "seed": "the study's seeds",
    "data_seed": "the study's seeds",
    "fp16": "bf16",
    "batch_size": "per_device_train_batch_size",
    "lr": "learning_rate",
    "epochs": "num_train_epochs",
}

#: Other names of `TrainingArguments`, by how they begin, and why they are not names here.
REFUSED = {
    ("output_dir", "overwrite_output_dir", "save_", "resume_from_checkpoint", "ignore_data_skip", "restore_callback",
     "enable_jit_checkpoint", "load_in"): "storage_path, keep, keep_targets and snapshot_s say what is kept",
    ("report_to",): "it stands beside hyperparameters, not among them: report_to: [tensorboard]",
    ("logging_", "log_", "run_name", "project", "trackio_", "disable_tqdm", "include_", "skip_memory",
     "debug"): "a run shows its own progress; report_to names experiment trackers",
    ("push_to_hub", "hub_"): "nothing is uploaded",
    ("eval_", "do_", "metric_for_best_model", "greater_is_better", "per_device_eval", "per_gpu", "prediction_loss",
     "batch_eval", "bf16_full", "fp16_full", "label_names"): "evaluation and selection say what is scored, and when",
    ("dataloader_", "remove_unused", "length_column", "past_index"): "data is read and tokenised by the task's type",
    ("fsdp", "deepspeed", "ddp_", "local_rank", "accelerator", "parallelism", "use_cpu", "no_cuda", "use_mps",
     "full_determinism", "average_tokens", "tpu", "xpu"): "a stage trains on one device; resources says on which",
    ("gradient_checkpointing", "activation_checkpointing", "auto_find_batch", "torch_empty", "torch_compile", "tf32",
     "use_liger", "liger_", "jit_mode", "half_precision", "use_cache"): "raystilts looks after memory and speed",
    ("optim", "lr_scheduler_kwargs", "neftune"): "it is not offered: the optimiser is AdamW (Trainer's default)",
}  # fmt: skip

#: More than this no optimiser in single precision (3.4e38 at most) can work with.
LARGEST = 1e30

Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial"]


def _refuse_retired(data: Any) -> Any:
    if isinstance(data, dict):
        for name in data:
            if name in RETIRED:
                raise ValueError(f"{name!r} is not a name here: use {RETIRED[name]}")
            if isinstance(name, str) and name not in Overrides.model_fields:
                for starts, reason in REFUSED.items():
                    if name.startswith(starts):
                        raise ValueError(f"{name!r} is not a name here: {reason}")
    return data


class Overrides(Model):
    """Hyperparameters of one task, where they differ from the study's."""

    learning_rate: float | None = Field(None, gt=0, le=LARGEST)
    head_learning_rate: float | None = Field(None, gt=0, le=LARGEST)
    per_device_train_batch_size: int | None = Field(None, ge=1, le=10**6)
    gradient_accumulation_steps: int | None = Field(None, ge=1, le=10**6)
    num_train_epochs: float | None = Field(None, gt=0, le=1e6)
    max_steps: int | None = Field(None, le=10**9)
    warmup_steps: float | None = Field(None, ge=0, le=1e9)
    weight_decay: float | None = Field(None, ge=0, le=LARGEST)
    max_grad_norm: float | None = Field(None, ge=0, le=LARGEST)
    lr_scheduler_type: Scheduler | None = None
    adam_beta1: float | None = Field(None, ge=0, lt=1)
    adam_beta2: float | None = Field(None, ge=0, lt=1)
    adam_epsilon: float | None = Field(None, gt=0, le=1)
    train_sampling_strategy: Literal["random", "group_by_length"] | None = None
    load_best_model_at_end: bool | None = None
    bf16: bool | None = None
    max_length: int | None = Field(None, ge=8, le=10**6)
    max_train_samples: int | None = Field(None, ge=1)
    num_train_examples: int | None = Field(None, ge=1)
    label_smoothing_factor: float | None = Field(None, ge=0, lt=1)
    class_weight: Literal["balanced"] | None = None
    early_stopping_patience: int | None = Field(None, ge=1)
    early_stopping_threshold: float | None = Field(None, ge=0, le=1)
    padding_free: bool | None = None

    _retired = model_validator(mode="before")(_refuse_retired)


class Hyperparameters(Model):
    """How one stage trains.

    Attributes:
        learning_rate: Of the encoder, at the end of the warm-up.
        head_learning_rate: Learning rate of the fresh head, which short trainings need higher; default `learning_rate`.
        per_device_train_batch_size: Examples an update, together with `gradient_accumulation_steps`; the effective
            batch is their product whatever micro-batch the device can hold.
        gradient_accumulation_steps: See `per_device_train_batch_size`.
        num_train_epochs: Passes over the training data.
        max_steps: Updates; when positive it replaces `num_train_epochs`.
        warmup_steps: Updates of linear warm-up; a number below 1 is a share of all updates.
        weight_decay: AdamW's, for the matrices of layers and heads.
        max_grad_norm: Gradients are clipped to this norm; 0 for no clipping.
        lr_scheduler_type: How the learning rate changes after the warm-up.
        adam_beta1: AdamW's decay of the mean of gradients.
        adam_beta2: AdamW's decay of the mean of their squares.
        adam_epsilon: AdamW's term against division by zero.
        train_sampling_strategy: `group_by_length` puts texts of similar length into a batch; `random` does not.
        bf16: Train and evaluate in bfloat16, with weights in float32. Ten times slower on a CPU without AVX-512.
        load_best_model_at_end: Keep the checkpoint with the best dev score (the study's `selection`), not the last.
        max_length: Sub-words a sequence; default by task type.
        max_train_samples: Use at most this many training examples (a fixed sample); fractions are of these.
        num_train_examples: Train on this many of these (k-shot), drawn by the seed: the same for every arm, and fewer
            lie inside more. Fractions are of these.
        label_smoothing_factor: Label smoothing of classification, multiple choice and tagging, as in Trainer.
        class_weight: `balanced` weighs each class of classification and each tag by n / (classes x count), as
            scikit-learn does, counted in the examples that a stage trains on.
        early_stopping_patience: Evaluations in a row without a better dev score after which a training ends, as
            `EarlyStoppingCallback`; null for none.
        early_stopping_threshold: By how much a dev score must be better to count for `early_stopping_patience`.
        padding_free: Batches go through the encoder without their padding. The result is the same up to rounding and
            to which numbers dropout drops; for encoders with plain attention, on a GPU.
    """

    learning_rate: float = Field(2e-5, gt=0, le=LARGEST)
    head_learning_rate: float | None = Field(None, gt=0, le=LARGEST)
    per_device_train_batch_size: int = Field(32, ge=1, le=10**6)
    gradient_accumulation_steps: int = Field(1, ge=1, le=10**6)
    num_train_epochs: float = Field(3.0, gt=0, le=1e6)
    max_steps: int = Field(-1, le=10**9)
    warmup_steps: float = Field(0.1, ge=0, le=1e9)
    weight_decay: float = Field(0.0, ge=0, le=LARGEST)
    max_grad_norm: float = Field(1.0, ge=0, le=LARGEST)
    lr_scheduler_type: Scheduler = "linear"
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    adam_epsilon: float = Field(1e-8, gt=0, le=1)
    train_sampling_strategy: Literal["random", "group_by_length"] = "group_by_length"
    load_best_model_at_end: bool = True
    bf16: bool = False
    max_length: int | None = Field(None, ge=8, le=10**6)
    max_train_samples: int | None = Field(None, ge=1)
    # What came later stays out of keys where it is not used.
    num_train_examples: int | None = Field(None, ge=1, exclude_if=lambda value: value is None)
    label_smoothing_factor: float = Field(0.0, ge=0, lt=1, exclude_if=lambda value: value == 0)
    class_weight: Literal["balanced"] | None = Field(None, exclude_if=lambda value: value is None)
    early_stopping_patience: int | None = Field(None, ge=1, exclude_if=lambda value: value is None)
    early_stopping_threshold: float = Field(0.0, ge=0, le=1, exclude_if=lambda value: value == 0)
    padding_free: bool = Field(False, exclude_if=lambda value: not value)

    _retired = model_validator(mode="before")(_refuse_retired)

    def examples(self, rows: int) -> int:
        """Examples that a training set of so many rows gives at fraction 1."""
        return rows if self.num_train_examples is None else min(rows, self.num_train_examples)

    @property
    def batch(self) -> int:
        """Examples an update."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def steps(self, examples: int) -> int:
        """Updates for a training set of so many examples."""
        if self.max_steps > 0:
            return self.max_steps
        return max(1, math.ceil(self.num_train_epochs * math.ceil(examples / self.batch)))

    def warmup(self, steps: int) -> int:
        """Warm-up updates of a training of so many updates."""
        return round(self.warmup_steps * steps) if self.warmup_steps < 1 else int(self.warmup_steps)


class StudyHyperparameters(Hyperparameters):
    """The study's hyperparameters, and those of single tasks where they differ.

    Attributes:
        tasks: Other values for single tasks, by the name of a task (as intermediate or target) or of a mixture that
            the study trains. They win over values of `from: FILE`, which may be of more tasks.
        tuned_for: The encoder that a search chose them for; written by raystilts.
    """

    tasks: dict[str, Overrides] = Field(default_factory=dict)
    tuned_for: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_tuned(cls, data: Any) -> Any:
        if isinstance(data, dict) and "from" in data:
            return with_tuned(data)
        return data

    def resolve(self, *names: str) -> Hyperparameters:
        """The hyperparameters of one task; of several names for it the later ones count."""
        own = self.model_dump(exclude={"tasks", "tuned_for"})
        for name in names:
            if name in self.tasks:
                own |= self.tasks[name].model_dump(exclude_unset=True, exclude_none=True)
        return Hyperparameters(**own)


class Evidence(BaseModel):
    """What a choice rests on.

    Attributes:
        score: The best trial's score on dev, 0 to 1; the next best ones in `next_best`.
        trials: Trials that ended; of them `stopped` early and `failed`.
        converged: Whether the last third of the trials brought no more than dev sampling noise; None where too few.
        importance: Share of the differences in score that each hyperparameter accounts for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    score: float
    next_best: tuple[float, ...] = ()
    trials: int
    stopped: int = 0
    failed: int = 0
    converged: bool | None = None
    importance: dict[str, float] = {}
    notes: tuple[str, ...] = ()


class TunedTask(BaseModel):
    """The values chosen for one task, or for an intermediate of several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: Overrides
    intermediate: str | None = None
    evidence: Evidence


class Tuned(BaseModel):
    """A file of chosen values.

    Attributes:
        encoder: The encoder that they were found for.
        study: The study that found them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    study: str
    tasks: dict[str, TunedTask]


def read_tuned(path: str | Path) -> Tuned:
    """Reads a file of chosen values.

    Raises:
        UserError: it is not there, or not such a file.
    """
    file = expanded(path, "hyperparameters.from")
    shipped = Path(__file__).parents[1] / "search_spaces"
    shipped = shipped if shipped.is_dir() else Path(__file__).parents[2] / "search_spaces"
    found = file if file.exists() else shipped / file
    if not found.is_file():
        raise UserError(f"hyperparameters.from: {file}: no such file; a search writes <results>/hyperparameters.yaml")
    try:
        return Tuned.model_validate(read_yaml(found))
    except ValidationError as error:
        problem = first_problem(error, lambda place: list((TunedTask if "tasks" in place else Tuned).model_fields))
        raise UserError(f"hyperparameters.from: {found}: {problem}") from None


def with_tuned(data: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a study file, with those of the file named under `from` beneath them."""
    source, own = data["from"], data.get("tasks") or {}
    if not isinstance(source, str) or not source:
        raise ValueError(f"from: {shown(source)} is no file; name one that a search wrote: hyperparameters.yaml")
    if not isinstance(own, dict) or not all(one is None or isinstance(one, dict) for one in own.values()):
        raise ValueError(f"tasks: {shown(own)}: expected a mapping of hyperparameters by task")
    tuned = read_tuned(source)
    chosen = {name: one.values.model_dump(exclude_unset=True) for name, one in tuned.tasks.items()}
    given = {name: _set(one) for name, one in own.items()}
    tasks = {name: {**chosen.get(name, {}), **given.get(name, {})} for name in {**chosen, **given}}
    rest = {name: value for name, value in data.items() if name != "from"}
    return {**rest, "tasks": tasks, "tuned_for": tuned.encoder}


def _set(own: dict[str, Any] | None) -> dict[str, Any]:
    """What a study sets itself for a task: null means not set, as everywhere, and hides no chosen value."""
    return {name: value for name, value in (own or {}).items() if value is not None}
