"""The largest update and the largest evaluation batch of a stage, done once: what memory it takes at its most."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import torch

from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.stages import Stage
from raystilts.study.schema import Study
from raystilts.tasks.encoding import Longs
from raystilts.training.batches import Update, example_lengths
from raystilts.training.data import TrainingSet, final_sets, picking_sets, training_sets
from raystilts.training.evaluate import predict
from raystilts.training.loop import train
from raystilts.training.model import Model
from raystilts.training.stage import EVAL_TOKENS, StageRun


def rehearse(stage: Stage, study: Study, *, device: str, threads: int = 1, encoder: EncoderInfo | None = None) -> None:
    """Does what takes most memory in a stage, with the pretrained encoder's weights; nothing is kept but tokens.

    One update of each task of the mixture, on its longest examples, and beside the optimiser's state a full batch of
    evaluation for each task. What does not fit is done in smaller pieces, as in the stage itself.

    Raises:
        UserError: data or encoder that cannot be used.
        torch.OutOfMemoryError, RuntimeError: not even one example fits into memory.
    """
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory(prefix="raystilts-rehearsal-") as folder:
        run = StageRun(stage, study, folder, torch.device(device), threads, encoder, 1.0)
        if stage.kind == "retrieval":
            _evaluate(run, Model(run.loaded.restore(None, run.device), []).to(run.device))
            return
        sets = training_sets(stage, study, run.reader)
        size = run.hp.per_device_train_batch_size
        updates = [Update(i, _longest(one, size)) for i, one in enumerate(sets)]
        with run.training(sets, updates, None) as job:

            def evaluate(step: int) -> tuple[float | None, list[dict[str, Any]]]:
                _evaluate(run, job.model)
                return None, []

            job.every, job.evaluate, job.stop_at = len(updates), evaluate, None
            train(job)


def _longest(one: TrainingSet, size: int) -> Longs:
    """The examples of most sub-words, at most `size` of them."""
    lengths = example_lengths(one.features)[one.chosen]
    return one.chosen[np.argsort(-lengths, kind="stable")[:size]]


def _evaluate(run: StageRun, model: Model) -> None:
    """A batch as large as evaluation makes them, for each task: one of its sets as often as fills it."""
    sets = picking_sets(run.stage, run.study, run.reader) or final_sets(run.stage, run.study, run.reader, set())
    for index, one in dict(reversed(sets)).items():
        copies = -(-EVAL_TOKENS[run.device.type] // max(1, int(one.features.input_ids.lengths.sum())))
        predict(model, run.tasks[index], [one.features] * copies, run.readout(index))
