"""One stage, from its parent's weights to its scores: a plain function, without Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raystilts.errors import UserError
from raystilts.memory import trim_memory
from raystilts.planning.data import data_folder
from raystilts.planning.encoders import EncoderInfo, describe_encoder
from raystilts.planning.stage import Stage
from raystilts.study.intermediate import Alignment
from raystilts.study.schema import Study
from raystilts.tasks.task import Task
from raystilts.training.adapters import Adapter, load_changes
from raystilts.training.alignment import Aligner, DomainHead
from raystilts.training.batches import Update, aligned_batches
from raystilts.training.checkpoints import open_checkpoints
from raystilts.training.data import (
    DataReader,
    IndexedSets,
    MixturePart,
    balanced_weights,
    final_sets,
    picking_sets,
    rows_digest,
    stage_masked_lm,
    training_sets,
    training_updates,
    used_tokens,
    warm_reader,
)
from raystilts.training.encoder import Pretrained, pretrained, word_embeddings
from raystilts.training.evaluate import EvalSet, Readout, evaluate_items
from raystilts.training.limits import ENDED_EARLY, UNLIMITED, Limits
from raystilts.training.loop import Job, Progress, Vocabulary, Watcher, train
from raystilts.training.made import LM_HEAD, made_weights, take_lm_head
from raystilts.training.memory import device_name
from raystilts.training.model import Head, Model, build_head, compact_rows
from raystilts.training.result import ItemScores, Score, StageResult, dev_means, mean_dev
from raystilts.training.weights import Weights


def stage_heads(stage: Stage, loaded: Pretrained) -> list[Head]:
    """Fresh heads of a stage's tasks and of its masked LM, as its seed gives them."""
    tasks = [one.task for one in stage.tasks]
    if stage.arm is not None and stage.arm.plain_text is not None:
        tasks.append(stage.arm.plain_text)
    seed = stage.seed or 0
    return [build_head(task, loaded, loaded.info.pooling, seed * 101 + i) for i, task in enumerate(tasks)]


def domain_heads(stage: Stage, loaded: Pretrained) -> list[DomainHead]:
    """The classifier of domains of an arm that is aligned by one."""
    align = _alignment(stage)
    adversarial = align is not None and align.loss == "adversarial"
    return [DomainHead(loaded.hidden, (stage.seed or 0) * 101 + 97)] if adversarial else []


def stage_aligner(stage: Stage, reader: DataReader, heads: list[DomainHead], steps: int) -> Aligner | None:
    """What an arm's training of so many updates is aligned with, if it is."""
    align, arm = _alignment(stage), stage.arm
    if align is None or arm is None or arm.align_to is None:
        return None
    features = reader.training(arm.align_to.task, arm.align_to.hyperparameters)
    examples = aligned_batches(features.num_examples, stage.hyperparameters, stage.seed or 0, steps)
    return Aligner(align, features, examples, len(stage.tasks), heads[0] if heads else None)


def _alignment(stage: Stage) -> Alignment | None:
    return None if stage.trained is None else stage.trained.align


#: Padded tokens a batch in evaluation; on a CPU what its caches hold, for more are slower.
EVAL_TOKENS = {"cpu": 1024, "cuda": 131072}


def run_stage(
    stage: Stage,
    study: Study,
    folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    threads: int = 1,
    encoder: EncoderInfo | None = None,
    until: float = 1.0,
    interrupted: Callable[[], bool] | None = None,
    watcher: Watcher | None = None,
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
        interrupted: Whether the run is asked to stop.
        watcher: Told how the training is getting on.

    Raises:
        UserError: data, encoder or parent that cannot be used.
        TrainingDiverged: the loss is no longer a number.
        TimeoutError: the stage took longer than the study's `time_limit_s`. What it has done is kept: a snapshot of
            its training or, where only its last scores are missing, its weights. The next call goes on from there.
        StageInterrupted: the run is asked to stop; likewise.
    """
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    deadline = None if study.time_limit_s is None else time.monotonic() + study.time_limit_s
    limits = Limits(deadline) if interrupted is None else Limits(deadline, interrupted)
    return StageRun(stage, study, folder, torch.device(device), threads, encoder, until, limits, watcher).run()


class StageRun:
    """The pieces of one stage's run; its arguments are those of `run_stage`."""

    def __init__(
        self,
        stage: Stage,
        study: Study,
        folder: str | Path,
        device: torch.device,
        threads: int,
        encoder: EncoderInfo | None,
        until: float,
        limits: Limits = UNLIMITED,
        watcher: Watcher | None = None,
    ) -> None:
        self.stage, self.study, self.device, self.threads = stage, study, device, threads
        self.until = until
        self.started = time.monotonic()
        self.limits, self.watcher = limits, watcher
        self.holding = ExitStack()
        self.trained = ExitStack()  # of the training's own layers and rows; closed when the weights are scored
        self.unscored = False
        self.checkpoints = open_checkpoints(folder)
        self.loaded = pretrained(encoder or describe_encoder(study.encoder))
        self.reader = warm_reader(self.loaded, data_folder(study))
        self.tasks, self.hp = [one.task for one in stage.tasks], stage.hyperparameters
        self.steps = 0
        self.eval_seconds = 0.0
        #: Scores of items, by the number of updates after which they were taken: the loop says later which were best.
        self.items: dict[int, list[ItemScores]] = {}
        self.digests: dict[tuple[str, str, str], str] = {}

    def run(self) -> StageResult:
        """Trains if need be, then scores."""
        with self.holding, self.trained:
            return self._run()

    def _run(self) -> StageResult:
        trains = self.stage.trains
        if not trains and self.stage.kind == "intermediate":
            return self._make()
        done = self.holding.enter_context(self.checkpoints.held(self.stage.train_key)) if trains else None
        progress = self._train() if trains and done is None else self._load(done)
        if trains and done is None and progress.step < self.steps and not progress.ended_early:
            return self._paused(progress)
        scores = [Score(**record) for record in progress.records]
        scores = [replace(s, is_final=s.step == progress.best_step) for s in scores]
        known = {(s.task, s.split, s.language) for s in scores if s.is_final}
        sets = final_sets(self.stage, self.study, self.reader, known)
        try:
            again = self._lacking_items(known, progress.best_step)
            scores += self._score(sets, progress.best_step, final=True)
            self._score(again, progress.best_step, final=True)  # these scores are known
        except ENDED_EARLY:
            self.trained.close()
            if trains and done is None:
                self._save(progress, unscored=True)
            raise
        self.trained.close()
        kept = self._finish(progress, there=done is not None)
        return self._result(progress, scores, done is None and trains, kept=kept)

    def _paused(self, progress: Progress) -> StageResult:
        """What is known at the rung; its snapshot may stand further on, where a longer training was interrupted."""
        rung = self.study.evaluation.rung(self.until, self.steps)
        scores = [Score(**record) for record in progress.records if record["step"] <= rung]
        result = replace(self._result(progress, scores, True, kept=False), items=())
        there = [s for s in scores if s.step == rung]
        return replace(result, dev_score=mean_dev(there), dev_means=dev_means(there), paused_at=self.until)

    def _make(self) -> StageResult:
        """Weights that are taken from elsewhere, where they are not there yet; nothing is scored."""
        there = self.checkpoints.has(self.stage.train_key)
        if not there:
            weights, heads = made_weights(self.stage, self.study, self.loaded, self._held)
            encoder = self.loaded.use(Weights({}, weights), torch.device("cpu"), self.stage.intermediate.label)
            self.model = Model(encoder, heads)
            self._save(Progress(), **{LM_HEAD: bool(heads)})
        return self._result(Progress(), [], False, kept=True)

    def _load(self, done: Path | None) -> Progress:
        """The weights of an earlier training of this stage, or of the parent where there is nothing to train."""
        source = done if done is not None else self._parent()
        encoder = self.loaded.restore(source, self.device, shared=True)
        heads = (
            []
            if self.stage.kind == "retrieval"
            else [*stage_heads(self.stage, self.loaded), *domain_heads(self.stage, self.loaded)]
        )
        self.model = Model(encoder, heads, padding_free=self.hp.padding_free).to(self.device)
        if done is None:
            return Progress()
        self.checkpoints.load_heads(done, self.model.heads)
        metadata = self.checkpoints.metadata(done)
        self.steps, self.unscored = int(metadata["steps"]), bool(metadata.get("unscored"))
        return Progress(
            best_step=int(metadata["best_step"]),
            step=int(metadata.get("steps_done", self.steps)),
            losses=metadata["losses"],
            examples=metadata["examples"],
            tokens=metadata["tokens"],
            micro_batch=metadata["micro_batch"],
            # A worker that was killed before its rows were written is to leave the same rows as one that was not.
            records=metadata.get("records", []) if metadata.get("evaluation") == self.stage.eval_key else [],
        )

    def _parent(self) -> Path | None:
        if self.stage.parent_train_key is None:
            return None
        return self._held(str(self.stage.parent), self.stage.parent_train_key)

    def _held(self, key: str, train_key: str) -> Path:
        """The kept weights of another stage."""
        found = self.holding.enter_context(self.checkpoints.held(train_key))
        if found is None:
            raise UserError(
                f"the checkpoint that {self.stage.intermediate.label!r} (seed {self.stage.seed}) starts from is not in "
                f"{self.checkpoints.folder}; run its stage first: {key}"
            )
        return found

    def _train(self) -> Progress:
        sets = training_sets(self.stage, self.study, self.reader)
        updates = training_updates(self.stage, self.study, sets)
        on_the_way = self.stage.ends_on_the_way
        self.steps = self.stage.steps if on_the_way else len(updates)
        job = self.trained.enter_context(self.training(sets, updates, self._parent()))
        if on_the_way:
            job.stop_at = self.steps
        key = self._snapshot_key()
        job.snapshot, job.on_snapshot = self.checkpoints.snapshot(key), lambda: self.checkpoints.push_snapshot(key)
        self._tokenise_ahead()
        progress = train(job)
        trim_memory()  # of optimiser, gradients and states between layers
        if not progress.best_step or (on_the_way and progress.step == self.steps):
            progress.best_step = progress.step  # on the way these weights are asked for, not the best so far
        return progress

    def _tokenise_ahead(self) -> None:
        """Tokenises what the training and its scores will ask for; then nothing of that is needed in memory."""
        picking_sets(self.stage, self.study, self.reader)
        if self.until == 1:
            final_sets(self.stage, self.study, self.reader, set())
        self.loaded.words.release()
        trim_memory()

    def _snapshot_key(self) -> str:
        """By what the training in progress is kept: that of the whole, if it does not stand behind this stage's end."""
        own, whole = self.stage.train_key, self.stage.whole_key or self.stage.train_key
        self.checkpoints.fetch_snapshot(whole)
        if whole == own or self.checkpoints.snapshot_step(whole) <= self.steps:
            return whole
        self.checkpoints.fetch_snapshot(own)
        return own

    @contextmanager
    def training(self, sets: list[MixturePart], updates: list[Update], parent: Path | None) -> Iterator[Job]:
        """The training of these updates from a parent's weights, or the encoder's; within the block it can run.

        Raises:
            UserError: masked LM with a tokenizer that has no mask.
        """
        assert self.stage.seed is not None
        tuning, seed = self.stage.tuning, self.stage.seed
        encoder = self.loaded.restore(parent, self.device, shared=not tuning.is_full)
        before = () if parent is None else load_changes(parent, self.loaded.info)
        heads, domain = stage_heads(self.stage, self.loaded), domain_heads(self.stage, self.loaded)
        if parent is not None and stage_masked_lm(self.stage) is not None:
            take_lm_head(parent, self.checkpoints.metadata(parent), heads[-1])
        for head, one in zip(heads, sets, strict=True):
            head.label_smoothing = self.hp.label_smoothing_factor
            head.class_weights = balanced_weights(one) if self.hp.class_weight == "balanced" else None
        masked_lm, vocabulary = stage_masked_lm(self.stage) is not None, self._vocabulary()
        if masked_lm and vocabulary.mask_id is None:
            raise UserError(f"{self.loaded.info.location}: its tokenizer has no mask token; leave masked_lm out")
        features = [one.features for one in sets]
        aligner = stage_aligner(self.stage, self.reader, domain, len(updates))
        seen = features if aligner is None else [*features, aligner.features]
        used = None if masked_lm else torch.from_numpy(used_tokens(seen, (vocabulary.pad_id,)))
        adapter, table = Adapter(encoder, tuning, seed * 101 + 89), self.loaded.table
        used = used if tuning.is_full or table is not None else None  # frozen rows in memory are read where they are
        with adapter, compact_rows(encoder, used, table, trains=tuning.is_full):
            model = Model(encoder, [*heads, *domain], adapter, padding_free=self.hp.padding_free)
            self.model = model.to(self.device)
            yield Job(
                model=self.model,
                features=features,
                updates=updates,
                hyperparameters=self.hp,
                vocabulary=vocabulary,
                seed=seed,
                every=self.study.evaluation.every(len(updates)),
                evaluate=self._evaluate,
                snapshot_seconds=self.study.snapshot_s,
                stop_at=self.study.evaluation.rung(self.until, len(updates)),
                limits=self.limits,
                aligner=aligner,
                watcher=self.watcher,
            )
        if before is not None and adapter.change is not None:
            self.model.changes = (*before, adapter.change)

    def _vocabulary(self) -> Vocabulary:
        facts, size = self.loaded.words.facts, word_embeddings(self.loaded.model).num_embeddings
        return Vocabulary(facts.pad_id, facts.mask_id, facts.special_ids, size)

    def _evaluate(self, step: int) -> tuple[float | None, list[dict[str, Any]]]:
        """Scores on the dev data that picks the checkpoint."""
        scores = self._score(picking_sets(self.stage, self.study, self.reader), step, final=False)
        return mean_dev(scores), [score.to_dict() for score in scores]

    def _score(self, sets: IndexedSets, step: int, *, final: bool) -> list[Score]:
        begin = time.monotonic()
        found: list[Score] = []
        for i, task in enumerate(self.tasks):
            own = [one for index, one in sets if index == i]
            if own:
                values = evaluate_items(self.model, task, own, self.readout(i), self._kept_splits())
                for one, scores in zip(own, values, strict=True):
                    if scores.items:
                        self.items.setdefault(step, []).append(self._item_scores(task, one, scores.items))
                    found += [
                        Score(task.name, one.split, one.language, metric, value, step, task.type.item_count(one.rows),
                              metric == task.main_score, final)
                        for metric, value in scores.scores.items()
                    ]  # fmt: skip
        self.eval_seconds += time.monotonic() - begin
        return found

    def _item_scores(self, task: Task, one: EvalSet, values: list[float]) -> ItemScores:
        place = (task.name, one.split, one.language)
        if place not in self.digests:
            self.digests[place] = rows_digest(one.rows)
        return ItemScores(*place, task.main_score, self.digests[place], tuple(values))

    def _lacking_items(self, known: set[tuple[str, str, str]], step: int) -> IndexedSets:
        """Sets whose scores are known from training, and those of their items are not, which are to be kept.

        That is so where the evaluation was before an interruption. They are scored apart from the others, whose scores
        are then the same to the last bit as without them.
        """
        names = [task.name for task in self.tasks]
        there = {(one.task, one.split, one.language) for one in self.items.get(step, [])}
        again = {one for one in known - there if one[1] in self._kept_splits()}
        sets = final_sets(self.stage, self.study, self.reader, set()) if again else []
        return [(i, one) for i, one in sets if (names[i], one.split, one.language) in again]

    def _kept_splits(self) -> tuple[str, ...]:
        """Splits whose items' scores are kept; an intermediate is not compared with others."""
        if self.stage.kind == "intermediate":
            return ()
        return {"none": (), "dev": ("dev",), "all": ("dev", "test")}[self.study.predictions]

    def readout(self, head_index: int) -> Readout:
        """How the outputs of one task are read."""
        return Readout(
            head_index=head_index,
            layer=self.study.encoder.sentence_layer(self.loaded.layers),
            pad_id=self.loaded.words.facts.pad_id,
            tokens=EVAL_TOKENS[self.device.type],
            bf16=self.hp.bf16,
            limits=self.limits,
            pooling=self.study.encoder.retrieval_pooling,
        )

    def _finish(self, progress: Progress, *, there: bool) -> bool:
        """Keeps the weights where the study wants them, and removes the training in progress; whether they are kept.

        Args:
            there: Whether they had been kept before.
        """
        kind = self.stage.kind
        wanted = kind == "intermediate" or (kind == "target" and self.study.keep_targets != "none")
        if wanted and not there:
            self._save(progress)
        elif self.unscored and not wanted:
            self.checkpoints.remove(self.stage.train_key)
        self.checkpoints.drop_snapshot(self.stage.train_key)
        return wanted or (there and not self.unscored)

    def _save(self, progress: Progress, **more: Any) -> None:
        """Keeps the finished weights; `unscored` ones that nobody asked to keep go when they have been scored."""
        metadata = {
            "best_step": progress.best_step,
            "steps": self.steps,
            "steps_done": progress.step,
            "losses": progress.losses,
            "examples": progress.examples,
            "tokens": progress.tokens,
            "micro_batch": progress.micro_batch,
            "evaluation": self.stage.eval_key,
            "records": progress.records,
        }
        self.checkpoints.save(self.stage.train_key, self.model, self.loaded, metadata | more)

    def _result(self, progress: Progress, scores: list[Score], trained: bool, *, kept: bool) -> StageResult:
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
            checkpoint=None if not kept else self.checkpoints.location(self.stage.train_key),
            items=tuple(self.items.get(progress.best_step, ())),
        )

    def _languages_of(self, name: str) -> tuple[str, ...]:
        return next(one.picking_languages for one in self.stage.tasks if one.task.name == name)
