"""The cells of a study and its distinct stages with parents: what has to be trained, each thing once, and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from raystilts.errors import UserError
from raystilts.planning import keys
from raystilts.planning.adapters import check_tunings, parts_of_encoder, target_modules
from raystilts.planning.architectures import check_architecture
from raystilts.planning.arm_stages import foreign_stage, merge_stage, stages_along
from raystilts.planning.cells import Cell, Points, arm_points, target_points
from raystilts.planning.data import TrainingSet
from raystilts.planning.dev_test import check_dev_is_not_test
from raystilts.planning.encoders import EncoderInfo, describe_encoder
from raystilts.planning.resolve import ResolvedArm, ResolvedStudy, ResolvedTask, resolve, trains_on_target
from raystilts.planning.stage import Kind, Recipe, Stage
from raystilts.study.adapters import Tuning
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study

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


@dataclass(frozen=True, slots=True)
class Plan:
    """A study's cells and the distinct stages that yield them.

    Attributes:
        cells: Every number of the transfer matrix.
        stages: By key; parents stand before their children.
        cell_stages: The stage of each cell, in the order of `cells`.
        verified: Whether all data and the encoder were here when the keys were made.
        encoders: By name, where the study has several; `encoder` is the first of them.
    """

    study: Study
    encoder: EncoderInfo
    cells: tuple[Cell, ...]
    stages: dict[str, Stage]
    cell_stages: tuple[str, ...]
    verified: bool
    encoders: Mapping[str, EncoderInfo] = field(default_factory=dict)

    def behind(self, key: str) -> set[str]:
        """The stages whose weights a stage is made of or starts from, near or far."""
        found: set[str] = set()
        left = [key]
        while left:
            new = [one for one in self.stages[left.pop()].sources if one in self.stages and one not in found]
            found.update(new)
            left += new
        return found

    def of_kind(self, kind: Kind) -> list[Stage]:
        """The stages of one kind."""
        return [stage for stage in self.stages.values() if stage.kind == kind]

    def encoder_of(self, stage: Stage) -> EncoderInfo:
        """The encoder that a stage begins with."""
        return self.encoders.get(stage.encoder, self.encoder)

    def study_of(self, stage: Stage) -> Study:
        """The part of the study that is of a stage's encoder."""
        return self.study.of_encoder(stage.encoder)

    def each(self) -> list[Plan]:
        """The part of each encoder, as a plan of its own."""
        return [self] if not self.encoders else [self._of(name) for name in self.encoders]

    def _of(self, name: str) -> Plan:
        mine = [(cell, key) for cell, key in zip(self.cells, self.cell_stages, strict=True) if cell.encoder == name]
        stages = {key: stage for key, stage in self.stages.items() if stage.encoder == name}
        return Plan(
            self.study.of_encoder(name), self.encoders[name], tuple(cell for cell, _ in mine), stages,
            tuple(key for _, key in mine), self.verified,
        )  # fmt: skip


def plan(study: Study) -> Plan:
    """Works out a study's cells and stages; trains nothing and fetches nothing.

    Raises:
        UserError: a task, data or an encoder that cannot be used.
    """
    resolved = resolve(study)
    check_dev_is_not_test(resolved.targets, resolved.data.folder)
    return plan_stages(resolved, [describe_encoder(one) for one in study.all_encoders])


def plan_stages(resolved: ResolvedStudy, encoders: Sequence[EncoderInfo]) -> Plan:
    """The same for a study whose names, data and encoders have been checked.

    Args:
        encoders: In the order of the study file.

    Raises:
        UserError: data or an encoder that cannot be used.
    """
    if not resolved.parts:
        return _Planner(resolved, encoders[0]).plan()
    plans = [_Planner(part, info).plan() for part, info in zip(resolved.parts, encoders, strict=True)]
    labels = [one.label for one in resolved.study.all_encoders]
    return _together(resolved.study, dict(zip(labels, plans, strict=True)))


def _together(study: Study, parts: Mapping[str, Plan]) -> Plan:
    """One plan of the plans of several encoders, which have no stage in common.

    Raises:
        UserError: two of them are the same encoder.
    """
    stages: dict[str, Stage] = {}
    for name, part in parts.items():
        for key, stage in part.stages.items():
            if key in stages:
                raise UserError(
                    f"encoders: {name!r} is {stages[key].encoder!r} under another name: both would train the same; "
                    "drop one (a retrieval_layer alone makes no other encoder; give it a study of its own)"
                )
            stages[key] = replace(stage, encoder=name)
    cells = tuple(replace(cell, encoder=name) for name, part in parts.items() for cell in part.cells)
    return Plan(
        study, next(iter(parts.values())).encoder, cells, stages,
        tuple(key for part in parts.values() for key in part.cell_stages),
        all(part.verified for part in parts.values()), {name: part.encoder for name, part in parts.items()},
    )  # fmt: skip


def overlaps(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Pairs of an arm and a target whose own training data it trains on, in the order of the study file."""
    found = {(stage.intermediate.label, stage.target) for stage in plan.stages.values() if stage.overlap}
    return tuple(
        (arm.label, target.task)
        for arm in plan.study.intermediates
        for target in plan.study.targets
        if (arm.label, target.task) in found
    )


class _Planner:
    """Works out keys; whatever many stages share is hashed once."""

    def __init__(self, resolved: ResolvedStudy, encoder: EncoderInfo) -> None:
        self.resolved, self.study = resolved, resolved.study
        self.encoder, self.data = encoder, resolved.data
        self.verified = self.encoder.verified
        retrieval = any(not target.task.requires_training for target in resolved.targets)
        check_architecture(self.study, self.encoder.architecture, retrieval)
        check_tunings(resolved, self.encoder)
        self.base = keys.encoder_key(encoder.pooling, encoder.fingerprint)
        self.stages: dict[str, Stage] = {}
        self.points: dict[str, Points] = {}
        self.recipes: dict[Intermediate, Recipe] = {}
        # Of sequences that always start with all data, whatever the study's fractions.
        whole = [arm.start for arm in resolved.all_arms if arm.start is not None and _starts_whole(arm.intermediate)]
        self.starts = {one.intermediate for start in whole for one in start.parts}

    def plan(self) -> Plan:
        """All intermediates first, then the targets."""
        parents: dict[tuple[str, float | None, int], Stage | None] = {}
        # Single trainings first: a stage that is also part of another arm has its own arm's name.
        points = sorted(arm_points(self.resolved), key=lambda point: point[0].intermediate.is_composed)
        for arm, fraction, seeds in points:
            for seed in seeds:
                parents[arm.intermediate.label, fraction, seed] = self._weights(arm, fraction, seed)
        found: dict[Cell, str] = {}  # in the order of the study file
        for target in self.resolved.targets:
            recipe = self._target_recipe(target)
            self.points[target.task.name] = target_points(self.study, target, sum(recipe.rows))
            overlap = {arm.intermediate.label: trains_on_target(arm, target) for arm in self.resolved.arms}
            for arm, fraction, seeds in arm_points(self.resolved):
                label = arm.intermediate.label
                for target_fraction in self.points[target.task.name]:
                    for seed in seeds:
                        parent = parents[label, fraction, seed]
                        stage = self._target(target, recipe, arm, target_fraction, seed, parent, overlap[label])
                        cell = Cell(label, fraction, target.task.name, target_fraction, stage.seed)
                        found[cell] = stage.key
        return Plan(self.study, self.encoder, tuple(found), self.stages, tuple(found.values()), self.verified)

    def _weights(self, arm: ResolvedArm, fraction: float | None, seed: int) -> Stage | None:
        """The stage that leaves an arm's weights; None for the pretrained ones."""
        if arm.intermediate.is_none:
            return None
        if arm.foreign is not None:
            self.verified &= arm.foreign.verified
            stage = foreign_stage(arm, arm.foreign, self.base)
            return self.stages.setdefault(stage.key, stage)
        fraction = fraction if arm.has_fractions else None
        if arm.intermediate.merge is not None:
            members = [self._weights(one, fraction, seed) for one in arm.members]
            own_seed = seed if arm.has_seeds else None
            stage = merge_stage(arm, arm.intermediate.merge, members, fraction, own_seed, self.base)
            return self.stages.setdefault(stage.key, stage)
        assert fraction is not None
        along, whole = self._along(arm.whole or arm, fraction, seed)
        wanted = [*along, whole]
        if arm.whole is not None:
            wanted = wanted[: 1 + [stage.intermediate for stage in along].index(arm.intermediate)]
        return [self.stages.setdefault(stage.key, stage) for stage in wanted][-1]

    def _along(self, arm: ResolvedArm, fraction: float, seed: int) -> tuple[list[Stage], Stage]:
        """The stages on the way of a training whose weights are arms of their own, and the one that ends it."""
        if fraction not in self.study.intermediate_fractions.values:  # it is but the start of other trainings
            arm = replace(arm, along=tuple(one for one in arm.along if one in self.starts))
        return stages_along(arm, self._intermediate(arm, fraction, seed))

    def _intermediate(self, arm: ResolvedArm, fraction: float, seed: int) -> Stage:
        start = None
        if arm.start is not None:
            start = self._weights(arm.start, 1.0 if _starts_whole(arm.intermediate) else fraction, seed)
        if arm.intermediate not in self.recipes:
            self.recipes[arm.intermediate] = self._arm_recipe(arm)
        recipe = self.recipes[arm.intermediate]
        hold = self.study.intermediate_fractions.hold
        train_key = keys.train_key(start.train_key if start else self.base, recipe.train, fraction, hold, seed)
        steps = steps_of(arm.trained, recipe.rows, fraction, hold, recipe.hyperparameters)
        return self._stage(
            recipe,
            train_key,
            steps,
            start,
            kind="intermediate",
            intermediate=arm.intermediate,
            intermediate_fraction=fraction,
            seed=seed,
            tasks=arm.tasks,
            arm=arm,
            tuning=arm.tuning,
        )

    def _target(
        self,
        target: ResolvedTask,
        recipe: Recipe,
        arm: ResolvedArm,
        target_fraction: float | None,
        seed: int,
        parent: Stage | None,
        overlap: bool,
    ) -> Stage:
        before = parent.train_key if parent else self.base
        train_key, steps = before, 0
        if target_fraction is not None:
            hold = self.study.target_fractions.hold
            train_key = keys.train_key(before, recipe.train, target_fraction, hold, seed)
            steps = steps_of(None, recipe.rows, target_fraction, hold, recipe.hyperparameters)
        stage = self._stage(
            recipe,
            train_key,
            steps,
            parent,
            kind="retrieval" if target_fraction is None else "target",
            intermediate=arm.intermediate,
            intermediate_fraction=parent.intermediate_fraction if parent else None,
            target=target.task.name,
            target_fraction=target_fraction,
            seed=None if target_fraction is None and (parent is None or parent.seed is None) else seed,
            tasks=(target,),
            overlap=overlap,
            target_examples=self.points[target.task.name][target_fraction],
            tuning=target.tuning,
        )
        return self.stages.setdefault(stage.key, stage)

    def _stage(self, recipe: Recipe, train_key: str, steps: int, parent: Stage | None, **own: Any) -> Stage:
        """A stage of so many updates, with all that follows from its recipe and from where it starts."""
        examples = steps * recipe.hyperparameters.batch
        evaluations = -(-steps // self.study.evaluation.every(steps)) if steps else 0
        return Stage(
            key=keys.stage_key(train_key, recipe.eval_key),
            train_key=train_key,
            eval_key=recipe.eval_key,
            data_hash=recipe.data_hash,
            hyperparameters=recipe.hyperparameters,
            parent=parent.key if parent else None,
            parent_train_key=parent.train_key if parent else None,
            steps=steps,
            examples=examples,
            tokens=round(examples * recipe.tokens_per_example),
            eval_tokens=recipe.final_tokens + evaluations * recipe.picking_tokens,
            **own,
        )

    def _arm_recipe(self, arm: ResolvedArm) -> Recipe:
        """An intermediate: its tasks' data, how they are mixed, and dev data where that picks the checkpoint."""
        hp = arm.hyperparameters
        sets = [self._training(one) for one in arm.tasks]
        text = self._plain_text(arm)
        domain = None if arm.align_to is None else self._training(arm.align_to)
        scored = [self.data.evaluation(one.task, "dev", one.dev_languages) for one in arm.tasks]
        parts = [*sets, text] if text else sets
        others = [domain] if domain else []
        self.verified &= all(one.verified for one in (*parts, *others)) and all(one.verified for one in scored)
        own = [one.hyperparameters for one in arm.tasks]
        fingerprints = [keys.few(one.fingerprint, its) for one, its in zip(sets, own, strict=True)]
        data = keys.arm_data(fingerprints, text.fingerprint if text else None, (one.fingerprint for one in others))
        dev = [one.fingerprint for one in scored]
        rules = keys.training_rules(self.study.evaluation, hp, dev)
        return Recipe(
            train=self._tuned(keys.arm_training(arm.trained, data, rules), arm.tuning),
            eval_key=keys.arm_evaluation(self.study.evaluation, dev),
            rows=[its.examples(one.rows) for one, its in zip(sets, own, strict=True)],
            hyperparameters=hp,
            data_hash=data,
            tokens_per_example=_tokens_per_example(parts, domain),
            picking_tokens=sum(one.tokens for one in scored),
            final_tokens=0,
        )

    def _tuned(self, training: str, tuning: Tuning) -> str:
        """The key of a training with the layers that its adapter is in."""
        modules = target_modules(tuning, parts_of_encoder(self.encoder)) if tuning.method == "lora" else ()
        return keys.tuned(training, tuning, modules)

    def _plain_text(self, arm: ResolvedArm) -> TrainingSet | None:
        """The text of masked-LM training, if the arm has any."""
        if arm.text_of is not None:
            return self._training(arm.text_of)
        if arm.plain_text is None:
            return None
        return self.data.training(arm.plain_text, Hyperparameters(max_length=arm.hyperparameters.max_length))

    def _training(self, one: ResolvedTask) -> TrainingSet:
        """A task's training set at fraction 1."""
        return self.data.training(one.task, one.hyperparameters)

    def _target_recipe(self, target: ResolvedTask) -> Recipe:
        """A target: its English training data, and what is scored in which languages."""
        task, hp = target.task, target.hyperparameters
        sets = [
            self.data.evaluation(task, "dev", target.dev_languages),
            self.data.evaluation(task, "test", target.languages),
        ]
        if task.pool is not None:
            sets.append(self.data.evaluation(task, "pool", task.split_languages("pool")))
        self.verified &= all(one.verified for one in sets)
        scored = [one.fingerprint for one in sets]
        final_tokens = sum(one.tokens for one in sets)
        if not task.requires_training:
            eval_key = keys.retrieval_evaluation(self.study, scored, hp)
            return Recipe("", eval_key, [], hp, keys.digest(scored), 0, 0, final_tokens)
        found = self._training(target)
        self.verified &= found.verified
        picking = self.data.evaluation(task, "dev", target.picking_languages)
        rules = keys.training_rules(self.study.evaluation, hp, [picking.fingerprint], self.study.selection)
        return Recipe(
            train=self._tuned(keys.target_training(found.fingerprint, rules), target.tuning),
            eval_key=keys.target_evaluation(self.study.evaluation, scored),
            rows=[hp.examples(found.rows)],
            hyperparameters=hp,
            data_hash=found.fingerprint,
            tokens_per_example=found.tokens_per_row,
            picking_tokens=picking.tokens,
            final_tokens=final_tokens,
        )


def _starts_whole(arm: Intermediate) -> bool:
    """Whether the study's fractions shrink only the last training of a sequence."""
    return arm.sequence is not None and arm.sequence.fractions == "last"


def _tokens_per_example(parts: list[TrainingSet], domain: TrainingSet | None) -> float:
    """Rough sub-words of a training example; texts that are only aligned with count like those of the arm itself.

    Alignment reads both a second time, to compare whole batches whatever the device can hold: a third of the work.
    """
    own = sum(one.tokens_per_row for one in parts) / len(parts)
    return own if domain is None else (own + domain.tokens_per_row) * 4 / 3
