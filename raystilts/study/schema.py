"""What a user asks for: the models behind a study file, which are also the Python API."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator, model_validator

from raystilts.errors import UserError
from raystilts.schedules import Schedule
from raystilts.study.adapters import FULL, Tuning
from raystilts.study.arms import check_arms, with_steps
from raystilts.study.base import (
    LONGEST_NAME,
    Fraction,
    Model,
    Seed,
    expanded,
    first_problem,
    read_yaml,
    set_key,
)
from raystilts.study.composed import FLAT
from raystilts.study.encoder import Encoder
from raystilts.study.hyperparameters import StudyHyperparameters
from raystilts.study.intermediate import ALL, Alignment, Intermediate, MaskedLM, all_tasks_of
from raystilts.study.resources import Resources
from raystilts.study.search import Search
from raystilts.study.target import Counts, Target

Order = Literal["anytime", "longest_first"]
#: Experiment trackers, by the names that Hugging Face's `TrainingArguments` gives them.
TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]


class Fractions(Model):
    """Shares of a training set to use.

    Attributes:
        values: In (0, 1]; each smaller share lies inside each larger one.
        hold: What stays fixed when the share shrinks: `epochs` (fewer updates) or `updates` (more epochs).
    """

    values: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (1.0,)
    hold: Literal["epochs", "updates"] = "epochs"

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"values": data} if isinstance(data, list | tuple) else data

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"a fraction stands twice in {list(self.values)}")
        return self


class Evaluation(Model):
    """When and on how much to evaluate.

    Attributes:
        eval_steps: Updates between evaluations on dev; below 1 it is a share of all updates.
        max_dev_samples: Dev examples a language (a fixed sample); null for all.
        max_test_samples: Test examples a language; null for all.
    """

    eval_steps: Annotated[float, Field(gt=0, le=1e9)] = 0.25
    max_dev_samples: Annotated[int, Field(ge=1)] | None = 500
    max_test_samples: Annotated[int, Field(ge=1)] | None = None

    def every(self, steps: int) -> int:
        """Updates between evaluations in a training of so many updates."""
        return max(1, round(self.eval_steps * steps)) if self.eval_steps < 1 else int(self.eval_steps)

    def rung(self, share: float, steps: int) -> int:
        """The first evaluated update at or after a share of so many updates; `steps` itself where none is before."""
        every = self.every(steps)
        # A share of a budget that is a whole number of evaluations must not be pushed on by rounding.
        return min(steps, math.ceil(share * steps / every - 1e-9) * every)


_ARMS: TypeAdapter[tuple[Intermediate, ...]] = TypeAdapter(tuple[Intermediate, ...])
_STEPS: TypeAdapter[tuple[Fraction, ...]] = TypeAdapter(tuple[Fraction, ...])


def named_all(arms: tuple[Intermediate, ...]) -> tuple[Intermediate, ...]:
    """The arms with the tasks of the others in the place of `all`."""
    if not any(ALL in arm.tasks for arm in arms):
        return arms
    tasks = all_tasks_of([arm.tasks for arm in arms])
    return tuple(arm.model_copy(update={"tasks": tasks}) if arm.tasks == (ALL,) else arm for arm in arms)


class Study(Model):
    """A transfer study: the grid of intermediates, targets, fractions and seeds.

    Attributes:
        name: Of the study: results go to `<storage_path>/<name>`.
        encoder: The pretrained encoder that every arm starts from.
        encoders: Encoders to run the grid with, each apart from the others; instead of `encoder`, which is then the
            first of them.
        intermediates: The arms: what the encoder is trained on before the target. `none` is the baseline.
        intermediate_fractions: Shares of the intermediates' training data, nested.
        intermediate_steps: Shares of each training's updates, in (0, 1], after which its weights are an arm of their
            own, named `<arm>_at_<share>`; 1 is the arm itself, which is there in any case.
        compare_at: The intermediate fraction at which arms compete; default the largest.
        target_examples: Train targets on so many examples, a column of the matrix each, instead of `target_fractions`.
        baseline_seeds: Seeds of the arm `none`, where they differ from `seeds`.
        targets: The tasks to be transferred to.
        target_fractions: Shares of the targets' training data, nested.
        seeds: Seed s fixes head, subset, order and dropout, the same for every arm.
        hyperparameters: How stages train.
        evaluation: When and on how much to evaluate.
        selection: Dev data that picks checkpoints and the best arm: English (`en_dev`, true zero-shot) or each
            target language's own (`target_dev`).
        tuning: What trainings change of the encoder, of intermediates and targets that do not say it themselves:
            all of it, or an adapter.
        schedule: `full` trains every cell to the end; `halve`, `top_two`, `race` and `asha` (or `{halve: {...}}` and
            so on) leave out or stop what cannot win.
        order: `anytime` runs the first seeds of all arms on all targets before the second seeds of any;
            `longest_first` the longest chains of stages first.
        resources: What a stage takes of the machine.
        storage_path: Where results and checkpoints go: a folder, or a URI such as `s3://bucket/folder`.
        keep: Intermediate checkpoints: `all`; only while a stage that starts from them is missing (`needed`); or
            that, and none at the end, whatever has failed (`none`).
        keep_targets: Target checkpoints: `all`, so that a new language or metric needs no training; those of the arm
            with the best dev score of each target and target fraction (`best`); or `none`.
        data_dir: Folder `<dataset>/<language>/<split>.parquet`, or several, of which the first that has a file wins;
            default RAYSTILTS_DATA_DIR, else the hub. `[FOLDER, hub]` reads from the hub what the folder lacks.
        task_files: Python files that register the user's own tasks.
        time_limit_s: Seconds after which a stage ends as failed; the same command continues it.
        snapshot_s: Least seconds between two snapshots of a training. A killed worker costs at most these and one
            update. 0 writes a snapshot after each update.
        predictions: Keep the score of each item of the dev data (`dev`), or of dev and test data (`all`), so that
            answers measure the luck of the items; `none` keeps none, and it is estimated from their number. It changes
            no run.
        report_to: Experiment trackers that get a run of each stage.
        search: Search hyperparameters of the intermediates and targets, instead of training the grid.
    """

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$", max_length=LONGEST_NAME)]
    encoder: Encoder = Encoder()
    encoders: Annotated[
        tuple[Encoder, ...] | None, Field(min_length=1, exclude_if=lambda value: value is None)
    ] = None
    intermediates: Annotated[tuple[Intermediate, ...], Field(min_length=1)]
    intermediate_fractions: Fractions = Fractions()
    intermediate_steps: Annotated[tuple[Fraction, ...], Field(exclude_if=lambda value: not value)] = ()
    compare_at: Fraction | None = None
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    target_fractions: Fractions = Fractions()
    target_examples: Annotated[Counts | None, Field(exclude_if=lambda value: value is None)] = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    baseline_seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None
    hyperparameters: StudyHyperparameters = StudyHyperparameters()
    evaluation: Evaluation = Evaluation()
    selection: Literal["en_dev", "target_dev"] = "en_dev"
    tuning: Annotated[Tuning | None, Field(exclude_if=lambda value: value is None)] = None
    schedule: Schedule = "full"
    order: Order = "anytime"
    resources: Resources = Resources()
    storage_path: Annotated[str, Field(min_length=1)] = "~/raystilts_results"
    keep: Literal["all", "needed", "none"] = "all"
    keep_targets: Literal["all", "best", "none"] = "none"
    data_dir: Annotated[str, Field(min_length=1)] | None = None
    task_files: tuple[str, ...] = ()
    time_limit_s: Annotated[float, Field(gt=0)] | None = None
    snapshot_s: Annotated[float, Field(ge=0)] = 120.0
    report_to: tuple[TrackerName, ...] = ()
    predictions: Literal["none", "dev", "all"] = "dev"
    search: Search | None = None

    @model_validator(mode="before")
    @classmethod
    def _first_encoder(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("encoders"), list | tuple) or not data["encoders"]:
            return data
        first, given = data["encoders"][0], data.get("encoder")
        if given is not None and Encoder.model_validate(given) != Encoder.model_validate(first):
            raise ValueError("encoder and encoders are both given; put all of them into encoders")
        # One alone is the study's encoder, and the study is what it was.
        return {**data, "encoder": first, "encoders": data["encoders"] if len(data["encoders"]) > 1 else None}

    @model_validator(mode="before")
    @classmethod
    def _steps_are_arms(cls, data: Any) -> Any:
        """Weights along trainings are arms from here on: whoever reads the study finds them among the others."""
        if not isinstance(data, dict) or not data.get("intermediate_steps"):
            return data
        try:
            arms = named_all(_ARMS.validate_python(data.get("intermediates")))
            steps = _STEPS.validate_python(data["intermediate_steps"])
        except ValueError:  # the fields say it, with its place
            return data
        if any(isinstance(step, bool) for step in data["intermediate_steps"]):
            return data
        return {**data, "intermediates": with_steps(arms, set(steps)), "intermediate_steps": ()}

    @field_validator("data_dir", mode="before")
    @classmethod
    def _several_folders(cls, given: Any) -> Any:
        several = isinstance(given, list | tuple) and given and all(isinstance(one, str) for one in given)
        return os.pathsep.join(given) if several else given

    @model_validator(mode="before")
    @classmethod
    def _earlier_form(cls, data: Any) -> Any:
        """Folders of earlier versions hold studies with `tensorboard: true` or `false`."""
        if not isinstance(data, dict) or not isinstance(data.get("tensorboard"), bool):
            return data
        found = {name: value for name, value in data.items() if name != "tensorboard"}
        return {"report_to": "tensorboard", **found} if data["tensorboard"] else found

    @field_validator("report_to", mode="before")
    @classmethod
    def _one_tracker(cls, given: Any) -> Any:
        given = () if given == "none" else given
        return (given,) if isinstance(given, str) else given

    @field_validator("report_to")
    @classmethod
    def _once(cls, given: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
        return tuple(dict.fromkeys(given))

    @field_validator("intermediates")
    @classmethod
    def _name_all(cls, arms: tuple[Intermediate, ...]) -> tuple[Intermediate, ...]:
        return named_all(arms)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.target_examples is not None and self.target_fractions.values != (1.0,):
            raise ValueError(
                f"target_examples: {list(self.target_examples)} and target_fractions: "
                f"{list(self.target_fractions.values)} are both given; drop one (`all` among the examples is all data)"
            )
        _check_unique("seeds", self.seeds, "a seed is one replicate, name each once")
        _check_unique("baseline_seeds", self.baseline_seeds or (), "a seed is one replicate, name each once")
        if not isinstance(self.schedule, str):
            self.schedule.check_seeds(len(self.seeds))
        _check_encoders(self.encoder, self.encoders)
        _check_unique("intermediates", [arm.label for arm in self.intermediates])
        check_arms(self.intermediates)
        _check_unique("targets", [target.task for target in self.targets])
        if self.compare_at is not None and self.compare_at not in self.intermediate_fractions.values:
            raise ValueError(
                f"compare_at is {self.compare_at:g}, but must be one of intermediate_fractions: "
                f"{list(self.intermediate_fractions.values)}"
            )
        for arm in self.intermediates:
            if arm.trains and self.tuning_of(arm).method == "head_only":
                raise ValueError(
                    f"tuning: head_only leaves the encoder as it is, so that intermediate {arm.label} would change "
                    "nothing; give tuning to the targets, or the intermediate one of its own"
                )
        return self

    def tuning_of(self, part: Intermediate | Target) -> Tuning:
        """What the training of an intermediate or a target changes of the encoder."""
        return part.tuning or self.tuning or FULL

    @property
    def compared_fraction(self) -> float:
        """The intermediate fraction at which arms compete."""
        return self.compare_at if self.compare_at is not None else max(self.intermediate_fractions.values)

    @property
    def all_encoders(self) -> tuple[Encoder, ...]:
        """The encoders of the study, one as a rule."""
        return self.encoders or (self.encoder,)

    def of_encoder(self, label: str) -> Study:
        """The part of the study that is of one encoder; itself where it has one alone.

        Raises:
            KeyError: it has no such encoder.
        """
        if self.encoders is None:
            return self
        encoder = {one.label: one for one in self.encoders}[label]
        own = {} if encoder.hyperparameters is None else encoder.hyperparameters.model_dump(exclude_unset=True)
        hyperparameters = self.hyperparameters.model_copy(update={k: v for k, v in own.items() if v is not None})
        alone = encoder.model_copy(update={"hyperparameters": None})
        return self.model_copy(update={"encoder": alone, "encoders": None, "hyperparameters": hyperparameters})

    def target_points(self, target: Target, rows: int) -> dict[float, int | None]:
        """The shares of its training data that a target is trained on, each with its number of examples if that is set.

        Args:
            rows: Its training examples at fraction 1.

        Raises:
            ValueError: it has not so many examples.
        """
        numbers = target.examples if target.examples is not None else self.target_examples
        if numbers is None:
            return dict.fromkeys(self.target_fractions.values)
        few = [number for number in numbers if number != "all"]
        if few and max(few) > rows:
            raise ValueError(
                f"{max(few):,} training examples are asked for, and {target.task} has {rows:,}; `all` takes them all"
            )
        shares: dict[float, int | None] = {number / rows: number for number in few}
        return shares | ({1.0: None} if "all" in numbers else {})

    @classmethod
    def from_file(cls, path: str | Path, assignments: tuple[str, ...] = ()) -> Study:
        """Reads a study file, with `key.path=value` assignments on top.

        Raises:
            UserError: the file or a value in it cannot be used; says where and what is allowed.
        """
        path = expanded(path)
        data = study_data(path, assignments)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{path}: {first_problem(error, _fields_at)}") from None


def study_data(path: Path, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """What is written in a study file, with assignments on top, before it is read as a `Study`.

    Raises:
        UserError: it is no mapping in YAML, or an assignment is none.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected a mapping with name, intermediates, targets, seeds")
    for assignment in assignments:
        set_key(data, assignment)
    return data


def _check_encoders(encoder: Encoder, encoders: tuple[Encoder, ...] | None) -> None:
    """Whether encoders can be told apart in tables."""
    if encoders is None and encoder.hyperparameters is not None:
        raise ValueError("encoder.hyperparameters: with one encoder they stand under the study's `hyperparameters`")
    _check_unique("encoders", [one.label for one in encoders or ()], "drop one, or give each a `name`")


def _check_unique(name: str, given: Sequence[Any], remedy: str = "drop one, or give one another `name`") -> None:
    twice = sorted({one for one in given if given.count(one) > 1})
    if twice:
        raise ValueError(f"{name}: {twice[0]!r} is given twice; {remedy}")


def _fields_at(place: tuple[int | str, ...]) -> list[str]:
    """Field names of the model at a place of a study file."""
    models: dict[str, type[BaseModel]] = {
        "encoder": Encoder,
        "encoders": Encoder,
        "intermediates": Intermediate,
        "masked_lm": MaskedLM,
        "align": Alignment,
        "targets": Target,
        "intermediate_fractions": Fractions,
        "target_fractions": Fractions,
        "evaluation": Evaluation,
        "resources": Resources,
        "hyperparameters": StudyHyperparameters,
        "tasks": StudyHyperparameters,
        "search": Search,
        "tuning": Tuning,
    }
    for part in reversed(place):
        if part in models:
            more = [name for names in FLAT.values() for name in names] if part == "intermediates" else []
            return [*models[str(part)].model_fields, *more]
    return list(Study.model_fields)
