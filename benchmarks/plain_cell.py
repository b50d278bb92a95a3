"""One step of a published recipe: a process that trains a task with Trainer, or scores one, and ends.

`benchmarks/study_speed.py` starts it twice a cell: for the intermediate, then for the target from its checkpoint. The
job is a JSON file; scores by language are printed as JSON. What such scripts do badly is done well here, so that the
comparison is with the best of them: the tokenisation is raystilts', so are the head, its pooling and its learning
rate, Trainer has its best settings, data is local, and nothing is evaluated during training.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from trainer_baseline import Rows, Watch, arguments, pad_together, trainer

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.features import Features, Outputs, Ragged, SpanLogits
from raystilts.tasks.registry import get_task
from raystilts.tasks.sampling import fixed_sample
from raystilts.tasks.task import Task
from raystilts.training.collate import Batch
from raystilts.training.heads import (
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
        languages: Languages to score on test; none for an intermediate, which is scored on English dev.
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
    languages: tuple[str, ...]
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


def evaluation_rows(step: Step, task: Task, folder: Path | None) -> list[tuple[str, str, pa.Table]]:
    """Split, language and rows of what is scored."""
    dev, test = step.seen
    wanted: list[tuple[Any, str, int | None]] = [("dev", "en", dev)] if "en" in task.split_languages("dev") else []
    wanted += [("test", language, test) for language in step.languages]
    return [(s, lang, task.type.sample(task.load_split(s, lang, folder), limit)) for s, lang, limit in wanted]


def fine_tune(step: Step, task: Task, hp: Hyperparameters, folder: Path | None) -> dict[str, float]:
    """Trains, saves and scores."""
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
    pad = tokenizer.pad_token_id
    made = trainer(model, args, data, pad, Watch(torch.device("cpu")))
    made.optimizer = optimizer(model, hp)
    if task.type.head == "token":
        made.preprocess_logits_for_metrics = lambda logits, labels: logits.argmax(-1)
    made.train()
    if step.save is not None:
        model.encoder.save_pretrained(step.save)
        tokenizer.save_pretrained(step.save)
    args.train_sampling_strategy = "sequential"
    scores = {}
    for split, language, rows in evaluation_rows(step, task, folder):
        features = encoded(task, rows, tokenizer, hp, training=False)
        found = made.predict(items(features, task)).predictions
        scores[f"{split}/{language}"] = scored(task, found, features, rows, language)
    return scores


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
def retrieve(step: Step, task: Task, hp: Hyperparameters, folder: Path | None) -> dict[str, float]:
    """Embeds queries and candidates language by language, in batches in the order of the rows, and scores."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(step.start)
    model: nn.Module = AutoModel.from_pretrained(step.start, dtype=torch.float32).eval()
    scores = {}
    for split, language, rows in evaluation_rows(step, task, folder):
        features = encoded(task, rows, tokenizer, hp, training=False)
        sequences, vectors = items(features, task).items, []
        for start in range(0, len(sequences), 64):
            chunk = [{**item, "labels": None} for item in sequences[start : start + 64]]
            batch = pad_together(tokenizer.pad_token_id, 1)(chunk)
            with torch.autocast("cpu", torch.bfloat16, enabled=hp.bf16):
                states = model(**batch, output_hidden_states=True).hidden_states[step.layer]
            vectors.append(pool_tokens(states, batch["attention_mask"], "mean").float().numpy())
        found = task.type.predict(np.concatenate(vectors), features, rows)
        scores[f"{split}/{language}"] = task.type.score(found, rows, language)[task.main_score]
    return scores


def main() -> None:
    """Does one step."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    step = Step(**{**given, "languages": tuple(given["languages"]), "seen": tuple(given["seen"])})
    task, hp = get_task(step.task), Hyperparameters(**step.hyperparameters)
    torch.set_num_threads(int(sys.argv[2]))
    folder = None if step.data is None else Path(step.data)
    act = retrieve if task.type.head == "embedding" else fine_tune
    print(json.dumps(act(step, task, hp, folder)))


if __name__ == "__main__":
    main()
