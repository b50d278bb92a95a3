"""One stage, from its parent's weights to its scores: a plain function, without Ray."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from raystilts.errors import UserError
from raystilts.study.amount import counted_rows, steps_of, task_weights
from raystilts.study.data import data_folder, dev_languages, masked_lm_task, picking_languages, target_languages
from raystilts.study.encoders import EncoderInfo, describe_encoder
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.plan import Stage
from raystilts.study.schema import Study
from raystilts.tasks.features import Features, Longs
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Split, Task
from raystilts.training.alignment import Aligner, DomainHead
from raystilts.training.batches import (
    aligned_batches,
    example_lengths,
    mix,
    mixture_order,
    smoothed_batches,
    subset,
    text_first,
    training_batches,
)
from raystilts.training.data import DataReader, used_tokens
from raystilts.training.embedding import compact_rows
from raystilts.training.encoder import Pretrained, pretrained
from raystilts.training.evaluate import EvalSet, Readout, evaluate
from raystilts.training.heads import Head
from raystilts.training.loop import Job, Progress, Vocabulary, train
from raystilts.training.model import Model, build_head
from raystilts.training.remote import open_checkpoints
from raystilts.training.result import Score, StageResult

#: Padded tokens a batch in evaluation.
EVAL_TOKENS = {"cpu": 4096, "cuda": 131072}


def run_stage(
    stage: Stage,
    study: Study,
    folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    threads: int = 1,
    encoder: EncoderInfo | None = None,
    until: float = 1.0,
) -> StageResult:
    """Trains (where the weights are not there yet) and scores one stage.

    A training that was interrupted goes on from its last snapshot. On a CPU the same stage gives the same bits for
    the same versions, number of threads and type of CPU.

    With `until` below 1 it pauses at a rung: the first update at or after that share of the budget at which it is
    evaluated anyway (`Evaluation.rung`), so that segments change nothing. Everything is kept, and a later call goes on
    bit for bit. The result then has `paused_at`, and the scores so far; a stage whose rung is its last update ends.

    Args:
        stage: A stage of `plan(study)`; its parent must have run.
        folder: Where checkpoints are kept: a path or a URI.
        device: A torch device.
        threads: CPU threads.
        encoder: The encoder as the plan found it; default `describe_encoder(study.encoder)`.
        until: Share of the budget to train for, in (0, 1].

    Raises:
        UserError: data, encoder or parent that cannot be used.
        TrainingDiverged: the loss is no longer a number.
        TimeoutError: the stage took longer than the study's `time_limit_s`.
    """
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    return _StageRun(stage, study, folder, torch.device(device), threads, encoder, until).run()


@dataclass(slots=True)
class _Part:
    """One part of a training: a task with its features and the chosen share of its examples.

    Attributes:
        languages: Examples of each language, where they are drawn by the smoothed sizes of the languages.
    """

    task: Task
    hyperparameters: Hyperparameters
    features: Features
    chosen: Longs
    languages: tuple[int, ...] = ()


_READERS: dict[tuple[str, str], DataReader] = {}


def _reader(loaded: Pretrained, data: Path | None) -> DataReader:
    """The process's reader for an encoder and a data folder; one at a time is kept."""
    key = (loaded.info.fingerprint, str(data))
    if key not in _READERS:
        _READERS.clear()
        _READERS[key] = DataReader(loaded, data)
    return _READERS[key]


class _StageRun:
    """The pieces of one stage's run."""

    def __init__(
        self,
        stage: Stage,
        study: Study,
        folder: str | Path,
        device: torch.device,
        threads: int,
        encoder: EncoderInfo | None,
        until: float,
    ) -> None:
        self.stage, self.study, self.device, self.threads = stage, study, device, threads
        self.until = until
        self.started = time.monotonic()
        self.deadline = None if study.time_limit_s is None else self.started + study.time_limit_s
        self.checkpoints = open_checkpoints(folder)
        self.loaded = pretrained(encoder or describe_encoder(study.encoder))
        self.reader = _reader(self.loaded, data_folder(study))
        names = (stage.target,) if stage.target else stage.intermediate.tasks
        self.tasks = [get_task(name) for name in names]
        self.hp = study.hyperparameters.resolve(stage.target or stage.intermediate.label)
        self.steps = 0
        self.eval_seconds = 0.0

    def run(self) -> StageResult:
        """Trains if need be, then scores."""
        trains = self.stage.kind != "retrieval"
        done = self.checkpoints.find(self.stage.train_key) if trains else None
        progress = self._train() if trains and done is None else self._load(done)
        if trains and done is None and progress.step < self.steps:
            return self._paused(progress)
        scores = [Score(**record) for record in progress.records]
        scores = [replace(s, is_final=s.step == progress.best_step) for s in scores]
        known = {(s.task, s.split, s.language) for s in scores if s.is_final}
        scores += self._score(self._final_sets(known), progress.best_step, final=True)
        kept = self._finish(progress, done)
        return self._result(progress, scores, done is None and trains, kept)

    def _paused(self, progress: Progress) -> StageResult:
        """What is known at the rung; its snapshot may stand further on, where a longer training was interrupted."""
        rung = self.study.evaluation.rung(self.until, self.steps)
        scores = [Score(**record) for record in progress.records if record["step"] <= rung]
        result = self._result(progress, scores, True, None)
        there = [s for s in scores if s.step == rung]
        return replace(result, dev_score=mean_dev(there), dev_means=dev_means(there), paused_at=self.until)

    def _load(self, done: Path | None) -> Progress:
        """The weights of an earlier training of this stage, or of the parent where there is nothing to train."""
        source = done if done is not None else self._parent()
        encoder = self.loaded.restore(source, self.device)
        heads = [] if self.stage.kind == "retrieval" else [*self._heads(), *self._domain_head()]
        self.model = Model(encoder, heads).to(self.device)
        if done is None:
            return Progress()
        self.checkpoints.load_heads(done, self.model.heads)
        facts = self.checkpoints.facts(done)
        self.steps = int(facts["steps"])
        return Progress(
            best_step=int(facts["best_step"]),
            step=self.steps,
            losses=facts["losses"],
            examples=facts["examples"],
            tokens=facts["tokens"],
            micro_batch=facts["micro_batch"],
            # A worker that was killed before its rows were written is to leave the same rows as one that was not.
            records=facts.get("records", []) if facts.get("evaluation") == self.stage.eval_key else [],
        )

    def _parent(self) -> Path | None:
        if self.stage.parent_train_key is None:
            return None
        found = self.checkpoints.find(self.stage.parent_train_key)
        if found is None:
            raise UserError(
                f"the checkpoint of intermediate {self.stage.intermediate.label!r} (seed {self.stage.seed}) is not in "
                f"{self.checkpoints.folder}; run its stage first"
            )
        return found

    def _heads(self) -> list[Head]:
        tasks = list(self.tasks)
        if self.stage.kind == "intermediate" and self.stage.intermediate.masked_lm:
            tasks.append(masked_lm_task(self.stage.intermediate.masked_lm))
        pooling, seed = self.study.encoder.pooling, self.stage.seed or 0
        return [build_head(task, self.loaded, pooling, seed * 101 + i) for i, task in enumerate(tasks)]

    def _domain_head(self) -> list[DomainHead]:
        """The classifier of domains of an arm that is aligned by one."""
        align = self.stage.intermediate.align if self.stage.kind == "intermediate" else None
        adversarial = align is not None and align.loss == "adversarial"
        return [DomainHead(self.loaded.hidden, (self.stage.seed or 0) * 101 + 97)] if adversarial else []

    def _aligner(self, heads: list[DomainHead], steps: int) -> Aligner | None:
        """What an arm's training is aligned with, if it is."""
        align = self.stage.intermediate.align if self.stage.kind == "intermediate" else None
        if align is None:
            return None
        features = self.reader.training(get_task(align.to), self.study.hyperparameters.resolve(align.to))
        examples = aligned_batches(features.num_examples, self.hp, self.stage.seed or 0, steps)
        return Aligner(align, features, examples, len(self.tasks), heads[0] if heads else None)

    def _train(self) -> Progress:
        assert self.stage.seed is not None
        encoder = self.loaded.restore(self._parent(), self.device)
        heads, domain = self._heads(), self._domain_head()
        parts, fraction, hold = self._parts()
        masked_lm = self.stage.kind == "intermediate" and self.stage.intermediate.masked_lm is not None
        vocabulary = self._vocabulary()
        features = [part.features for part in parts]
        if masked_lm and vocabulary.mask_id is None:
            raise UserError(f"{self.loaded.info.location}: its tokenizer has no mask token; leave masked_lm out")
        updates = self._updates(parts, fraction, hold)
        aligner = self._aligner(domain, len(updates))
        seen = features if aligner is None else [*features, aligner.features]
        used = None if masked_lm else torch.from_numpy(used_tokens(seen, (vocabulary.pad_id,)))
        with compact_rows(encoder, used):
            self.model = Model(encoder, [*heads, *domain]).to(self.device)
            key = self.stage.train_key
            self.checkpoints.fetch_snapshot(key)
            job = Job(
                model=self.model,
                features=features,
                updates=updates,
                hyperparameters=self.hp,
                vocabulary=vocabulary,
                seed=self.stage.seed,
                every=self.study.evaluation.every(len(updates)),
                evaluate=self._evaluate,
                snapshot=self.checkpoints.snapshot(key),
                snapshot_seconds=self.study.snapshot_s,
                on_snapshot=lambda: self.checkpoints.push_snapshot(key),
                stop_at=self.study.evaluation.rung(self.until, len(updates)),
                deadline=self.deadline,
                aligner=aligner,
            )
            progress = train(job)
        if not progress.best_step:
            progress.best_step = progress.step
        return progress

    def _parts(self) -> tuple[list[_Part], float, Any]:
        """What is trained on: the tasks, then the plain text if there is any."""
        assert self.stage.seed is not None
        target = self.stage.kind == "target"
        axis = self.study.target_fractions if target else self.study.intermediate_fractions
        fraction = self.stage.target_fraction if target else self.stage.intermediate_fraction
        assert fraction is not None
        parts = []
        for task in self.tasks:
            hp = self.study.hyperparameters.resolve(task.name)
            features = self.reader.training(task, hp)
            parts.append(_Part(task, hp, features, subset(features.num_examples, fraction, self.stage.seed)))
        masked_lm = None if target else self.stage.intermediate.masked_lm
        if masked_lm is not None:
            text = masked_lm_task(masked_lm)
            hp = Hyperparameters(max_length=self.hp.max_length)
            languages: tuple[int, ...] = ()
            if masked_lm.text_of is not None:
                whole = self.study.hyperparameters.resolve(masked_lm.text_of)
                features = self.reader.text_of(get_task(masked_lm.text_of), whole, self.hp.max_length)
            elif masked_lm.smoothing == 1:
                features = self.reader.training(text, hp)
            else:
                features, languages = self.reader.text(masked_lm, hp)
            everything = subset(features.num_examples, 1.0, self.stage.seed)
            parts.append(_Part(text, hp, features, everything, languages))
        return parts, fraction, axis.hold

    def _updates(self, parts: list[_Part], fraction: float, hold: Any) -> list[Any]:
        """The fixed list of updates of this training."""
        arm = self.stage.intermediate if self.stage.kind == "intermediate" else None
        masked_lm = arm.masked_lm if arm else None
        rows = [p.features.num_examples for p in parts[: len(self.tasks)]]
        self.steps = steps_of(arm, rows, fraction, hold, self.hp)
        weights = [1.0]
        if arm and rows:
            weights = task_weights(arm, counted_rows(arm, rows, fraction, "epochs"))
        if masked_lm is not None:
            share = masked_lm.probability if rows else 1.0
            total = sum(weights) if rows else 1.0
            weights = [w / total * (1 - share) for w in weights] if rows else []
            weights.append(share)
        seed = self.stage.seed or 0
        order = mixture_order(weights, self.steps, seed)
        if masked_lm is not None and masked_lm.when == "before":
            order = text_first(order, len(rows))
        counts = [int((order == i).sum()) for i in range(len(parts))]
        return mix(order, [self._stream(p, seed, count) for p, count in zip(parts, counts, strict=True)])

    def _stream(self, part: _Part, seed: int, steps: int) -> list[Longs]:
        """The batches of one part, as many as it has updates."""
        if not part.languages:
            return training_batches(part.chosen, example_lengths(part.features), self.hp, seed, steps)
        masked_lm = self.stage.intermediate.masked_lm
        assert masked_lm is not None
        return smoothed_batches(part.languages, masked_lm.smoothing, self.hp, seed, steps)

    def _vocabulary(self) -> Vocabulary:
        tokenizer = self.loaded.tokenizer
        size = int(self.loaded.model.get_input_embeddings().num_embeddings)  # type: ignore[operator]
        return Vocabulary(tokenizer.pad_token_id, tokenizer.mask_token_id, tuple(tokenizer.all_special_ids), size)

    def _evaluate(self, step: int) -> tuple[float | None, list[dict[str, Any]]]:
        """Scores on the dev data that picks the checkpoint."""
        scores = self._score(self._picking_sets(), step, final=False)
        return mean_dev(scores), [score.to_dict() for score in scores]

    def _picking_languages(self, task: Task) -> tuple[str, ...]:
        return dev_languages(task, ()) if self.stage.kind == "intermediate" else picking_languages(self.study, task)

    def _picking_sets(self) -> list[tuple[int, EvalSet]]:
        return [
            (i, self._set(task, "dev", language))
            for i, task in enumerate(self.tasks)
            for language in self._picking_languages(task)
        ]

    def _final_sets(self, known: set[tuple[str, str, str]]) -> list[tuple[int, EvalSet]]:
        """Everything that the stage is to score, less what is already known of the final weights."""
        wanted: list[tuple[int, Split, str]] = []
        for i, task in enumerate(self.tasks):
            languages = target_languages(self.study, task.name) if self.stage.target else ()
            wanted += [(i, "dev", language) for language in dev_languages(task, languages)]
            wanted += [(i, "test", language) for language in languages]
            wanted += [(i, "pool", language) for language in task.split_languages("pool")]
        return [
            (i, self._set(self.tasks[i], split, language))
            for i, split, language in wanted
            if (self.tasks[i].name, split, language) not in known
        ]

    def _set(self, task: Task, split: Split, language: str) -> EvalSet:
        evaluation = self.study.evaluation
        short = split == "dev" and not task.type.calibrates
        limit = evaluation.max_dev_samples if short else evaluation.max_test_samples
        hp = self.study.hyperparameters.resolve(task.name)
        return self.reader.evaluation(task, split, language, limit, hp)

    def _score(self, sets: list[tuple[int, EvalSet]], step: int, *, final: bool) -> list[Score]:
        begin = time.monotonic()
        found: list[Score] = []
        for i, task in enumerate(self.tasks):
            own = [one for part, one in sets if part == i]
            if own:
                values = evaluate(self.model, task, own, self._readout(i))
                for one, scores in zip(own, values, strict=True):
                    found += [
                        Score(task.name, one.split, one.language, metric, value, step, task.type.item_count(one.rows),
                              metric == task.main_score, final)
                        for metric, value in scores.items()
                    ]  # fmt: skip
        self.eval_seconds += time.monotonic() - begin
        return found

    def _readout(self, part: int) -> Readout:
        layer = self.study.encoder.retrieval_layer
        if layer is None:
            layer = 14 if self.loaded.layers == 24 else self.loaded.layers // 2
        return Readout(
            part=part,
            layer=layer,
            pad_id=self.loaded.tokenizer.pad_token_id,
            tokens=EVAL_TOKENS[self.device.type],
            bf16=self.hp.bf16,
            deadline=self.deadline,
            pooling=self.study.encoder.retrieval_pooling,
        )

    def _finish(self, progress: Progress, done: Path | None) -> Path | None:
        """Keeps the weights where the study wants them, and removes the training in progress."""
        kind = self.stage.kind
        wanted = kind == "intermediate" or (kind == "target" and self.study.keep_targets != "none")
        if wanted and done is None:
            facts = {
                "best_step": progress.best_step,
                "steps": self.steps,
                "losses": progress.losses,
                "examples": progress.examples,
                "tokens": progress.tokens,
                "micro_batch": progress.micro_batch,
                "evaluation": self.stage.eval_key,
                "records": progress.records,
            }
            done = self.checkpoints.save(self.stage.train_key, self.model, self.loaded, facts)
        self.checkpoints.drop_snapshot(self.stage.train_key)
        return done

    def _result(self, progress: Progress, scores: list[Score], trained: bool, kept: Path | None) -> StageResult:
        picked = [s for s in scores if s.is_final and s.language in self._languages_of(s.task)]
        total = time.monotonic() - self.started
        return StageResult(
            scores=tuple(scores),
            dev_score=mean_dev(picked),
            dev_means=dev_means(picked),
            losses=tuple(progress.losses),
            steps_done=progress.step,
            steps_planned=self.steps,
            best_step=progress.best_step,
            examples=progress.examples,
            tokens=progress.tokens,
            micro_batch=progress.micro_batch,
            train_seconds=total - self.eval_seconds if trained else 0.0,
            eval_seconds=self.eval_seconds,
            threads=self.threads,
            device=device_name(self.device),
            precision="bf16" if self.hp.bf16 else "fp32",
            trained=trained,
            checkpoint=None if kept is None else self.checkpoints.place(self.stage.train_key),
        )

    def _languages_of(self, name: str) -> tuple[str, ...]:
        return self._picking_languages(next(task for task in self.tasks if task.name == name))


def mean_dev(scores: list[Score]) -> float | None:
    """The mean main score over tasks and languages on dev; None where there is none."""
    values = [s.value for s in scores if s.split == "dev" and s.is_main]
    # Exact, so that the same scores in another order, as the ledger gives them, have the same mean.
    return math.fsum(values) / len(values) if values else None


def dev_means(scores: list[Score]) -> dict[str, float]:
    """Each metric's mean over tasks and languages on dev."""
    values: dict[str, list[float]] = {}
    for score in scores:
        if score.split == "dev":
            values.setdefault(score.metric, []).append(score.value)
    return {metric: math.fsum(found) / len(found) for metric, found in values.items()}


def device_name(device: torch.device) -> str:
    """The type of a device as tables give it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "cpu"
