"""What a stage reads: tokenised data, the training sets of its mixture, its updates, the sets that it is scored on.

Features are made once a machine, and memory-mapped from disk by every stage and process on it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from raystilts.planning.data import masked_lm_task
from raystilts.planning.keys import digest
from raystilts.planning.resolve import ResolvedTask
from raystilts.planning.stage import Stage
from raystilts.planning.stages import counted_rows, steps_of, task_weights
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import MaskedLM
from raystilts.study.schema import Study
from raystilts.tasks.encoding import Features, Longs, Ragged
from raystilts.tasks.splits import fixed_sample
from raystilts.tasks.task import Split, Task
from raystilts.tasks.texts import plain_text
from raystilts.tasks.types.masked_lm import MaskedLM as MaskedLMType
from raystilts.training.batches import (
    Update,
    example_lengths,
    mix,
    mixture_order,
    smoothed_batches,
    subset,
    text_first,
    training_batches,
)
from raystilts.training.cache import cache_folder
from raystilts.training.collate import IGNORED, features_of, joined
from raystilts.training.encoder import Pretrained
from raystilts.training.evaluate import EvalSet

_ARRAYS = ("example", "labels")
_RAGGED = ("input_ids", "token_type_ids", "token_labels", "char_spans")


def cached_features(key: list[object], make: Callable[[], Features]) -> Features:
    """The features named by `key`, from disk or made and kept.

    A cache that cannot be written (a full or read-only disk) costs time, never a result.
    """
    folder = cache_folder() / "features" / digest(key)
    found = _read(folder)
    if found is not None:
        return found
    features = make()
    try:
        _write(folder, features)
    except OSError:
        return features
    return _read(folder) or features


def _write(folder: Path, features: Features) -> None:
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        for name in _ARRAYS:
            if (array := getattr(features, name)) is not None:
                np.save(temporary / f"{name}.npy", array)
        for name in _RAGGED:
            if (ragged := getattr(features, name)) is not None:
                np.save(temporary / f"{name}.values.npy", ragged.values)
                np.save(temporary / f"{name}.offsets.npy", ragged.offsets)
        counts = {"num_examples": features.num_examples, "num_queries": features.num_queries}
        (temporary / "counts.json").write_text(json.dumps(counts), encoding="utf-8")
        temporary.rename(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        if not folder.is_dir():  # otherwise another process was first
            raise


def _read(folder: Path) -> Features | None:
    try:
        counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        arrays = {n: _map(folder / f"{n}.npy") for n in _ARRAYS if (folder / f"{n}.npy").exists()}
        ragged = {
            n: Ragged(_map(folder / f"{n}.values.npy"), _map(folder / f"{n}.offsets.npy"))
            for n in _RAGGED
            if (folder / f"{n}.values.npy").exists()
        }
    except (OSError, ValueError):
        return None
    found: dict[str, Any] = {**counts, **arrays, **ragged}
    return Features(**found)


def _map(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # an array without elements cannot be mapped
        return np.load(path, allow_pickle=False)


@dataclass(slots=True)
class DataReader:
    """Reads and tokenises data for one encoder, and keeps what it has read.

    Attributes:
        folder: The study's data folder, or None for the hub.
    """

    pretrained: Pretrained
    folder: Path | None
    _training: dict[str, Features] = field(default_factory=dict)
    _evaluation: dict[str, EvalSet] = field(default_factory=dict)

    def training(self, task: Task, hp: Hyperparameters) -> Features:
        """The features of a task's whole training set (after `max_train_samples`)."""
        values = [one.value for one in task.train_fingerprint(self.folder)]
        key = [task.definition(), values, hp.max_train_samples, self._length(task, hp), "train"]
        name = repr(key)
        if name not in self._training:
            self._training[name] = cached_features(
                [*key, self.pretrained.info.fingerprint], lambda: self._encode_training(task, hp)
            )
        return self._training[name]

    def text(self, masked_lm: MaskedLM, hp: Hyperparameters) -> tuple[Features, tuple[int, ...]]:
        """Plain text, one language after the other, and how many sequences each has."""
        alone = [masked_lm.model_copy(update={"languages": (language,)}) for language in masked_lm.languages]
        parts = [self.training(masked_lm_task(one), hp) for one in alone]
        return joined(parts), tuple(part.num_examples for part in parts)

    def text_of(self, task: Task, hp: Hyperparameters, max_length: int | None) -> Features:
        """The texts of a task's training set (after its `max_train_samples`) as plain text, without labels."""
        kind = MaskedLMType(text="text")
        length = self._length(task.model_copy(update={"type": kind}), Hyperparameters(max_length=max_length))
        values = [one.value for one in task.train_fingerprint(self.folder)]
        key = [task.definition(), values, hp.max_train_samples, length, "text"]

        def encode() -> Features:
            rows = plain_text(task, self._training_rows(task, hp))
            return kind.encode(rows, self.pretrained.tokenizer, max_length=length, training=True)

        return cached_features([*key, self.pretrained.info.fingerprint], encode)

    def _training_rows(self, task: Task, hp: Hyperparameters) -> pa.Table:
        rows = task.load_train(self.folder)
        return rows.take(pa.array(fixed_sample(rows.num_rows, hp.max_train_samples)))

    def _encode_training(self, task: Task, hp: Hyperparameters) -> Features:
        rows = self._training_rows(task, hp)
        return task.type.encode(rows, self.pretrained.tokenizer, max_length=self._length(task, hp), training=True)

    def evaluation(self, task: Task, split: Split, language: str, limit: int | None, hp: Hyperparameters) -> EvalSet:
        """One split of one language, at most `limit` items of it (see `TaskType.sample`)."""
        data = task.split_fingerprint(split, language, self.folder).value
        key = [task.definition(), data, limit, self._length(task, hp), split]
        name = repr([*key, language])
        if name not in self._evaluation:
            rows = task.type.sample(task.load_split(split, language, self.folder), limit)
            features = cached_features(
                [*key, self.pretrained.info.fingerprint],
                lambda: task.type.encode(
                    rows, self.pretrained.tokenizer, max_length=self._length(task, hp), training=False
                ),
            )
            self._evaluation[name] = EvalSet(split, language, rows, features)
        return self._evaluation[name]

    def _length(self, task: Task, hp: Hyperparameters) -> int:
        wanted = hp.max_length or task.type.default_max_length
        return wanted if self.pretrained.positions is None else min(wanted, self.pretrained.positions)


_READERS: dict[tuple[str, str], DataReader] = {}


def warm_reader(loaded: Pretrained, folder: Path | None) -> DataReader:
    """The process's reader for an encoder and a data folder; one at a time is kept."""
    key = (loaded.info.fingerprint, str(folder))
    if key not in _READERS:
        _READERS.clear()
        _READERS[key] = DataReader(loaded, folder)
    return _READERS[key]


def used_tokens(features: list[Features], extra: tuple[int, ...]) -> Longs:
    """Every token id that training on these features can meet, ascending."""
    return np.unique(np.concatenate([*(f.input_ids.values for f in features), np.asarray(extra)])).astype(np.int64)


@dataclass(slots=True)
class MixturePart:
    """One task of a mixture with its features and the chosen share of its examples.

    Attributes:
        languages: Examples of each language, where they are drawn by the smoothed sizes of the languages.
    """

    task: Task
    hyperparameters: Hyperparameters
    features: Features
    chosen: Longs
    languages: tuple[int, ...] = ()


def stage_masked_lm(stage: Stage) -> MaskedLM | None:
    """The masked LM that a stage trains with."""
    return None if stage.trained is None else stage.trained.masked_lm


def training_sets(stage: Stage, study: Study, reader: DataReader) -> list[MixturePart]:
    """What a stage trains on: its tasks, then the plain text of its masked LM if it has one."""
    assert stage.seed is not None
    fraction, _ = _share(stage, study)
    sets = []
    for one in stage.tasks:
        features = reader.training(one.task, one.hyperparameters)
        most = one.hyperparameters.num_train_examples
        chosen = subset(features.num_examples, fraction, stage.seed, most)
        sets.append(MixturePart(one.task, one.hyperparameters, features, chosen))
    masked_lm = stage_masked_lm(stage)
    if masked_lm is not None:
        sets.append(_plain_text_set(masked_lm, stage, reader))
    return sets


def balanced_weights(one: MixturePart) -> Tensor | None:
    """n / (classes x count) of each class or tag among the chosen examples, [classes]; None for other kinds of heads.

    A class that has no example weighs nothing.
    """
    kind, features = one.task.type, one.features
    if kind.head == "sequence" and features.labels is not None:
        labels: NDArray[np.generic] = features.labels[one.chosen]
    elif kind.head == "token" and features.token_labels is not None:
        rows = features_of(features, one.chosen)
        labels = features.token_labels.take(rows).values
        labels = labels[labels != IGNORED]
    else:
        return None
    counts = np.bincount(labels.astype(np.int64), minlength=kind.num_labels)
    weights = len(labels) / (kind.num_labels * np.maximum(counts, 1)) * (counts > 0)
    return torch.from_numpy(weights.astype(np.float32))


def _share(stage: Stage, study: Study) -> tuple[float, Any]:
    """The share of the training data, and what stays fixed where it shrinks."""
    target = stage.kind == "target"
    axis = study.target_fractions if target else study.intermediate_fractions
    fraction = stage.target_fraction if target else stage.intermediate_fraction
    assert fraction is not None
    return fraction, axis.hold


def _plain_text_set(masked_lm: MaskedLM, stage: Stage, reader: DataReader) -> MixturePart:
    """The plain text of masked LM."""
    arm = stage.arm
    assert stage.seed is not None
    assert arm is not None
    assert arm.plain_text is not None
    text, length = arm.plain_text, stage.hyperparameters.max_length
    hp = Hyperparameters(max_length=length)
    languages: tuple[int, ...] = ()
    if arm.text_of is not None:
        features = reader.text_of(arm.text_of.task, arm.text_of.hyperparameters, length)
    elif masked_lm.smoothing == 1:
        features = reader.training(text, hp)
    else:
        features, languages = reader.text(masked_lm, hp)
    return MixturePart(text, hp, features, subset(features.num_examples, 1.0, stage.seed), languages)


def training_updates(stage: Stage, study: Study, sets: list[MixturePart]) -> list[Update]:
    """The fixed list of updates of a training on these sets."""
    arm = stage.trained
    masked_lm, hp = stage_masked_lm(stage), stage.hyperparameters
    fraction, hold = _share(stage, study)
    rows = [one.hyperparameters.examples(one.features.num_examples) for one in sets[: len(stage.tasks)]]
    steps = steps_of(arm, rows, fraction, hold, hp)
    weights = [1.0]
    if arm and rows:
        weights = task_weights(arm, counted_rows(arm, rows, fraction, "epochs"))
    if masked_lm is not None:
        share = masked_lm.probability if rows else 1.0
        total = sum(weights) if rows else 1.0
        weights = [w / total * (1 - share) for w in weights] if rows else []
        weights.append(share)
    seed = stage.seed or 0
    order = mixture_order(weights, steps, seed)
    if masked_lm is not None and masked_lm.when == "before":
        order = text_first(order, len(rows))
    counts = [int((order == i).sum()) for i in range(len(sets))]
    streams = [_batches(one, masked_lm, hp, seed, count) for one, count in zip(sets, counts, strict=True)]
    return mix(order, streams)


def _batches(one: MixturePart, masked_lm: MaskedLM | None, hp: Hyperparameters, seed: int, steps: int) -> list[Longs]:
    """The batches of one set, as many as it has updates."""
    if not one.languages:
        return training_batches(one.chosen, example_lengths(one.features), hp, seed, steps)
    assert masked_lm is not None
    return smoothed_batches(one.languages, masked_lm.smoothing, hp, seed, steps)


#: Evaluation sets, each with the index of the head that answers it.
IndexedSets = list[tuple[int, EvalSet]]


def picking_sets(stage: Stage, study: Study, reader: DataReader) -> IndexedSets:
    """The dev data that picks the checkpoint."""
    return [
        (i, _read_set(study, reader, one, "dev", language))
        for i, one in enumerate(stage.tasks)
        for language in one.picking_languages
    ]


def final_sets(stage: Stage, study: Study, reader: DataReader, known: set[tuple[str, str, str]]) -> IndexedSets:
    """Everything that a stage is to score at its end.

    Args:
        known: Task, split and language of what is already known of the final weights.
    """
    return [
        (i, _read_set(study, reader, one, split, language))
        for i, one in enumerate(stage.tasks)
        for split, language in _wanted(one)
        if (one.task.name, split, language) not in known
    ]


def rows_digest(rows: pa.Table) -> str:
    """Digest of the items of a set and of their order: runs with the same one were scored on the same items."""
    digest = hashlib.blake2b(digest_size=8)
    for batch in rows.combine_chunks().to_batches(max_chunksize=4096):
        digest.update(repr(batch.to_pylist()).encode())
    return digest.hexdigest()


def first_sets(stage: Stage, study: Study, reader: DataReader) -> IndexedSets:
    """The first set of each task that a stage is to score."""
    wanted = [(i, one, _wanted(one)[:1]) for i, one in enumerate(stage.tasks)]
    return [(i, _read_set(study, reader, one, split, lang)) for i, one, first in wanted for split, lang in first]


def _wanted(one: ResolvedTask) -> list[tuple[Split, str]]:
    wanted: list[tuple[Split, str]] = [("dev", language) for language in one.dev_languages]
    wanted += [("test", language) for language in one.languages]
    return wanted + [("pool", language) for language in one.task.split_languages("pool")]


def _read_set(study: Study, reader: DataReader, one: ResolvedTask, split: Split, language: str) -> EvalSet:
    evaluation = study.evaluation
    short = split == "dev" and not one.task.type.calibrates
    limit = evaluation.max_dev_samples if short else evaluation.max_test_samples
    return reader.evaluation(one.task, split, language, limit, one.hyperparameters)
