"""What an encoder may have been through before a target: tasks, mixtures, masked LM, alignment, sequences, merges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from raystilts.errors import did_you_mean, shown
from raystilts.study.adapters import Tuning
from raystilts.study.base import LONGEST_NAME, Language, Model
from raystilts.study.composed import FLAT, NAME, Foreign, Merge, Trainings, gathered

LOSSES = ("coral", "mmd", "adversarial")


class Alignment(Model):
    """A loss beside an intermediate's own that makes the encoder's states of two domains alike.

    Each update sees as many training texts of another task, without their labels, as it has examples of its own; the
    states of both are averaged over their tokens and compared. The number of updates stays what it was. The weight
    rises from 0 by 2 / (1 + exp(-10 p)) - 1, p the share of the updates done (Ganin et al. 2016, section 5.2.2).

    Attributes:
        to: The task whose training texts are the other domain, as a rule a target of the study; its labels are not
            read.
        loss: `coral` compares covariances (Sun and Saenko 2016), `mmd` distributions by a Gaussian kernel of the
            median distance (Long et al. 2015), `adversarial` reverses the gradient of a classifier of the two domains
            (Ganin et al. 2016).
        weight: Weight of the loss at the end of the training. CORAL's loss is divided by 4 d^2 by its definition, so
            it needs weights in the thousands.
    """

    to: str
    loss: Literal["coral", "mmd", "adversarial"]
    weight: Annotated[float, Field(gt=0, le=1e9)] = 1.0

    @field_validator("loss", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value not in LOSSES:
            raise ValueError(f"no such loss: {shown(value)}; {did_you_mean(str(value), LOSSES)}")
        return value

    @property
    def word(self) -> str:
        """Its part of an arm's name."""
        return f"{self.loss}-{self.to}"

    def weight_at(self, progress: float) -> float:
        """The weight after a share of all updates."""
        return self.weight * (2 / (1 + math.exp(-10 * progress)) - 1)


def arm_name(tasks: Sequence[str], masked_lm: Any, align: Any) -> str:
    """What tables call an intermediate without a name of its own: its parts in the order in which they train.

    Args:
        masked_lm: A `MaskedLM`, or None; likewise `align`, an `Alignment`.
    """
    parts = list(tasks)
    if masked_lm is not None:
        word = f"mlm-{masked_lm.text_of}" if masked_lm.text_of else "mlm"
        parts = [word, *parts] if masked_lm.when == "before" else [*parts, word]
    if align is not None:
        parts.append(align.word)
    return "+".join(parts) or "none"


def domain_of(arm: Any) -> str | None:
    """The task whose training texts an `Intermediate` is drawn to; None for an ordinary one."""
    if arm.align is not None:
        return str(arm.align.to)
    return arm.masked_lm.text_of if arm.masked_lm is not None else None


#: Texts of a language that are read from Wikipedia where a study gives no number: English alone has 6.4 million.
WIKIPEDIA_TEXTS = 100_000


class MaskedLM(Model):
    """Masked-LM training beside (or without) the tasks of an intermediate.

    Attributes:
        languages: Languages of the text.
        dataset: Plain text: a folder `<dataset>/<language>/train.parquet` with a column `text` (without a data folder:
            Wikipedia from the hub).
        max_samples: How many texts of a language are read from the hub, its first ones. A folder is read whole.
        probability: The share of updates that are masked-LM updates; the tasks keep their own number of updates.
        max_steps: Updates; needed if there is no task to give a number.
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
    max_samples: Annotated[int, Field(ge=1, exclude_if=lambda value: value == WIKIPEDIA_TEXTS)] = WIKIPEDIA_TEXTS
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


class Intermediate(Model):
    """What the encoder is trained on before the target; `none` is the arm without.

    Attributes:
        tasks: One task, or several mixed; `squad@de` reads the training data of another language. `all` stands for
            the tasks of the study's other intermediates, and `anli_plus` for its three sets.
        sampling: How a mixture draws tasks: in proportion to their sizes, evenly, or to sizes ** (1 / temperature).
        cap: The largest size that counts for a task in `proportional` and `temperature` (2 ** 17 in the paper).
        temperature: Of `sampling: temperature`; 1 is in proportion, more is more even.
        masked_lm: Co-training with masked language modelling.
        align: A loss that draws the encoder's states towards another task's texts.
        tuning: What its training changes of the encoder; default the study's.
        checkpoint: Weights from elsewhere, in place of all of these.
        sequence: Trainings one after the other: what each leaves, the next starts from.
        merge: One encoder made of several arms' weights, without a training.
        step: The share of the updates after which its weights are taken, on the way of the whole training; the study's
            `intermediate_steps` makes such arms of all its trainings.
        name: What tables call the arm; default from its parts.
    """

    tasks: tuple[str, ...] = ()
    sampling: Literal["proportional", "uniform", "temperature"] = "proportional"
    cap: Annotated[int, Field(ge=1)] = 2**17
    temperature: Annotated[float, Field(ge=1, le=1e6)] = 2.0
    masked_lm: MaskedLM | None = None
    align: Annotated[Alignment | None, Field(exclude_if=lambda value: value is None)] = None
    tuning: Annotated[Tuning | None, Field(exclude_if=lambda value: value is None)] = None
    checkpoint: Annotated[Foreign | None, Field(exclude_if=lambda value: value is None)] = None
    sequence: Annotated[Trainings | None, Field(exclude_if=lambda value: value is None)] = None
    merge: Annotated[Merge | None, Field(exclude_if=lambda value: value is None)] = None
    step: Annotated[float | None, Field(gt=0, lt=1, exclude_if=lambda value: value is None)] = None
    name: Annotated[str, Field(pattern=rf"^{NAME}+$", max_length=LONGEST_NAME)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if data is None or isinstance(data, bool):
            raise ValueError(f"{shown(data)} is not an intermediate; the arm without one is written: none")
        if isinstance(data, str):
            return {"tasks": ()} if data == "none" else named_mixture(data) or {"tasks": (data,)}
        if isinstance(data, dict) and "task" in data:
            if "tasks" in data:
                raise ValueError("give task or tasks, not both")
            data = dict(data)
            data["tasks"] = data.pop("task")
        if isinstance(data, dict) and isinstance(data.get("tasks"), str):
            mixture = named_mixture(data["tasks"]) or {"tasks": (data["tasks"],)}
            if "name" in mixture and any(data.get(part) for part in ("masked_lm", "align", "tuning")):
                mixture |= {"name": _mixture_name(str(mixture["name"]), data)}
            data = mixture | data | {"tasks": mixture["tasks"]}
        return gathered(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"a task stands twice in {list(self.tasks)}")
        if self.name is not None and (self.name == "none") != self.is_none:
            raise ValueError(f"name: {self.name!r}; the arm without training, and no other, is called none")
        kinds = [name for name in FLAT if getattr(self, name) is not None]
        given = [name for name in ("tasks", "masked_lm", "align", "tuning") if getattr(self, name)]
        if self.step is not None and not (self.sequence or self.tasks or self.masked_lm):
            raise ValueError("step is of a training: give its task, or leave step out")
        if len([*kinds, *given]) > 1 and kinds:
            raise ValueError(f"{kinds[0]} is an arm by itself; leave out {' and '.join([*kinds[1:], *given])}")
        if not self.tasks and self.masked_lm is not None and self.masked_lm.max_steps is None:
            raise ValueError("masked_lm without a task needs masked_lm.max_steps")
        if not self.tasks and self.align is not None:
            raise ValueError("align needs a task: it draws an intermediate's texts and another task's together")
        if self.tuning is not None and self.is_none:
            raise ValueError("tuning: the arm none trains nothing; give tuning to a target or to the study")
        if self.tuning is not None and self.tuning.method == "head_only":
            raise ValueError("tuning: head_only leaves the encoder as it is, which is the arm none; leave the arm out")
        return self

    @property
    def is_none(self) -> bool:
        """Whether this is the arm without intermediate training."""
        return not self.tasks and self.masked_lm is None and not self.is_composed

    @property
    def trains(self) -> bool:
        """Whether it is a training, or several, rather than weights that are there anyway."""
        return not (self.is_none or self.checkpoint is not None or self.merge is not None)

    @property
    def is_composed(self) -> bool:
        """Whether this is more, or other, than one training from the pretrained encoder."""
        return self._composed is not None or self.step is not None

    @property
    def whole(self) -> Intermediate:
        """The training on whose way a step's weights are taken."""
        name = self.name
        if self.step is not None and name is not None:
            suffix = _at(self.step)
            name = name.removesuffix(suffix) if name.endswith(suffix) and name != suffix else None
        return self.model_copy(update={"step": None, "name": name})

    def at_step(self, share: float) -> Intermediate:
        """The arm of this training's weights after a share of its updates."""
        name = self.name if self.name is None else f"{self.name}{_at(share)}"
        return self.model_copy(update={"step": share, "name": name})

    @property
    def _composed(self) -> Foreign | Trainings | Merge | None:
        return self.checkpoint or self.sequence or self.merge

    @property
    def label(self) -> str:
        """The arm's name in tables."""
        if self.name:
            return self.name
        plain = self._composed.label if self._composed else arm_name(self.tasks, self.masked_lm, self.align)
        parts = _tuned_name(plain, self.tuning)
        return parts if self.step is None else f"{parts}{_at(self.step)}"

    @property
    def untuned_label(self) -> str:
        """The same without its tuning."""
        return self.label if self.tuning is None else self.label.removesuffix(f"+{self.tuning.word}")


def _at(share: float) -> str:
    """The end of the name of an arm at a step."""
    return f"_at_{share:g}"


def _mixture_name(name: str, data: dict[str, Any]) -> str:
    """The name of a mixture that has one, with what an intermediate adds to it."""
    given = data.get("masked_lm"), data.get("align")
    masked_lm = MaskedLM.model_validate(given[0]) if given[0] else None
    plain = arm_name([name], masked_lm, Alignment.model_validate(given[1]) if given[1] else None)
    return _tuned_name(plain, Tuning.model_validate(data["tuning"]) if data.get("tuning") else None)


def _tuned_name(name: str, tuning: Tuning | None) -> str:
    return name if tuning is None else f"{name}+{tuning.word}"


#: By name in study files; the tasks that are mixed. ANLI+ is that of Phang et al. 2020 (arXiv 2005.13013).
MIXTURES: dict[str, tuple[str, ...]] = {"anli_plus": ("anli", "mnli", "snli")}

#: Stands for every task of the study's other intermediates.
ALL = "all"


def named_mixture(name: str) -> dict[str, object] | None:
    """The intermediate that a name stands for, or None where it names no mixture."""
    if name == ALL:
        return {"tasks": (ALL,), "name": ALL}
    return {"tasks": MIXTURES[name], "name": name} if name in MIXTURES else None


def all_tasks_of(others: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The tasks of a study's other intermediates, each once, in their order.

    A translation (`squad@de`) is left out where its task is there itself.

    Args:
        others: The tasks of each of the other intermediates.

    Raises:
        ValueError: There are fewer than two.
    """
    named = dict.fromkeys(name for tasks in others for name in tasks if name != ALL)
    found = tuple(name for name in named if "@" not in name or name.partition("@")[0] not in named)
    if len(found) < 2:
        raise ValueError(f"{ALL!r} mixes the other intermediates' tasks, which are {list(found)}; name two or more")
    return found
