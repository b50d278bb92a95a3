"""A stage's rows as features: training sets by seed and fraction, dev and test sets by language."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.features import Features, Longs
from raystilts.tasks.task import Task
from raystilts.training.batches import pool
from raystilts.training.cache import cached_features
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

    def _encode_training(self, task: Task, hp: Hyperparameters) -> Features:
        rows = task.load_train(self.folder)
        rows = rows.take(pa.array(pool(rows.num_rows, hp.max_train_samples)))
        return task.type.encode(rows, self.pretrained.tokenizer, max_length=self._length(task, hp), training=True)

    def evaluation(
        self, task: Task, split: str, language: str, limit: int | None, hp: Hyperparameters
    ) -> EvalSet:
        """One split ("dev" or "test") of one language, at most `limit` rows of it."""
        look = task.dev_fingerprint if split == "dev" else task.test_fingerprint
        key = [task.definition(), look(language, self.folder).value, limit, self._length(task, hp), split]
        name = repr([*key, language])
        if name not in self._evaluation:
            rows = (task.load_dev if split == "dev" else task.load_test)(language, self.folder)
            rows = rows.take(pa.array(pool(rows.num_rows, limit)))
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


def used_tokens(features: list[Features], extra: tuple[int, ...]) -> Longs:
    """Every token id that training on these features can meet, ascending."""
    return np.unique(np.concatenate([*(f.input_ids.values for f in features), np.asarray(extra)])).astype(np.int64)
