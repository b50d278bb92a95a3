"""One step of a published recipe: a process that trains a task with Trainer, or scores one, and ends.

`benchmarks/study_speed.py` starts it twice a cell: for the intermediate, then for the target from its checkpoint. The
job is a JSON file; scores by language are printed as JSON. What such scripts do badly is done well here, so that the
comparison is with the best of them: the tokenisation is raystilts', so are the head, its pooling and its learning
rate, Trainer has its best settings, and data is local. English dev data is looked at when a stage does it, and at the
end the same sets are scored. Recipes that look at nothing but English dev and test data, at their end, do without some
of that: its time is printed beside the scores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from trainer_baseline import Rows, Watch, arguments, pad_together, trainer
from transformers import Trainer, TrainerCallback

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.schema import Evaluation
from raystilts.tasks.encoding import Features, Outputs, Ragged, SpanLogits
from raystilts.tasks.registry import get_task
from raystilts.tasks.splits import fixed_sample
from raystilts.tasks.task import Task
from raystilts.training.collate import Batch
from raystilts.training.evaluate import EvalSet
from raystilts.training.model import (
    ChoiceHead,
    Head,
    Pooling,
    SequenceHead,
    SpanHead,
    TokenHead,
    label_count,
    pool_tokens,
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one process does.

    Attributes:
        start: The folder of the encoder, or of the intermediate's checkpoint.
        fraction: Share of the task's training rows.
        save: Where the checkpoint goes; None for a target.
        dev_languages: Languages to score on dev, English first.
        languages: Languages to score on test; none for an intermediate.
        eval_steps: Updates between two looks at English dev data; below 1 a share of all updates.
        layer: Retrieval: the hidden state to pool.
        pooling: What a sequence is for classification.
        seen: Rows that are scored, a language: at most so many of dev and of test.
    """

    start: str
    task: str
    fraction: float
    seed: int
    hyperparameters: dict[str, Any]
    data: str | None
    save: str | None
    dev_languages: tuple[str, ...]
    languages: tuple[str, ...]
    eval_steps: float
    layer: int
    pooling: Pooling
    seen: tuple[int | None, int | None]


class Classifier(nn.Module):
    """An encoder under a fresh head, as Trainer takes it."""

    def __init__(self, start: str, task: Task, pooling: Pooling) -> None:
        from transformers import AutoModel

        super().__init__()
        self.encoder = AutoModel.from_pretrained(start, dtype=torch.float32)
        hidden, labels, dropout = self.encoder.config.hidden_size, task.type.num_labels, 0.1
        heads: dict[str, Callable[[], Head]] = {
            "token": lambda: TokenHead(hidden, labels, dropout),
            "span": lambda: SpanHead(hidden),
            "choice": lambda: ChoiceHead(hidden, labels, dropout, pooling),
            "sequence": lambda: SequenceHead(hidden, labels, dropout, pooling),
        }
        self.head = heads[task.type.head]()
        for module in self.head.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """The logits, and the mean loss where there are labels; choices are a dimension of their own."""
        input_ids, attention_mask = (one.flatten(0, -2) for one in (input_ids, attention_mask))
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        batch = Batch(input_ids, attention_mask, None, labels)
        logits = self.head(states, batch)
        if labels is None:
            return {"logits": logits}
        return {"loss": self.head.loss(logits, batch) / label_count(self.head, batch), "logits": logits}


def optimizer(model: Classifier, hp: Hyperparameters) -> AdamW:
    """AdamW with the head's own learning rate, and no decay of embeddings, norms and biases."""
    groups = []
    for part, rate in ((model.encoder, hp.learning_rate), (model.head, hp.head_learning_rate or hp.learning_rate)):
        for decays in (True, False):
            own = [p for n, p in part.named_parameters() if (p.ndim > 1 and "embedding" not in n) == decays]
            groups.append({"params": own, "lr": rate, "weight_decay": hp.weight_decay if decays else 0.0})
    return AdamW(groups, betas=(hp.adam_beta1, hp.adam_beta2), eps=hp.adam_epsilon, fused=True)


def encoded(task: Task, rows: pa.Table, tokenizer: Any, hp: Hyperparameters, *, training: bool) -> Features:
    """Rows as sequences, tokenised in this process."""
    length = hp.max_length or task.type.default_max_length
    return task.type.encode(rows, tokenizer, max_length=length, training=training)


def items(features: Features, task: Task) -> Rows:
    """What batches are made of: sequences (of a long text, each of its windows), or questions with their choices."""
    if task.type.head == "choice":
        return Rows(features, range(features.num_examples), task.type.num_labels)
    return Rows(features, range(len(features.input_ids)))


def scored_sets(step: Step, task: Task, tokenizer: Any, hp: Hyperparameters, folder: Path | None) -> list[EvalSet]:
    """Everything that is scored at the end."""
    dev, test = step.seen
    wanted: list[tuple[Any, str, int | None]] = [("dev", language, dev) for language in step.dev_languages]
    wanted += [("test", language, test) for language in step.languages]
    found = []
    for split, language, limit in wanted:
        rows = task.type.sample(task.load_split(split, language, folder), limit)
        found.append(EvalSet(split, language, rows, encoded(task, rows, tokenizer, hp, training=False)))
    return found


class Looks(TrainerCallback):  # type: ignore[misc]
    """Scores English dev data at the updates at which a stage does, but for the last."""

    def __init__(self, made: Trainer, every: int, task: Task, dev: EvalSet) -> None:
        self.made, self.every, self.task, self.dev = made, every, task, dev
        self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """An update is done."""
        if state.global_step % self.every or state.global_step == state.max_steps:
            return
        begin = perf_counter()
        args.train_sampling_strategy = "sequential"  # that of training is made; predictions come in the rows' order
        predicted_score(self.made, self.task, self.dev)
        self.seconds += perf_counter() - begin


def predicted_score(made: Trainer, task: Task, one: EvalSet) -> float:
    """The main score of what Trainer predicts for a set."""
    found = made.predict(items(one.features, task)).predictions
    return scored(task, found, one.features, one.rows, one.language)


def fine_tune(step: Step, task: Task, hp: Hyperparameters, folder: Path | None) -> tuple[dict[str, float], float]:
    """Trains, saves and scores; the scores, and the seconds of looks and of dev data that is not English."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(step.start)
    rows = task.load_train(folder)
    rows = rows.take(pa.array(fixed_sample(rows.num_rows, hp.max_train_samples)))
    count = max(1, round(step.fraction * rows.num_rows))
    chosen = np.sort(np.random.default_rng([step.seed, rows.num_rows]).permutation(rows.num_rows)[:count])
    train = encoded(task, rows.take(pa.array(chosen)), tokenizer, hp, training=True)
    torch.manual_seed(step.seed)
    model = Classifier(step.start, task, step.pooling)
    data = items(train, task)
    updates = hp.steps(len(data))
    micro = min(hp.batch, 8)
    args = arguments(hp, torch.device("cpu"), micro=micro, updates=updates, order="group_by_length", log_every=updates)
    args.per_device_eval_batch_size = 16
    made = trainer(model, args, data, tokenizer.pad_token_id, Watch(torch.device("cpu")))
    made.optimizer = optimizer(model, hp)
    if task.type.head == "token":
        made.preprocess_logits_for_metrics = lambda logits, labels: logits.argmax(-1)
    sets = scored_sets(step, task, tokenizer, hp, folder)
    looks = Looks(made, Evaluation(eval_steps=step.eval_steps).every(updates), task, sets[0])  # English dev
    made.add_callback(looks)
    made.train()
    if step.save is not None:
        model.encoder.save_pretrained(step.save)
        tokenizer.save_pretrained(step.save)
    args.train_sampling_strategy = "sequential"
    scores, beyond = {}, looks.seconds
    for one in sets:
        begin = perf_counter()
        scores[f"{one.split}/{one.language}"] = predicted_score(made, task, one)
        if one.split == "dev" and one is not looks.dev:
            beyond += perf_counter() - begin
    return scores, beyond


def scored(task: Task, found: Any, features: Features, rows: pa.Table, language: str) -> float:
    """The task's main score of Trainer's predictions."""
    outputs: Outputs = np.asarray(found, dtype=np.float32)
    if task.type.head in ("token", "span"):
        lengths, offsets = features.input_ids.lengths.tolist(), features.input_ids.offsets
        flat = np.concatenate([np.asarray(found)[i, :n] for i, n in enumerate(lengths)])
        if task.type.head == "token":
            outputs = Ragged(flat, offsets)
        else:
            outputs = SpanLogits(*(Ragged(flat[:, end].astype(np.float32), offsets) for end in (0, 1)))
    return task.type.score(task.type.predict(outputs, features, rows), rows, language)[task.main_score]


@torch.inference_mode()
def retrieve(step: Step, task: Task, hp: Hyperparameters, folder: Path | None) -> tuple[dict[str, float], float]:
    """Embeds queries and candidates language by language, in batches in the order of the rows, and scores.

    The seconds are of dev data that is not English, as in `fine_tune`.
    """
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(step.start)
    model: nn.Module = AutoModel.from_pretrained(step.start, dtype=torch.float32).eval()
    scores, beyond = {}, 0.0
    for one in scored_sets(step, task, tokenizer, hp, folder):
        begin = perf_counter()
        sequences, vectors = items(one.features, task).items, []
        for start in range(0, len(sequences), 64):
            chunk = [{**item, "labels": None} for item in sequences[start : start + 64]]
            batch = pad_together(tokenizer.pad_token_id, 1)(chunk)
            with torch.autocast("cpu", torch.bfloat16, enabled=hp.bf16):
                states = model(**batch, output_hidden_states=True).hidden_states[step.layer]
            vectors.append(pool_tokens(states, batch["attention_mask"], "mean").float().numpy())
        found = task.type.predict(np.concatenate(vectors), one.features, one.rows)
        scores[f"{one.split}/{one.language}"] = task.type.score(found, one.rows, one.language)[task.main_score]
        beyond += perf_counter() - begin if one.split == "dev" and one.language != "en" else 0.0
    return scores, beyond


def main() -> None:
    """Does one step."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lists: dict[str, Any] = {name: tuple(one) for name, one in given.items() if isinstance(one, list)}
    step = Step(**{**given, **lists})
    task, hp = get_task(step.task), Hyperparameters(**step.hyperparameters)
    torch.set_num_threads(int(sys.argv[2]))
    folder = None if step.data is None else Path(step.data)
    act = retrieve if task.type.head == "embedding" else fine_tune
    scores, beyond = act(step, task, hp, folder)
    print(json.dumps({"scores": scores, "beyond": beyond}))


if __name__ == "__main__":
    main()
