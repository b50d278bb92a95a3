"""A stage's rows as features: training sets by seed and fraction, dev and test sets by language."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from raystilts.study.data import masked_lm_task
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import MaskedLM
from raystilts.tasks.features import Features, Longs
from raystilts.tasks.sampling import fixed_sample
from raystilts.tasks.task import Split, Task
from raystilts.tasks.texts import plain_text
from raystilts.tasks.types.masked_lm import MaskedLM as MaskedLMType
from raystilts.training.cache import cached_features
from raystilts.training.collate import joined
from raystilts.training.encoder import Pretrained
from raystilts.training.evaluate import EvalSet


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

    def evaluation(
        self, task: Task, split: Split, language: str, limit: int | None, hp: Hyperparameters
    ) -> EvalSet:
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
        limit = getattr(self.pretrained.config, "max_position_embeddings", wanted)
        # XLM-R numbers positions from padding_idx + 1, so that two of its 514 are never used.
        return int(min(wanted, limit - 2 if limit > 512 else limit))


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
