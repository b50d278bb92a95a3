"""The training loop: one pass over a fixed list of updates, the same bits wherever it is interrupted."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LRScheduler

from raystilts.memory import trim_memory
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Longs
from raystilts.training.alignment import Aligner, AlignmentGradient, alignment_gradients
from raystilts.training.batches import Update
from raystilts.training.checkpoints import Snapshot, load_snapshot, save_snapshot
from raystilts.training.collate import Batch, collate, features_of, mask_tokens, micro_batches
from raystilts.training.limits import ENDED_EARLY, UNLIMITED, Limits
from raystilts.training.memory import is_out_of_memory, release_memory
from raystilts.training.model import CompactEmbedding, MaskedLMHead, Model, label_count

#: Examples, and sub-words with padding, a forward pass on a CPU, at most: sorted by length within the batch, small ones
#: waste little on padding, and what layers hand on stays in the caches, also where two stages share them.
CPU_MICRO_BATCH = 8
CPU_MICRO_TOKENS = 384
#: Least time between two moments at which a CPU gets freed memory back: to take it again costs a tenth of a second.
TRIM_SECONDS = 10.0


class TrainingDiverged(RuntimeError):  # noqa: N818 (says what happened)
    """The loss is no longer a number."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What masking and padding need of a tokenizer."""

    pad_id: int
    mask_id: int | None
    special_ids: tuple[int, ...]
    size: int


class Watcher(Protocol):
    """Who is told how a training is getting on; it changes nothing of it."""

    def resumed(self, progress: Progress) -> None:
        """The training goes on from a snapshot; what that holds was told before."""
        ...

    def is_due(self) -> bool:
        """Whether it is time for a report outside evaluations."""
        ...

    def report(self, progress: Progress) -> None:
        """How far the training is."""
        ...


@dataclass(slots=True)
class Job:
    """One training.

    Attributes:
        features: Training features of each task of the mixture.
        updates: What each update takes.
        every: Updates between evaluations.
        evaluate: Given the number of updates done, the dev score that picks the checkpoint (None where there is
            none) and what to keep of the evaluation.
        snapshot: Folder of the training in progress, or None to keep none.
        snapshot_seconds: Least time between two snapshots; 0 for one after each update. Where a snapshot takes
            long they are further apart: at most a twentieth of the time goes into them.
        on_snapshot: Called after each snapshot.
        stop_at: Updates after which the training pauses with a snapshot; None for its end. An evaluated step, so
            that the pause changes nothing.
        limits: When the training is to end early; it keeps a snapshot then.
        aligner: Another domain that the encoder's states are drawn towards, or None.
        watcher: Told after each evaluation, before each snapshot, and in between where it is due; or None.
    """

    model: Model
    features: list[Features]
    updates: list[Update]
    hyperparameters: Hyperparameters
    vocabulary: Vocabulary
    seed: int
    every: int
    evaluate: Callable[[int], tuple[float | None, list[dict[str, Any]]]]
    snapshot: Path | None = None
    snapshot_seconds: float = 120.0
    on_snapshot: Callable[[], None] | None = None
    stop_at: int | None = None
    limits: Limits = UNLIMITED
    aligner: Aligner | None = None
    watcher: Watcher | None = None


@dataclass(slots=True)
class Progress:
    """How far a training is, and what it has seen.

    Attributes:
        losses: Mean loss of each update.
        best_step: Updates after which the dev score was best, 0 before the first evaluation.
        tokens: Sub-words trained on, without padding.
        micro_batch: Examples a forward pass, at most.
        records: What the evaluations so far kept.
        evaluated: The last step that was evaluated.
        without_gain: Evaluations in a row that were no better than those before by more than the threshold.
        ended_early: Whether it ended before its last update, for lack of patience.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    best_step: int = 0
    best_score: float = -math.inf
    examples: int = 0
    tokens: int = 0
    micro_batch: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    evaluated: int = 0
    highest: float = -math.inf
    without_gain: int = 0
    ended_early: bool = False


def train(job: Job) -> Progress:
    """Trains the model in place; it ends with its best or last weights, as the hyperparameters say.

    Where memory runs out the micro-batch is halved and the update done again: the batch, and so the training, stays
    what it was.

    A training with `stop_at` ends there with fewer steps than updates; it goes on from its snapshot.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        TimeoutError: past the deadline; a snapshot is kept, also where this was inside an evaluation.
        StageInterrupted: the run is asked to stop; likewise.
        torch.OutOfMemoryError, RuntimeError: not even one example fits into memory.
    """
    return _Training(job).run()


class _Training:
    """The state of one training."""

    def __init__(self, job: Job) -> None:
        self.job, self.hp = job, job.hyperparameters
        self.device = next(job.model.parameters()).device
        self.named = {name: p for name, p in job.model.named_parameters() if p.requires_grad}
        self.optimizer = _optimizer(job.model, self.named, self.hp, self.device)
        # Now, and not in the first step: memory that runs out in the middle of a step cannot be helped.
        for parameter in self.named.values():
            self.optimizer.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=self.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        self.schedule = _schedule(self.optimizer, self.hp, len(job.updates))
        self.best: dict[str, Tensor] = {}
        cpu = self.device.type == "cpu"
        size = self.hp.per_device_train_batch_size
        self.progress = Progress(micro_batch=min(self.hp.batch, CPU_MICRO_BATCH) if cpu else size)
        self.pending: list[Tensor] = []
        self.saved_at = time.monotonic()
        self.pause = 0.0
        self.trimmed_at = time.monotonic()

    def run(self) -> Progress:
        # A stage that failed in the middle of an update may have left its gradients on the encoder that is kept warm.
        self.optimizer.zero_grad(set_to_none=True)
        self._resume()
        self.job.model.train()
        stop_at = len(self.job.updates) if self.job.stop_at is None else self.job.stop_at
        if self._evaluate_if_due():  # which an interruption had cut short
            self._save_if_due(now=self.progress.step == stop_at)
        while self.progress.step < stop_at and not self.progress.ended_early:
            self._update(self.job.updates[self.progress.step])
            self.progress.step += 1
            self._evaluate_if_due()
            self._save_if_due(now=self.progress.step == stop_at)
            self._report_if_due()
            if self.progress.step < stop_at:
                with self._kept_if_ended_early():
                    self.job.limits.check()
        if self.progress.step < len(self.job.updates) and not self.progress.ended_early:
            return self.progress
        if self.best:
            with torch.no_grad():
                for name, tensor in self.best.items():
                    self.named[name].copy_(tensor)
        return self.progress

    def _update(self, update: Update) -> None:
        features = self.job.features[update.task_index]
        counted = features_of(features, update.examples)
        self.progress.examples += len(update.examples)
        self.progress.tokens += int(features.input_ids.lengths[counted].sum())
        loss = self._gradients(update)
        while loss is None:
            self.optimizer.zero_grad(set_to_none=True)
            release_memory()
            self.progress.micro_batch //= 2
            loss = self._gradients(update)
        if self.hp.max_grad_norm > 0:
            nn.utils.clip_grad_norm_(self.named.values(), self.hp.max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.pending.append(loss)

    def _gradients(self, update: Update) -> Tensor | None:
        """The update's loss, its gradients in place; None where a smaller micro-batch may fit into memory."""
        # A seed a step: a training that goes on after an interruption draws the same dropout.
        torch.manual_seed((self.job.seed + 1) * 1_000_003 + self.progress.step)
        try:
            batches = self._micro_batches(update)
            total = max(1, sum(label_count(self.job.model.head(update.task_index), b) for b in batches))
            loss = torch.zeros((), device=self.device)
            alignments = self._alignment(update, batches)
            # Weights are cast once for all micro-batches, not for each: torch keeps casts while a context is open.
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.hp.bf16):
                for batch, alignment in zip(batches, alignments, strict=True):
                    self._trim_if_due()
                    loss += self._backward(batch.to(self.device), update.task_index, total, alignment)
        except (RuntimeError, MemoryError) as error:
            if self.progress.micro_batch > 1 and is_out_of_memory(error):
                return None  # and with it the error, whose traceback holds on to the tensors
            raise
        return loss

    def _trim_if_due(self) -> None:
        """Gives back what allocators keep of states between layers: each micro-batch has sizes of its own."""
        if self.device.type == "cpu" and time.monotonic() - self.trimmed_at >= TRIM_SECONDS:
            trim_memory()
            self.trimmed_at = time.monotonic()

    def _backward(self, batch: Batch, task_index: int, total: int, alignment: AlignmentGradient | None) -> Tensor:
        """The loss of a micro-batch; called within autocast, which ends for losses and for the way back."""
        head = self.job.model.head(task_index)
        if alignment is not None:
            torch.manual_seed(alignment.seed)
        states = self.job.model.states(batch)
        scores = head(states, batch)
        with torch.autocast(self.device.type, enabled=False):
            loss = head.loss(scores, batch) / total
            whole = loss if alignment is None else loss + alignment.loss(states, batch)
            whole.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

    def _alignment(self, update: Update, batches: list[Batch]) -> list[AlignmentGradient] | list[None]:
        """What alignment asks of each micro-batch; nothing of masked LM, and nothing where there is none."""
        aligner, step = self.job.aligner, self.progress.step
        if aligner is None or update.task_index >= aligner.tasks:
            return [None] * len(batches)
        other = self._collated(aligner.features, aligner.examples[step])
        own, other = ([batch.to(self.device) for batch in side] for side in (batches, other))
        seed = (self.job.seed + 1) * 1_000_003 + step * 1_009
        progress = step / len(self.job.updates)
        return alignment_gradients(aligner, self.job.model, own, other, progress, seed, self.hp.bf16)

    def _micro_batches(self, update: Update) -> list[Batch]:
        """The update's examples, shortest first, as many at a time as the device takes."""
        vocabulary = self.job.vocabulary
        batches = self._collated(self.job.features[update.task_index], update.examples)
        if isinstance(self.job.model.head(update.task_index), MaskedLMHead):
            assert vocabulary.mask_id is not None
            generator = torch.Generator().manual_seed(self.job.seed * 1_000_003 + self.progress.step)
            special = torch.tensor(vocabulary.special_ids)
            batches = [mask_tokens(b, vocabulary.size, vocabulary.mask_id, special, generator) for b in batches]
        return batches

    def _collated(self, features: Features, examples: Longs) -> list[Batch]:
        """Examples in micro-batches, shortest first."""
        multiple, tokens = (1, CPU_MICRO_TOKENS) if self.device.type == "cpu" else (8, None)
        chunks = micro_batches(features, examples, self.progress.micro_batch, tokens)
        pad_id = self.job.vocabulary.pad_id
        return [collate(features, features_of(features, c), pad_id, multiple=multiple) for c in chunks]

    def _evaluate_if_due(self) -> bool:
        """Evaluates at the steps that are for it, once each; whether it did."""
        step = self.progress.step
        due = step > 0 and (step % self.job.every == 0 or step == len(self.job.updates))
        if due and step != self.progress.evaluated:
            with self._kept_if_ended_early():
                self._evaluate()
            self.progress.evaluated = step
            return True
        return False

    @contextmanager
    def _kept_if_ended_early(self) -> Iterator[None]:
        """A snapshot where the training ends within the block, with all updates so far."""
        try:
            yield
        except ENDED_EARLY:
            self._save()
            raise

    def _evaluate(self) -> None:
        self._collect_losses()
        score, records = self.job.evaluate(self.progress.step)
        self.progress.records += records
        self._report()
        self.job.model.train()
        if score is not None:
            self._count_patience(score)
        if score is None or not self.hp.load_best_model_at_end:
            return
        # The later of two equal scores: it has seen more.
        if score >= self.progress.best_score:
            self.progress.best_score, self.progress.best_step = score, self.progress.step
            last = self.progress.step == len(self.job.updates)
            self.best = {} if last else {n: p.detach().to("cpu", copy=True) for n, p in self.named.items()}

    def _count_patience(self, score: float) -> None:
        """As transformers' `EarlyStoppingCallback` counts."""
        progress, patience = self.progress, self.hp.early_stopping_patience
        better = score > progress.highest + self.hp.early_stopping_threshold
        progress.without_gain = 0 if better else progress.without_gain + 1
        progress.highest = max(progress.highest, score)
        last = progress.step == len(self.job.updates)
        progress.ended_early = patience is not None and progress.without_gain >= patience and not last

    def _collect_losses(self) -> None:
        """Brings the losses to the host, which waits for the device: so only now and then."""
        if self.pending:
            self.progress.losses += torch.stack(self.pending).double().tolist()
            self.pending.clear()
        if not all(math.isfinite(loss) for loss in self.progress.losses):
            raise TrainingDiverged(f"the loss is not finite by update {self.progress.step}")

    def _report(self) -> None:
        if self.job.watcher is not None:
            self.job.watcher.report(self.progress)

    def _report_if_due(self) -> None:
        if self.job.watcher is not None and self.job.watcher.is_due():
            self._collect_losses()
            self._report()

    def _save_if_due(self, *, now: bool) -> None:
        if self.progress.step == len(self.job.updates):
            return
        if now or time.monotonic() - self.saved_at >= max(self.job.snapshot_seconds, self.pause):
            self._save()

    def _save(self) -> None:
        if self.job.snapshot is None:
            return
        begin = time.monotonic()
        self._collect_losses()
        self._report()
        tensors: dict[str, Tensor] = {f"model.{name}": p for name, p in self.named.items()}
        tensors |= {f"best.{name}": p for name, p in self.best.items()}
        for name, parameter in self.named.items():
            moments = self.optimizer.state[parameter]
            tensors |= {f"{key}.{name}": moments[key] for key in moments}
        keys = [name for name in Progress.__slots__ if name != "step"]
        state = {name: getattr(self.progress, name) for name in keys}
        save_snapshot(self.job.snapshot, Snapshot(self.progress.step, state, tensors))
        if self.job.on_snapshot is not None:
            self.job.on_snapshot()
        self.saved_at = time.monotonic()
        self.pause = 20 * (self.saved_at - begin) if self.job.snapshot_seconds > 0 else 0.0

    def _resume(self) -> None:
        snapshot = load_snapshot(self.job.snapshot) if self.job.snapshot else None
        if snapshot is None:
            return
        # Before it was written down, a snapshot was only taken once its step had been evaluated.
        self.progress = Progress(step=snapshot.step, **{"evaluated": snapshot.step} | snapshot.state)
        if self.job.watcher is not None:
            self.job.watcher.resumed(self.progress)
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(snapshot.tensors[f"model.{name}"])
        for name, parameter in self.named.items():
            prefixes = ("exp_avg", "exp_avg_sq", "step")
            found = {k: snapshot.tensors[f"{k}.{name}"] for k in prefixes if f"{k}.{name}" in snapshot.tensors}
            if found:
                self.optimizer.state[parameter] = {k: t.to(self.device) for k, t in found.items()}
        self.best = {n.removeprefix("best."): t for n, t in snapshot.tensors.items() if n.startswith("best.")}
        # The schedule is a function of the number of updates: go to the one before, and step once.
        self.schedule.last_epoch = snapshot.step - 1
        with warnings.catch_warnings():  # torch cannot know that the optimiser has stepped before the interruption
            warnings.simplefilter("ignore", UserWarning)
            self.schedule.step()


def _optimizer(model: nn.Module, named: dict[str, nn.Parameter], hp: Hyperparameters, device: torch.device) -> AdamW:
    """AdamW; decay is for the weight matrices of layers and heads, not for embeddings, norms and biases."""
    embeddings = [part for part in model.modules() if isinstance(part, nn.Embedding | CompactEmbedding)]
    tables = {id(parameter) for part in embeddings for parameter in part.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        decays = parameter.ndim > 1 and "embedding" not in name and id(parameter) not in tables
        groups.setdefault((name.startswith("heads."), decays), []).append(parameter)
    rates = {False: hp.learning_rate, True: hp.head_learning_rate or hp.learning_rate}
    options = [
        {"params": parameters, "lr": rates[head], "weight_decay": hp.weight_decay if decays else 0.0}
        for (head, decays), parameters in groups.items()
    ]
    betas = (hp.adam_beta1, hp.adam_beta2)
    return AdamW(options, lr=hp.learning_rate, betas=betas, eps=hp.adam_epsilon, fused=device.type in ("cuda", "cpu"))


def _schedule(optimizer: AdamW, hp: Hyperparameters, steps: int) -> LRScheduler:
    from transformers import get_scheduler

    found: LRScheduler = get_scheduler(hp.lr_scheduler_type, optimizer, hp.warmup(steps), steps)
    return found
