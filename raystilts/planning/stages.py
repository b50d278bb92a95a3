"""How much a stage trains: updates and examples, planned and trained by the same rule.

From cells to distinct stages with parents: what has to be trained, each thing once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from raystilts.planning.architectures import check_architecture, pooling_of
from raystilts.planning.cells import Cell, arm_points, expand, target_points
from raystilts.planning.data import StudyData, TrainingSet, dev_languages, masked_lm_task, target_languages
from raystilts.planning.encoders import EncoderInfo, describe_encoder
from raystilts.planning.keys import EVAL_RECIPE, TRAIN_RECIPE, digest
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task

Hold = Literal["epochs", "updates"]


def fraction_rows(rows: int, fraction: float) -> int:
    """Training examples in a share of a training set, at least one."""
    return max(1, round(fraction * rows))


def counted_rows(arm: Intermediate | None, rows: list[int], fraction: float, hold: Hold) -> list[int]:
    """The size that each part of a mixture counts with: its share, at most the mixture's cap.

    Args:
        arm: The intermediate; None for a target.
        rows: Training examples of each part at fraction 1.
    """
    sizes = [fraction_rows(count, fraction) if hold == "epochs" else count for count in rows]
    capped = arm is not None and len(rows) > 1 and arm.sampling != "uniform"
    return [min(size, arm.cap) for size in sizes] if capped and arm else sizes


def task_weights(arm: Intermediate, sizes: list[int]) -> list[float]:
    """The share of updates that each task of a mixture gets (before scaling to 1)."""
    if arm.sampling == "uniform":
        return [1.0] * len(sizes)
    power = 1.0 if arm.sampling == "proportional" else 1 / arm.temperature
    return [size**power for size in sizes]


def steps_of(arm: Intermediate | None, rows: list[int], fraction: float, hold: Hold, hp: Hyperparameters) -> int:
    """Updates of a training; masked-LM updates come on top of the tasks' own, unless they share these."""
    masked_lm = arm.masked_lm if arm else None
    if not rows:
        assert masked_lm is not None
        assert masked_lm.max_steps is not None
        return masked_lm.max_steps
    steps = hp.steps(sum(counted_rows(arm, rows, fraction, hold)))
    if masked_lm is None or masked_lm.updates == "shared":
        return steps
    return math.ceil(steps / (1 - masked_lm.probability))


Kind = Literal["intermediate", "target", "retrieval"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One distinct piece of training or evaluation.

    Attributes:
        key: Names the stage: training and evaluation together.
        train_key: Names the weights that it leaves; those of the parent (or the encoder) where it trains nothing.
        eval_key: Names what is scored and how.
        parent: Key of the stage whose encoder this one starts from, None for the pretrained one.
        steps: Updates planned.
        examples: Training examples planned, repeats counted.
        tokens: Rough sub-words to train on, repeats counted.
        eval_tokens: Rough sub-words to evaluate, repeats counted.
        data_hash: Of the training data; of the scored data where nothing is trained.
    """

    key: str
    train_key: str
    eval_key: str
    kind: Kind
    intermediate: Intermediate
    intermediate_fraction: float | None
    target: str | None
    target_fraction: float | None
    seed: int | None
    parent: str | None
    parent_train_key: str | None
    steps: int
    examples: int
    tokens: int
    eval_tokens: int
    data_hash: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A study's cells and the distinct stages that yield them.

    Attributes:
        cells: Every number of the transfer matrix.
        stages: By key; parents stand before their children.
        cell_stages: The stage of each cell, in the order of `cells`.
        verified: Whether all data and the encoder were here when the keys were made.
    """

    study: Study
    encoder: EncoderInfo
    cells: tuple[Cell, ...]
    stages: dict[str, Stage]
    cell_stages: tuple[str, ...]
    verified: bool

    def of_kind(self, kind: Kind) -> list[Stage]:
        """The stages of one kind."""
        return [stage for stage in self.stages.values() if stage.kind == kind]


def plan(study: Study) -> Plan:
    """Works out a study's cells and stages; trains nothing and fetches nothing.

    Raises:
        UserError: data or an encoder that cannot be used.
    """
    return _Planner(study).plan()


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What one training has in common over seeds and fractions.

    Attributes:
        train: Hash of all that changes the weights, but for fraction, seed and starting point.
        eval_key: Hash of what is scored and how.
        rows: Training examples of each part at fraction 1.
        tokens_per_example: Rough sub-words of a training example.
        picking_tokens: Rough sub-words of one evaluation during training.
        final_tokens: Rough sub-words scored at the end.
    """

    train: str
    eval_key: str
    rows: list[int]
    hyperparameters: Hyperparameters
    data_hash: str
    tokens_per_example: float
    picking_tokens: int
    final_tokens: int


class _Planner:
    """Works out keys; whatever many stages share is hashed once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.encoder = describe_encoder(study.encoder)
        self.data = StudyData(study)
        self.verified = self.encoder.verified
        retrieval = any(not get_task(target.task).requires_training for target in study.targets)
        check_architecture(study, self.encoder.architecture, retrieval)
        self.base = digest([TRAIN_RECIPE, self.encoder.fingerprint, pooling_of(study, self.encoder.architecture)])
        self.stages: dict[str, Stage] = {}

    def plan(self) -> Plan:
        """All intermediates first, then the targets."""
        parents: dict[tuple[str, float | None, int], Stage | None] = {}
        for arm in self.study.intermediates:
            recipe = None if arm.is_none else self._arm_recipe(arm)
            for _, fraction, seeds in (p for p in arm_points(self.study) if p[0] is arm):
                for seed in seeds:
                    parents[arm.label, fraction, seed] = (
                        None if recipe is None or fraction is None else self._intermediate(arm, recipe, fraction, seed)
                    )
        found: dict[Cell, str] = {}
        for target in self.study.targets:
            task, recipe = get_task(target.task), self._target_recipe(get_task(target.task))
            for arm, fraction, seeds in arm_points(self.study):
                for target_fraction in target_points(self.study, target):
                    for seed in seeds:
                        parent = parents[arm.label, fraction, seed]
                        stage = self._target(task, recipe, arm, fraction, target_fraction, seed, parent)
                        cell = Cell(arm.label, fraction, task.name, target_fraction, stage.seed)
                        found[cell] = stage.key
        cells = tuple(expand(self.study))
        return Plan(self.study, self.encoder, cells, self.stages, tuple(found[c] for c in cells), self.verified)

    def _intermediate(self, arm: Intermediate, recipe: _Recipe, fraction: float, seed: int) -> Stage:
        hold = self.study.intermediate_fractions.hold
        train_key = digest([self.base, recipe.train, fraction, hold, seed])
        steps = steps_of(arm, recipe.rows, fraction, hold, recipe.hyperparameters)
        stage = Stage(
            key=digest([train_key, recipe.eval_key]),
            train_key=train_key,
            eval_key=recipe.eval_key,
            kind="intermediate",
            intermediate=arm,
            intermediate_fraction=fraction,
            target=None,
            target_fraction=None,
            seed=seed,
            parent=None,
            parent_train_key=None,
            steps=steps,
            **self._amounts(recipe, steps),
            data_hash=recipe.data_hash,
        )
        return self.stages.setdefault(stage.key, stage)

    def _target(
        self,
        task: Task,
        recipe: _Recipe,
        arm: Intermediate,
        fraction: float | None,
        target_fraction: float | None,
        seed: int,
        parent: Stage | None,
    ) -> Stage:
        before = parent.train_key if parent else self.base
        train_key, steps = before, 0
        if target_fraction is not None:
            hold = self.study.target_fractions.hold
            train_key = digest([before, recipe.train, target_fraction, hold, seed])
            steps = steps_of(None, recipe.rows, target_fraction, hold, recipe.hyperparameters)
        stage = Stage(
            key=digest([train_key, recipe.eval_key]),
            train_key=train_key,
            eval_key=recipe.eval_key,
            kind="retrieval" if target_fraction is None else "target",
            intermediate=arm,
            intermediate_fraction=fraction,
            target=task.name,
            target_fraction=target_fraction,
            seed=None if target_fraction is None and parent is None else seed,
            parent=parent.key if parent else None,
            parent_train_key=parent.train_key if parent else None,
            steps=steps,
            **self._amounts(recipe, steps),
            data_hash=recipe.data_hash,
        )
        return self.stages.setdefault(stage.key, stage)

    def _amounts(self, recipe: _Recipe, steps: int) -> dict[str, int]:
        """Planned examples and sub-words of a training of so many updates."""
        examples = steps * recipe.hyperparameters.batch
        evaluations = -(-steps // self.study.evaluation.every(steps)) if steps else 0
        eval_tokens = recipe.final_tokens + evaluations * recipe.picking_tokens
        tokens = round(examples * recipe.tokens_per_example)
        return {"examples": examples, "tokens": tokens, "eval_tokens": eval_tokens}

    def _arm_recipe(self, arm: Intermediate) -> _Recipe:
        """An intermediate: its tasks' data, how they are mixed, and dev data where that picks the checkpoint."""
        tasks = [get_task(name) for name in arm.tasks]
        hp = self.study.hyperparameters.resolve(arm.label)
        sets = [self.data.training(task, self.study.hyperparameters.resolve(task.name)) for task in tasks]
        text = self._plain_text(arm, hp)
        domain = None if arm.align is None else self._whole_task(arm.align.to)
        scored = [self.data.evaluation(task, "dev", dev_languages(task, ())) for task in tasks]
        parts = [*sets, text] if text else sets
        others = [domain] if domain else []
        self.verified &= all(one.verified for one in (*parts, *others)) and all(one.verified for one in scored)
        mixing = arm.model_dump(mode="json", exclude={"name"})
        if len(tasks) == 1:
            mixing = {name: mixing[name] for name in ("masked_lm", "align") if name in mixing}
        fingerprints = [one.fingerprint for one in sets]
        data = digest([fingerprints, text.fingerprint if text else None, *(one.fingerprint for one in others)])
        dev = [one.fingerprint for one in scored]
        train = digest([data, mixing, self._training_rules(hp, dev)])
        eval_key = digest([EVAL_RECIPE, dev, self.study.evaluation.max_dev_samples])
        rows = [one.rows for one in sets]
        return _Recipe(
            train=train,
            eval_key=eval_key,
            rows=rows,
            hyperparameters=hp,
            data_hash=data,
            tokens_per_example=_tokens_per_example(parts, domain),
            picking_tokens=sum(one.tokens for one in scored),
            final_tokens=0,
        )

    def _plain_text(self, arm: Intermediate, hp: Hyperparameters) -> TrainingSet | None:
        """The text of masked-LM training, if the arm has any."""
        if arm.masked_lm is None:
            return None
        if arm.masked_lm.text_of is not None:
            return self._whole_task(arm.masked_lm.text_of)
        return self.data.training(masked_lm_task(arm.masked_lm), Hyperparameters(max_length=hp.max_length))

    def _whole_task(self, name: str) -> TrainingSet:
        """A task's training set as a target of the study has it at fraction 1."""
        return self.data.training(get_task(name), self.study.hyperparameters.resolve(name))

    def _target_recipe(self, task: Task) -> _Recipe:
        """A target: its English training data, and what is scored in which languages."""
        languages = target_languages(self.study, task.name)
        hp = self.study.hyperparameters.resolve(task.name)
        sets = [
            self.data.evaluation(task, "dev", dev_languages(task, languages)),
            self.data.evaluation(task, "test", languages),
        ]
        if task.pool is not None:
            sets.append(self.data.evaluation(task, "pool", task.split_languages("pool")))
        self.verified &= all(one.verified for one in sets)
        scored = [one.fingerprint for one in sets]
        evaluation = self.study.evaluation
        limits = [evaluation.max_dev_samples, evaluation.max_test_samples]
        final_tokens = sum(one.tokens for one in sets)
        if not task.requires_training:
            layer = self.study.encoder.retrieval_layer
            pooling = self.study.encoder.retrieval_pooling
            read = [layer, hp.bf16] if pooling == "mean" else [layer, hp.bf16, pooling]
            eval_key = digest([EVAL_RECIPE, scored, limits, hp.max_length, *read])
            return _Recipe("", eval_key, [], hp, digest(scored), 0, 0, final_tokens)
        found = self.data.training(task, hp)
        self.verified &= found.verified
        picking = self.data.evaluation(
            task, "dev", dev_languages(task, languages if self.study.selection == "target_dev" else ())
        )
        return _Recipe(
            train=digest([found.fingerprint, self._training_rules(hp, [picking.fingerprint])]),
            eval_key=digest([EVAL_RECIPE, scored, limits]),
            rows=[found.rows],
            hyperparameters=hp,
            data_hash=found.fingerprint,
            tokens_per_example=found.tokens_per_row,
            picking_tokens=picking.tokens,
            final_tokens=final_tokens,
        )

    def _training_rules(self, hp: Hyperparameters, dev: list[str]) -> str:
        """Hyperparameters, and what picks the checkpoint if one is picked."""
        picked = None
        if hp.load_best_model_at_end:
            evaluation = self.study.evaluation
            picked = [dev, evaluation.eval_steps, evaluation.max_dev_samples, self.study.selection]
        return digest([hp.model_dump(mode="json", exclude={"max_train_samples"}), picked])


def _tokens_per_example(parts: list[TrainingSet], domain: TrainingSet | None) -> float:
    """Rough sub-words of a training example; texts that are only aligned with count like those of the arm itself.

    Alignment reads both a second time, to compare whole batches whatever the device can hold: a third of the work.
    """
    own = sum(one.tokens_per_row for one in parts) / len(parts)
    return own if domain is None else (own + domain.tokens_per_row) * 4 / 3
