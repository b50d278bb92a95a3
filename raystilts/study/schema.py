"""What a user asks for: the models behind a study file, which are also the Python API."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from raystilts.errors import UserError, did_you_mean
from raystilts.study.alignment import Alignment, arm_name, check_domain
from raystilts.study.hyperparameters import StudyHyperparameters
from raystilts.study.mixtures import ALL, all_tasks_of, named_mixture
from raystilts.study.schedule import Schedule, check_seeds
from raystilts.study.search import Search
from raystilts.study.yaml_io import read_yaml, set_key
from raystilts.tasks.registry import all_tasks, get_task, load_task_file
from raystilts.tasks.task import Task


def _code(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError(f"{value!r} is not a language code; write it in quotes (Norwegian Bokmal is \"nb\")")
    return value


Language = Annotated[str, BeforeValidator(_code)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Encoder(_Model):
    """The pretrained encoder that every arm starts from.

    Attributes:
        model_name_or_path: A folder, an id on the Hugging Face hub, or `raystilts-mini`, the embedded one.
        revision: Commit or tag on the hub.
        has_seen: Tasks that its pretraining already held; every answer says so.
        pooling: What a sequence is for classification: its first token, or the mean over its tokens.
        retrieval_layer: Hidden state (0 = embeddings) for retrieval targets; default 14 for 24 layers (as in the
            paper, XLM-R Large), otherwise the middle one; -1 is the last.
        retrieval_pooling: What a sequence is there: the mean over its tokens, as in the paper, or its first token.
    """

    model_name_or_path: str = "raystilts-mini"
    revision: str | None = None
    has_seen: tuple[str, ...] = ()
    pooling: Literal["first", "mean"] = "first"
    retrieval_layer: int | None = None
    # Left out of keys at the mean, which it has always been.
    retrieval_pooling: Annotated[Literal["first", "mean"], Field(exclude_if=lambda value: value == "mean")] = "mean"


class MaskedLM(_Model):
    """Masked-LM training beside (or without) the tasks of an intermediate.

    Attributes:
        dataset: Plain text: a folder `<dataset>/<language>/train.parquet` with a column `text` (without a data folder:
            Wikipedia from the hub).
        probability: The share of updates that are masked-LM updates; the tasks keep their own number of updates.
        max_steps: Updates, where no task gives a number.
        smoothing: Exponent of the languages' sizes in their shares of the text: 1 in proportion to size, 0 evenly;
            between them small languages are drawn more often than they are large (Conneau and Lample 2019).
        text_of: A task whose training texts are the text, without labels, in place of a dataset and its languages:
            the domain of a target.
        when: `during` mixes masked-LM updates with the tasks', `before` has them all first.
        updates: `added` gives the tasks their own number of updates and masked LM its share on top; `shared` takes
            the share out of it, so that the arm has as many updates as one without masked LM.
    """

    languages: tuple[Language, ...] = ()
    dataset: str = "mono"
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.5
    max_steps: Annotated[int, Field(ge=1)] | None = None
    # Left out of keys at 1, which is what a study file without it has always meant.
    smoothing: Annotated[float, Field(ge=0, le=1, exclude_if=lambda value: value == 1)] = 1.0
    # These too are left out of keys where a study file does not give them.
    text_of: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    when: Annotated[Literal["during", "before"], Field(exclude_if=lambda value: value == "during")] = "during"
    updates: Annotated[Literal["added", "shared"], Field(exclude_if=lambda value: value == "added")] = "added"

    @model_validator(mode="after")
    def _some_text(self) -> Self:
        if self.text_of is None and not self.languages:
            raise ValueError("give the languages of the text, or text_of: a task whose training texts it is")
        if self.text_of is not None and (self.languages or self.dataset != "mono" or self.smoothing != 1):
            raise ValueError(f"text_of: {self.text_of} is the text; leave out languages, dataset and smoothing")
        return self


class Intermediate(_Model):
    """What the encoder is trained on before the target; `none` is the arm without.

    Attributes:
        tasks: One task, or several mixed; `squad@de` reads the training data of another language. `all` stands for
            the tasks of the study's other intermediates, and `anli_plus` for its three sets.
        sampling: How a mixture draws tasks: in proportion to their sizes, evenly, or to sizes ** (1 / temperature).
        cap: The largest size that counts for a task in `proportional` and `temperature` (2 ** 17 in the paper).
        masked_lm: Co-training with masked language modelling.
        align: A loss that draws the encoder's states towards another task's texts.
        name: What tables call the arm; default from the tasks.
    """

    tasks: tuple[str, ...] = ()
    sampling: Literal["proportional", "uniform", "temperature"] = "proportional"
    cap: Annotated[int, Field(ge=1)] = 2**17
    temperature: Annotated[float, Field(ge=1)] = 2.0
    masked_lm: MaskedLM | None = None
    align: Annotated[Alignment | None, Field(exclude_if=lambda value: value is None)] = None
    name: Annotated[str, Field(pattern=r"^[\w.+@-]+$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if data is None or isinstance(data, bool):
            raise ValueError(f"{data!r} is not an intermediate; the arm without one is written: none")
        if isinstance(data, str):
            return {"tasks": ()} if data == "none" else named_mixture(data) or {"tasks": (data,)}
        if isinstance(data, dict) and "task" in data:
            if "tasks" in data:
                raise ValueError("give task or tasks, not both")
            data = dict(data)
            data["tasks"] = data.pop("task")
        if isinstance(data, dict) and isinstance(data.get("tasks"), str):
            mixture = named_mixture(data["tasks"]) or {"tasks": (data["tasks"],)}
            if "name" in mixture and (data.get("masked_lm") or data.get("align")):
                mixture |= {"name": _mixture_name(str(mixture["name"]), data)}
            data = mixture | data | {"tasks": mixture["tasks"]}
        return data

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"a task stands twice in {list(self.tasks)}")
        if self.name is not None and (self.name == "none") != self.is_none:
            raise ValueError(f"name: {self.name!r}; the arm without training, and no other, is called none")
        if not self.tasks and self.masked_lm is not None and self.masked_lm.max_steps is None:
            raise ValueError("masked_lm without a task needs masked_lm.max_steps")
        if not self.tasks and self.align is not None:
            raise ValueError("align needs a task: it draws an intermediate's texts and another task's together")
        return self

    @property
    def is_none(self) -> bool:
        """Whether this is the arm without intermediate training."""
        return not self.tasks and self.masked_lm is None

    @property
    def label(self) -> str:
        """The arm's name in tables."""
        if self.name:
            return self.name
        return arm_name(self.tasks, self.masked_lm, self.align)


def _mixture_name(name: str, data: dict[str, Any]) -> str:
    """The name of a mixture that has one, with what an intermediate adds to it."""
    given = data.get("masked_lm"), data.get("align")
    masked_lm = MaskedLM.model_validate(given[0]) if given[0] else None
    return arm_name([name], masked_lm, Alignment.model_validate(given[1]) if given[1] else None)


class Target(_Model):
    """A task to be transferred to.

    Attributes:
        task: Name of the task.
        languages: Languages to score; default all that the task has.
    """

    task: str
    languages: tuple[Language, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"task": data} if isinstance(data, str) else data


class Fractions(_Model):
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


class Evaluation(_Model):
    """When and on how much to evaluate.

    Attributes:
        eval_steps: Updates between evaluations on dev; below 1 it is a share of all updates.
        max_dev_samples: Dev examples a language (a fixed sample); null for all.
        max_test_samples: Test examples a language; null for all.
    """

    eval_steps: Annotated[float, Field(gt=0)] = 0.25
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


class StageResources(_Model):
    """What one stage takes. `cpus` is also its number of threads.

    Attributes:
        gpu_memory_gb: Memory that its GPU must have, in GB: it goes to nodes whose GPUs have as much.
    """

    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    gpu_memory_gb: Annotated[float, Field(gt=0)] | None = None


class Resources(StageResources):
    """What a stage takes, and kinds of stages that take something else."""

    by_kind: dict[Literal["intermediate", "target", "retrieval"], StageResources] = {}

    def of(self, kind: Literal["intermediate", "target", "retrieval"]) -> StageResources:
        """The resources of one kind of stage."""
        return self.by_kind.get(kind, self)


class Study(_Model):
    """A transfer study: the grid of intermediates, targets, fractions and seeds.

    Attributes:
        compare_at: The intermediate fraction at which arms compete; default the largest.
        baseline_seeds: Seeds of the arm `none`, where they differ from `seeds`.
        selection: Dev data that picks checkpoints and the best arm: English (`en_dev`, true zero-shot) or each
            target language's own (`target_dev`).
        schedule: `full` trains every cell to the end; `asha` and `race` (or `{asha: {...}}`, `{race: {...}}`) stop
            what cannot win.
        keep: Intermediate checkpoints: `all`; only while a stage that starts from them is missing (`needed`); or
            that, and none at the end, whatever has failed (`none`).
        keep_targets: Target checkpoints: `all`, so that a new language or metric needs no training; those of the arm
            with the best dev score of each target and target fraction (`best`); or `none`.
        data_dir: Folder `<dataset>/<language>/<split>.parquet`; default RAYSTILTS_DATA_DIR, else the hub.
        task_files: Python files that register the user's own tasks.
        time_limit_s: Seconds after which a stage is given up as failed; the same command goes on with it.
        snapshot_s: Least seconds between two snapshots of a training: what a killed worker costs at most, and the
            time of an update. 0 writes one after each update.
        tensorboard: Write losses and dev scores for TensorBoard too.
        search: Search hyperparameters of the intermediates and targets, instead of training the grid.
    """

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
    encoder: Encoder = Encoder()
    intermediates: Annotated[tuple[Intermediate, ...], Field(min_length=1)]
    intermediate_fractions: Fractions = Fractions()
    compare_at: Fraction | None = None
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    target_fractions: Fractions = Fractions()
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    baseline_seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None
    hyperparameters: StudyHyperparameters = StudyHyperparameters()
    evaluation: Evaluation = Evaluation()
    selection: Literal["en_dev", "target_dev"] = "en_dev"
    schedule: Schedule = "full"
    resources: Resources = Resources()
    storage_path: str = "~/raystilts_results"
    keep: Literal["all", "needed", "none"] = "all"
    keep_targets: Literal["all", "best", "none"] = "none"
    data_dir: str | None = None
    task_files: tuple[str, ...] = ()
    time_limit_s: Annotated[float, Field(gt=0)] | None = None
    snapshot_s: Annotated[float, Field(ge=0)] = 120.0
    tensorboard: bool = False
    search: Search | None = None

    @field_validator("intermediates")
    @classmethod
    def _name_all(cls, arms: tuple[Intermediate, ...]) -> tuple[Intermediate, ...]:
        if not any(ALL in arm.tasks for arm in arms):
            return arms
        tasks = all_tasks_of([arm.tasks for arm in arms])
        return tuple(arm.model_copy(update={"tasks": tasks}) if arm.tasks == (ALL,) else arm for arm in arms)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for path in self.task_files:
            load_task_file(Path(path))
        _check_seeds("seeds", self.seeds)
        _check_seeds("baseline_seeds", self.baseline_seeds or ())
        check_seeds(self.schedule, len(self.seeds))
        _check_unique("intermediates", [arm.label for arm in self.intermediates])
        _check_unique("targets", [target.task for target in self.targets])
        if self.compare_at is not None and self.compare_at not in self.intermediate_fractions.values:
            raise ValueError(
                f"compare_at is {self.compare_at:g}, but must be one of intermediate_fractions: "
                f"{list(self.intermediate_fractions.values)}"
            )
        _check_tasks(self)
        _check_search(self)
        return self

    @property
    def compared_fraction(self) -> float:
        """The intermediate fraction at which arms compete."""
        return self.compare_at if self.compare_at is not None else max(self.intermediate_fractions.values)

    @classmethod
    def from_file(cls, path: str | Path, assignments: tuple[str, ...] = ()) -> Study:
        """Reads a study file, with `key.path=value` assignments on top.

        Raises:
            UserError: the file or a value in it cannot be used; says where and what is allowed.
        """
        path = Path(path).expanduser()
        data = read_yaml(path)
        if not isinstance(data, dict):
            raise UserError(f"{path}: expected a mapping with name, intermediates, targets, seeds")
        for assignment in assignments:
            set_key(data, assignment)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{path}: {_first_problem(error)}") from None


def _check_seeds(name: str, seeds: tuple[int, ...]) -> None:
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"{name}: {twice[0]} is given twice; a seed is one replicate, name each once")


def _check_unique(name: str, labels: list[str]) -> None:
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"{name}: {twice[0]!r} is given twice; drop one, or give a mixture another `name`")


def _check_tasks(study: Study) -> None:
    for index, arm in enumerate(study.intermediates):
        for name in arm.tasks:
            if not _known_task(name, f"intermediates.{index}").requires_training:
                raise ValueError(f"intermediates.{index}: {name!r} has no training data; it can only be a target")
        if arm.align is not None:
            check_domain(arm.align.to, arm.tasks, f"intermediates.{index}.align.to")
        if arm.masked_lm is not None and arm.masked_lm.text_of is not None:
            check_domain(arm.masked_lm.text_of, (), f"intermediates.{index}.masked_lm.text_of")
    # Hyperparameters of tasks that the study leaves out do no harm: study files share them, and --set drops arms.
    names = {name for arm in study.intermediates for name in (arm.label, *arm.tasks)} | all_tasks().keys()
    for name in study.hyperparameters.tasks:
        if name not in names:
            raise ValueError(f"hyperparameters.tasks.{name}: no such task or arm; {did_you_mean(name, names)}")
        mixture = any(arm.label == name and arm.tasks != (name,) for arm in study.intermediates)
        if mixture and study.hyperparameters.tasks[name].max_train_samples is not None:
            raise ValueError(
                f"hyperparameters.tasks.{name}.max_train_samples: {name!r} has no data of its own; set it for its tasks"
            )
    for index, target in enumerate(study.targets):
        task = _known_task(target.task, f"targets.{index}")
        for language in target.languages or ():
            if language not in task.languages:
                hint = did_you_mean(language, task.languages)
                raise ValueError(f"targets.{index}.languages: {task.name} has no {language!r}; {hint}")
        if len(set(target.languages or ())) < len(target.languages or ()):
            raise ValueError(f"targets.{index}.languages: a language is given twice")


def _check_search(study: Study) -> None:
    tuned_for, encoder = study.hyperparameters.tuned_for, study.encoder.model_name_or_path
    if tuned_for is not None and Path(tuned_for).name != Path(encoder).name:
        raise ValueError(
            f"hyperparameters.from: these values were found for {tuned_for!r}, but encoder.model_name_or_path is "
            f"{encoder!r}; search again for it, or copy the values to hyperparameters.tasks"
        )
    if study.search is None:
        return
    arms = [] if study.search.joint else [arm.label for arm in study.intermediates if not arm.is_none]
    names = [*arms, *(t.task for t in study.targets if get_task(t.task).requires_training)]
    if not names:
        raise ValueError("search: no intermediate or target of the study trains")
    for name in study.search.tasks:
        if name not in names:
            raise ValueError(f"search.tasks.{name}: not searched in this study; {did_you_mean(name, names)}")
    _check_metric(study, study.search.metric)
    mixtures = [arm.label for arm in study.intermediates if arm.label in names and arm.tasks != (arm.label,)]
    for name in mixtures:
        if "max_train_samples" in study.search.space_of(name):
            raise ValueError(f"search.space.max_train_samples: {name!r} has no data of its own; leave it out")


def _check_metric(study: Study, metric: str | None) -> None:
    """Every unit of a search must report its metric."""
    joint = study.search is not None and study.search.joint
    searched = [] if joint else [task for arm in study.intermediates for task in arm.tasks]
    tasks = [get_task(n) for n in (*searched, *(t.task for t in study.targets)) if get_task(n).requires_training]
    for task in tasks:
        if metric is not None and metric not in task.type.metrics:
            known = sorted({name for one in tasks for name in one.type.metrics})
            raise ValueError(f"search.metric: {task.name} reports no {metric!r}; {did_you_mean(metric, known)}")


def _known_task(name: str, place: str) -> Task:
    try:
        return get_task(name)
    except UserError as error:
        raise ValueError(f"{place}: {error}") from None


def _first_problem(error: ValidationError) -> str:
    """One line for the first problem of a pydantic error, with the place in the file and the value given."""
    # A list whose items are wrong also counts as too short; that is no second problem.
    problems = [p for p in error.errors() if p["type"] != "too_short" or not p["input"]]
    problem = problems[0]
    place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("function-"))
    message = re.sub(r"^Value error, ", "", problem["msg"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such field; {did_you_mean(str(problem['loc'][-1]), _fields_at(problem['loc'][:-1]))}"
    given = "" if problem["type"] in ("value_error", "missing") else f" (given: {problem['input']!r})"
    more = f" [and {len(problems) - 1} more]" if len(problems) > 1 else ""
    return f"{place}: {message}{given}{more}" if place else f"{message}{more}"


def _fields_at(place: tuple[int | str, ...]) -> list[str]:
    """Field names of the model at a place of a study file."""
    models: dict[str, type[BaseModel]] = {
        "encoder": Encoder, "intermediates": Intermediate, "masked_lm": MaskedLM, "align": Alignment,
        "targets": Target,
        "intermediate_fractions": Fractions, "target_fractions": Fractions, "evaluation": Evaluation,
        "resources": Resources, "hyperparameters": StudyHyperparameters, "tasks": StudyHyperparameters,
        "search": Search,
    }
    for part in reversed(place):
        if part in models:
            return list(models[str(part)].model_fields)
    return list(Study.model_fields)
