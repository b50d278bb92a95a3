"""Names of stages: hashes of whatever determines their outcome, and of nothing else.

Every recipe of a key is here. A stage is named by its `stage_key`: what it trains (`train_key`) and what it scores
(`eval_key`). The encoder and, for a target, the intermediate come in as the key that the training starts from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from raystilts.study.adapters import Tuning
from raystilts.study.composed import Merge
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Evaluation, Study

#: Raised when the meaning of the training or evaluation code changes, so that older rows are not taken for new ones.
TRAIN_RECIPE = 2
EVAL_RECIPE = 1


def digest(value: Any) -> str:
    """32 hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def stage_key(train_key: str, eval_key: str) -> str:
    """A stage: the weights that it leaves and what is scored of them."""
    return digest([train_key, eval_key])


def encoder_key(pooling: str, fingerprint: str) -> str:
    """The pretrained weights that a training starts from, and how a sequence is read off them."""
    return digest([TRAIN_RECIPE, fingerprint, pooling])


def train_key(start: str, training: str, fraction: float, hold: str, seed: int) -> str:
    """The weights that a training leaves.

    Args:
        start: Key of the weights that it starts from.
        training: `arm_training` or `target_training`.
        hold: What stays fixed where the fraction is below 1; of no consequence at 1.
    """
    return digest([start, training, fraction, hold if fraction < 1 else "epochs", seed])


def foreign_key(base: str, fingerprint: str) -> str:
    """The weights of a checkpoint from elsewhere.

    Args:
        base: Key of the study's encoder, which says how a sequence is read off them.
    """
    return digest([base, "checkpoint", fingerprint])


def step_key(whole: str, steps: int) -> str:
    """The weights after so many updates of a training, by the key of the whole."""
    return digest([whole, "step", steps])


def merge_key(base: str, members: list[str], merge: Merge) -> str:
    """The weights that a merge makes.

    Args:
        base: Key of the study's encoder, the pretrained weights.
        members: Keys of the members' weights.
    """
    return digest([base, "merge", members, merge.model_dump(mode="json", exclude={"merge"})])


def canonical(hp: Hyperparameters) -> Hyperparameters:
    """The same training in the words of the defaults: values that change nothing are as if they were not given.

    A `max_length` that is the default of the task's type stays as it is given: keys of older results hold it so.
    """
    update: dict[str, Any] = {}
    if hp.max_steps > 0:
        update["num_train_epochs"] = Hyperparameters().num_train_epochs
    if hp.head_learning_rate == hp.learning_rate:
        update["head_learning_rate"] = None
    return hp.model_copy(update=update)


def training_rules(evaluation: Evaluation, hp: Hyperparameters, dev: list[str], selection: str = "en_dev") -> str:
    """Hyperparameters, and what picks the checkpoint if one is picked.

    Args:
        dev: Fingerprints of the dev data that picks.
        selection: The study's; an intermediate is always picked on dev data in its training language.
    """
    picked = None
    if hp.load_best_model_at_end or hp.early_stopping_patience is not None:
        picked = [dev, evaluation.eval_steps, evaluation.max_dev_samples, selection]
    return digest([canonical(hp).model_dump(mode="json", exclude={"max_train_samples"}), picked])


def few(fingerprint: str, hp: Hyperparameters) -> str:
    """A task's training data in a mixture, which is cut to its own `num_train_examples`."""
    return fingerprint if hp.num_train_examples is None else digest([fingerprint, hp.num_train_examples])


def arm_data(tasks: list[str], text: str | None, others: Iterable[str]) -> str:
    """The training data of an intermediate, by the fingerprints of its tasks, its plain text and its other domain."""
    return digest([tasks, text, *others])


def arm_training(arm: Intermediate, data: str, rules: str) -> str:
    """What an intermediate's training has in common over seeds and fractions; a name changes nothing."""
    mixing = arm.model_dump(mode="json", exclude={"name", "tuning"})
    if len(arm.tasks) == 1:
        mixing = {name: mixing[name] for name in ("masked_lm", "align") if name in mixing}
    return digest([data, mixing, rules])


def arm_evaluation(evaluation: Evaluation, dev: list[str]) -> str:
    """What is scored of an intermediate: its dev data."""
    return digest([EVAL_RECIPE, dev, evaluation.max_dev_samples])


def tuned(training: str, tuning: Tuning, modules: Iterable[str]) -> str:
    """A training that changes only a part of the encoder; one that changes all of it is what it has always been.

    Args:
        training: `arm_training` or `target_training`.
        modules: Names, or ends of names, of the layers that LoRA adds to.
    """
    if tuning.is_full:
        return training
    own = tuning.model_dump(mode="json", exclude={"target_modules"})
    if tuning.method != "lora":
        own = {name: own[name] for name in ("method", "freeze")}
    return digest([training, own, sorted(set(modules))])


def target_training(data: str, rules: str) -> str:
    """What a target's training has in common over arms, seeds and fractions."""
    return digest([data, rules])


def target_evaluation(evaluation: Evaluation, scored: list[str]) -> str:
    """What is scored of a target, by the fingerprints of its dev and test data."""
    return digest([EVAL_RECIPE, scored, [evaluation.max_dev_samples, evaluation.max_test_samples]])


def retrieval_evaluation(study: Study, scored: list[str], hp: Hyperparameters) -> str:
    """The same for a target without training, where it matters how an encoder's states are read."""
    encoder, limits = study.encoder, [study.evaluation.max_dev_samples, study.evaluation.max_test_samples]
    read: list[Any] = [encoder.retrieval_layer, hp.bf16]
    if encoder.retrieval_pooling != "mean":  # left out at the mean, which it has always been
        read.append(encoder.retrieval_pooling)
    return digest([EVAL_RECIPE, scored, limits, hp.max_length, *read])


def training_set(definition: Any, values: list[str], limit: int | None, max_length: int | None) -> str:
    """A task's training data under a study's limits.

    Args:
        definition: `Task.definition()`.
        values: Fingerprints of its files, by training language.
        limit: Examples at most; None where there are no more.
        max_length: Sub-words of a sequence, as the study gives them.
    """
    return digest([definition, values, limit, max_length])


def evaluation_set(definition: Any, split: str, values: Iterable[tuple[str, str]]) -> str:
    """One split of a task in some languages, whatever the order in which they are asked for.

    Args:
        values: Languages with the fingerprints of their data.
    """
    return digest([definition, split, sorted(values)])
