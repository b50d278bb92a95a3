"""A stage tried before it costs anything.

Memory. The largest update and the largest evaluation batch, done once: what memory a stage takes at its most.

Sameness. The longest examples go through a real update, an evaluation batch, a save and a reload, and what must be the
same is compared: padded and alone, training mode without dropout and evaluation mode, saved and in memory, and the
stage's states and those of plain transformers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raystilts.errors import UserError
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.stage import Stage
from raystilts.study.schema import Study
from raystilts.tasks.encoding import Features, Longs
from raystilts.training.adapters import with_changes
from raystilts.training.batches import Update, example_lengths
from raystilts.training.collate import Batch, collate
from raystilts.training.data import (
    MixturePart,
    final_sets,
    first_sets,
    picking_sets,
    stage_masked_lm,
    training_sets,
)
from raystilts.training.encoder import load_weights, open_model, tokenizer_notes
from raystilts.training.evaluate import predict
from raystilts.training.fast_ops import BIDIRECTIONAL
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
            _evaluate(run, _bare(run))
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


def _longest(one: MixturePart, size: int) -> Longs:
    """The examples of most sub-words, at most `size` of them."""
    lengths = example_lengths(one.features)[one.chosen]
    return one.chosen[np.argsort(-lengths, kind="stable")[:size]]


def _evaluate(run: StageRun, model: Model) -> None:
    """A batch as large as evaluation makes them, for each task: one of its sets as often as fills it."""
    sets = picking_sets(run.stage, run.study, run.reader) or final_sets(run.stage, run.study, run.reader, set())
    for index, one in dict(reversed(sets)).items():
        copies = -(-EVAL_TOKENS[run.device.type] // max(1, int(one.features.input_ids.lengths.sum())))
        predict(model, run.tasks[index], [one.features] * copies, run.readout(index))


#: Examples an update of the comparison, at most: enough to pad, few enough for a CPU.
EXAMPLES = 4
#: The share of their spread by which states that must be the same may differ: rounding, of TF32 on a GPU.
TOLERANCE = {"cpu": 1e-3, "cuda": 2e-2}
#: Kinds of heads that read single tokens, in words.
_WORDWISE = {"token": "tagging", "span": "span QA"}
#: The share of unknown tokens, special ones left out, above which a tokenizer does not know what it reads.
UNKNOWN = 1 / 3


def compare_stage(
    stage: Stage, study: Study, *, device: str, threads: int = 1, encoder: EncoderInfo | None = None
) -> list[str]:
    """Takes a stage's longest examples through an update, an evaluation, a save and a reload; nothing is kept.

    Returns:
        What the user should know, a sentence each.

    Raises:
        UserError: something that must be the same is not, or data or encoder cannot be used.
    """
    torch.set_num_threads(threads)
    few = study.evaluation.model_copy(update={"max_dev_samples": EXAMPLES, "max_test_samples": EXAMPLES})
    study = study.model_copy(update={"evaluation": few})
    with tempfile.TemporaryDirectory(prefix="raystilts-rehearsal-") as folder:
        run = StageRun(stage, study, folder, torch.device(device), threads, encoder, 1.0)
        where = f"{stage.target or stage.intermediate.label} ({stage.kind})"
        scored = first_sets(stage, study, run.reader)
        if stage.kind == "retrieval":
            run.model = _bare(run)
            features = [one.features for _, one in scored]
        else:
            sets = training_sets(stage, study, run.reader)
            features = [one.features for one in sets]
            updates = [Update(i, _longest(one, EXAMPLES)) for i, one in enumerate(sets)]
            with run.training(sets, updates, None) as job:
                job.evaluate, job.stop_at = lambda step: (None, []), None
                train(job)
                for one in features:
                    _check_training_mode(run, _few(run, one), where)
        run.model.eval()
        for index, scored_set in scored:
            predict(run.model, stage.tasks[index].task, [scored_set.features], run.readout(index))
        batches = [_few(run, one) for one in features]
        for one, batch in zip(features, batches, strict=True):
            _check_known_words(run, one, where)
            _check_padding(run, batch, where)
        _check_saved(run, batches, where)
        if run.loaded.info.pooling == "first":
            _check_first_token(run, batches[0], where)
        return _notes(run, stage)


def _bare(run: StageRun) -> Model:
    """The pretrained encoder without a head."""
    encoder = run.loaded.restore(None, run.device)
    return Model(encoder, [], padding_free=run.hp.padding_free).to(run.device)


def _notes(run: StageRun, stage: Stage) -> list[str]:
    notes, info = tokenizer_notes(run.loaded), run.loaded.info
    if stage_masked_lm(stage) is not None and not run.loaded.lm_head:
        notes.append(f"masked LM starts from a fresh head: {info.location} holds none that could be read")
    weaker = sorted(_WORDWISE[one.task.type.head] for one in stage.tasks if one.task.type.head in _WORDWISE)
    if weaker and info.architecture is not None and info.architecture.family == "decoder":
        kind = f"{info.architecture.model_type} is a decoder"
        notes.append(f"{kind}: no token sees what follows it, which makes {' and '.join(weaker)} weaker")
    return notes


def _few(run: StageRun, features: Features) -> Batch:
    """The longest sequence, the shortest and some between them, padded, without labels."""
    order = np.argsort(features.input_ids.lengths, kind="stable")
    rows = np.unique(order[np.linspace(0, len(order) - 1, EXAMPLES).astype(np.int64)])
    batch = collate(features, rows, run.loaded.words.facts.pad_id).to(run.device)
    return replace(batch, labels=None)


def _same(run: StageRun, found: Tensor, expected: Tensor, mask: Tensor, where: str, what: str) -> None:
    """Compares states [features, length, hidden] where the mask [features, length] has tokens.

    Raises:
        UserError: they differ by more than rounding.
    """
    one, other = found[mask.bool()].float(), expected[mask.bool()].float()
    spread = float(other.std()) or 1.0
    difference = float((one - other).abs().mean()) / spread
    if not difference <= TOLERANCE[run.device.type]:
        raise UserError(
            f"rehearsal of {where}: {what}: states of {run.loaded.info.location} differ by {difference:.1%} of their "
            "spread; nothing was trained"
        )


@torch.no_grad()
def _check_padding(run: StageRun, batch: Batch, where: str) -> None:
    together = run.model.states(batch)
    for row, length in enumerate(batch.attention_mask.sum(1).tolist()):
        types = None if batch.token_type_ids is None else batch.token_type_ids[row : row + 1, :length]
        mask = batch.attention_mask[row : row + 1, :length]
        alone = run.model.states(Batch(batch.input_ids[row : row + 1, :length], mask, types, None, padded=False))
        _same(run, together[row : row + 1, :length], alone, mask, where, "a sequence padded and the same alone")


@torch.no_grad()
def _check_training_mode(run: StageRun, batch: Batch, where: str) -> None:
    with without_dropout(run.model):
        training = run.model.train().states(batch)
        evaluating = run.model.eval().states(batch)
        run.model.train()
    _same(run, training, evaluating, batch.attention_mask, where, "training without dropout and evaluation")


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Every dropout of a model and its configuration at zero, then as it was."""
    changed: list[tuple[Any, str, float]] = []
    for module in model.modules():
        for owner in (module, getattr(module, "config", None)):
            for name, value in vars(owner).items() if owner is not None else ():
                if (
                    isinstance(value, float)
                    and value
                    and ("drop" in name or (isinstance(owner, nn.Dropout) and name == "p"))
                ):
                    changed.append((owner, name, value))
    try:
        for owner, name, _ in changed:
            setattr(owner, name, 0.0)
        yield
    finally:
        for owner, name, value in changed:
            setattr(owner, name, value)


@torch.no_grad()
def _check_saved(run: StageRun, batches: list[Batch], where: str) -> None:
    """What is saved opens as it was, in this program and in transformers."""
    before = [run.model.states(batch) for batch in batches]
    heads = {name: tensor.clone() for name, tensor in run.model.heads.state_dict().items()}
    saved = run.checkpoints.save("rehearsal", run.model, run.loaded, {})
    run.loaded.restore(None, run.device)
    run.loaded.restore(saved, run.device)
    exact = all(torch.equal(run.model.states(batch), one) for batch, one in zip(batches, before, strict=True))
    if not exact or any(not torch.equal(t.cpu(), heads[n].cpu()) for n, t in load_weights(saved / "heads").items()):
        raise UserError(f"rehearsal of {where}: what was saved is not what was trained; nothing was trained")
    model = _opened_plainly(run, saved, where).to(run.device).eval()
    for batch, expected in zip(batches, before, strict=True):
        types = batch.token_type_ids if getattr(run.loaded.config, "type_vocab_size", 0) else None
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        given |= {} if types is None else {"token_type_ids": types}
        states = model(**given).last_hidden_state
        _same(run, expected, states, batch.attention_mask, where, "here and in plain transformers")


def _opened_plainly(run: StageRun, saved: Path, where: str) -> Any:
    """What transformers makes of a checkpoint; of an adapter's, on the pretrained encoder, peft.

    Raises:
        UserError: weights are missing.
    """
    attention = BIDIRECTIONAL if run.loaded.info.bidirectional else "eager"
    if run.model.changes is not None:
        model = open_model(run.loaded.info, attn_implementation=attention)
        return with_changes(model, saved, len(run.model.changes))
    plain: Any = type(run.model.encoder)
    model, loading = plain.from_pretrained(saved, attn_implementation=attention, output_loading_info=True)
    missing = sorted(name for name in loading["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise UserError(
            f"rehearsal of {where}: transformers finds no {missing[0]} in what was saved; nothing was trained"
        )
    return model


@torch.no_grad()
def _check_first_token(run: StageRun, batch: Batch, where: str) -> None:
    """Raises UserError where a first token sees no other, in a decoder whose type is not known as one."""
    ids = batch.input_ids[-1:, : int(batch.attention_mask[-1].sum())]
    if ids.shape[1] < 2:
        return
    other = ids.clone()
    other[0, -1] = ids[0, 0]
    one, two = (
        run.model.states(Batch(given, torch.ones_like(given), None, None, padded=False)) for given in (ids, other)
    )
    if torch.equal(one[0, 0], two[0, 0]) and not torch.equal(ids, other):
        raise UserError(
            f"rehearsal of {where}: the first token of {run.loaded.info.location} sees no other; set encoder.pooling "
            "to last or mean; nothing was trained"
        )


def _check_known_words(run: StageRun, features: Features, where: str) -> None:
    """Raises UserError where the tokenizer does not know most of what it reads."""
    tokenizer, ids = run.loaded.tokenizer, features.input_ids.values
    ids = ids[~np.isin(ids, [one for one in tokenizer.all_special_ids if one != tokenizer.unk_token_id])]
    share = float((ids == tokenizer.unk_token_id).mean()) if len(ids) else 0.0
    if share > UNKNOWN:
        raise UserError(
            f"rehearsal of {where}: {share:.0%} of its tokens are unknown to the tokenizer of "
            f"{run.loaded.info.location}; nothing was trained"
        )
