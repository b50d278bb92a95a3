"""How fast zero-shot evaluation in many languages is, beside `Trainer.predict` language by language.

    OMP_NUM_THREADS=2 RAYSTILTS_DATA_DIR=DATA python benchmarks/evaluation_speed.py --encoder E5_SMALL
    python benchmarks/evaluation_speed.py --shape xlm-roberta-large --device cuda --rows 2000

XNLI in 15 languages and UD tags in all that the data folder has (38 with all of them). Both sides score the same
tokenised rows with the same weights and take turns; ours includes the metrics, theirs is `predict` alone. Trainer runs
as scripts have it (batches in the order of the rows) and with its best settings: sorted by length, and in bf16 with
the whole model in bf16 (`bf16_full_eval`); the fastest counts. Answers are compared: the share of rows (or words) on
which the two sides agree.

Without `--encoder` weights and rows are random, in the shape of a published encoder.
"""

from __future__ import annotations

import argparse
import os
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from machine import HEADER, Timing, empty_row, machine_line, now, speed_rows
from matrix_rate import forward_flops, matrix_share
from torch import nn
from trainer_baseline import Rows, arguments, copy_head, pad_together, trainer
from training_speed import SHAPES

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Longs, Ragged
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.training.evaluate import EvalSet, Readout, evaluate, predict
from raystilts.training.fast_ops import use_sync_free_attention
from raystilts.training.model import Head, Model, SequenceHead, TokenHead
from raystilts.training.stage import EVAL_TOKENS

#: Name, batches of Trainer in the order of the rows or by length, whole model in bf16.
SETTINGS = {
    "as scripts have it": ("random", 8, False),
    "batch 64": ("random", 64, False),
    "batch 64 by length": ("group_by_length", 64, False),
    "batch 64 by length, bf16_full_eval": ("group_by_length", 64, True),
    "batch 16 by length": ("group_by_length", 16, False),
    "batch 16 by length, bf16_full_eval": ("group_by_length", 16, True),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One task: an encoder with a head, the same model for Trainer, and rows by language.

    Attributes:
        sets: With the rows' tables where the data is real.
    """

    task: Task
    model: Model
    other: nn.Module
    features: list[Features]
    sets: list[EvalSet] | None
    pad_id: int


def tagger_or_classifier(task: Task, hidden: int) -> Head:
    """A fresh head: scores do not matter here, their equality does."""
    torch.manual_seed(1)
    kind = task.type
    if kind.head == "token":
        head: Head = TokenHead(hidden, kind.num_labels, 0.1)
    else:
        head = SequenceHead(hidden, kind.num_labels, 0.1, "first")
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.05)
            nn.init.zeros_(module.bias)
    return head


def both(task: Task, encoder: nn.Module, other: nn.Module, device: torch.device) -> tuple[Model, nn.Module]:
    """The two models with the same weights."""
    config: Any = encoder.config
    head = tagger_or_classifier(task, int(config.hidden_size))
    base: Any = other.base_model
    base.load_state_dict(encoder.state_dict(), strict=False)
    if isinstance(head, SequenceHead):
        copy_head(head, other)
    else:
        named: Any = other
        named.classifier.load_state_dict(head.out.state_dict())  # type: ignore[union-attr]
    return Model(encoder, [head]).to(device), other.to(device)


def from_folder(folder: str, name: str, rows: int, device: torch.device) -> Workload:
    """A real encoder on a task's test data in all languages."""
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

    from raystilts.planning.encoders import describe_encoder
    from raystilts.study.encoder import Encoder
    from raystilts.training.data import DataReader
    from raystilts.training.encoder import pretrained

    loaded, task = pretrained(describe_encoder(Encoder(model_name_or_path=folder))), get_task(name)
    data = Path(os.environ["RAYSTILTS_DATA_DIR"]) if "RAYSTILTS_DATA_DIR" in os.environ else None
    reader, hp = DataReader(loaded, data), Hyperparameters()
    sets = [reader.evaluation(task, "test", language, rows, hp) for language in task.languages]
    tagging = task.type.head == "token"
    auto = AutoModelForTokenClassification if tagging else AutoModelForSequenceClassification
    options = {"num_labels": task.type.num_labels, "attn_implementation": "sdpa", "dtype": torch.float32}
    other = auto.from_pretrained(loaded.info.location, **options)
    model, other = both(task, loaded.model, other, device)
    return Workload(task, model, other, [one.features for one in sets], sets, loaded.tokenizer.pad_token_id)


def from_shape(shape: str, name: str, rows: int, device: torch.device) -> Workload:
    """Random weights and rows: 15 languages of pairs or 38 of tagged sentences."""
    from transformers import (
        XLMRobertaConfig,
        XLMRobertaForSequenceClassification,
        XLMRobertaForTokenClassification,
        XLMRobertaModel,
    )

    task = get_task(name)
    tagging = task.type.head == "token"
    layers, hidden, heads, inner, vocabulary = SHAPES[shape]
    config = XLMRobertaConfig(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=514, type_vocab_size=1, num_labels=task.type.num_labels,
        attn_implementation="sdpa", pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    other = (XLMRobertaForTokenClassification if tagging else XLMRobertaForSequenceClassification)(config)
    encoder = XLMRobertaModel(deepcopy(config), add_pooling_layer=False)
    use_sync_free_attention(encoder)
    model, other = both(task, encoder, other, device)
    rng = np.random.default_rng(0)
    features = [_random(rng, rows, vocabulary, tagging, task.type.num_labels) for _ in range(38 if tagging else 15)]
    return Workload(task, model, other, features, None, 1)


def _random(rng: np.random.Generator, rows: int, vocabulary: int, tagging: bool, labels: int) -> Features:
    lengths = np.clip(rng.lognormal(np.log(34), 0.45, rows).round(), 8, 256).astype(np.int64)
    total, offsets = int(lengths.sum()), np.concatenate([[0], np.cumsum(lengths)])
    ids = Ragged(rng.integers(5, vocabulary, total).astype(np.int32), offsets)
    if tagging:
        tags = Ragged(rng.integers(0, labels, total), offsets)
        return Features(ids, np.arange(rows), rows, token_labels=tags)
    return Features(ids, np.arange(rows), rows, labels=rng.integers(0, labels, rows))


def ours(work: Workload, hp: Hyperparameters, device: torch.device) -> Timing:
    """The time of one evaluation of all languages, with metrics where the data is real."""
    readout = our_readout(work, hp, device)
    begin = now(device)
    if work.sets is None:
        predict(work.model, work.task, work.features, readout)
    else:
        evaluate(work.model, work.task, work.sets, readout)
    return now(device).since(begin)


def our_readout(work: Workload, hp: Hyperparameters, device: torch.device) -> Readout:
    """As a stage has it."""
    return Readout(0, None, work.pad_id, EVAL_TOKENS[device.type], hp.bf16)


def theirs(work: Workload, hp: Hyperparameters, device: torch.device, setting: str, data: list[Rows]) -> Timing:
    """The time of `Trainer.predict` over all languages."""
    order, size, full = SETTINGS[setting]
    hp = hp.model_copy(update={"bf16": hp.bf16 and not full})
    args = arguments(hp, device, micro=hp.batch, updates=1, order=order, log_every=1)
    args.per_device_eval_batch_size, args.bf16_full_eval = size, full
    made = trainer(work.other, args, None, work.pad_id)
    if work.task.type.head == "token":
        made.preprocess_logits_for_metrics = lambda logits, labels: logits.argmax(-1)
    begin = now(device)
    for one in data:
        made.predict(one)
    taken = now(device).since(begin)
    work.other.float()
    return taken


@torch.inference_mode()
def agreement(work: Workload, hp: Hyperparameters, device: torch.device, data: list[Rows]) -> float:
    """The share of answers that are the same, ours in a pass of all languages, theirs in batches of their own."""
    found = predict(work.model, work.task, work.features, our_readout(work, hp, device))
    work.other.eval()
    same = total = 0
    for own, rows in zip(found, data, strict=True):
        for start in range(0, len(rows), 64):
            batch = pad_together(work.pad_id, 1)(rows.items[start : start + 64])
            batch.pop("labels")
            with torch.autocast(device.type, torch.bfloat16, enabled=hp.bf16):
                logits = work.other(**{name: one.to(device) for name, one in batch.items()}).logits
            answers = logits.argmax(-1).cpu().numpy()
            for i, answer in enumerate(answers):
                mine = own[start + i] if isinstance(own, Ragged) else np.asarray(own)[start + i].argmax()
                theirs = answer[: len(mine)] if isinstance(own, Ragged) else answer
                same, total = same + int(np.sum(mine == theirs)), total + int(np.size(mine))
    return same / total


def compare(work: Workload, hp: Hyperparameters, device: torch.device, rounds: int, settings: list[str]) -> None:
    """Prints one task's rows in one precision."""
    data = [Rows(one, range(len(one.input_ids))) for one in work.features]
    tokens = float(sum(int(lengths_of(one).sum()) for one in work.features))
    own: list[Timing] = []
    other: dict[str, list[Timing]] = {name: [] for name in settings}
    ours(work, hp, device)
    for _ in range(rounds):
        own.append(ours(work, hp, device))
        for name in settings:
            other[name].append(theirs(work, hp, device, name, data))
    best = min(settings, key=lambda name: median(t.wall for t in other[name]))
    what = f"{work.task.name}, {len(data)} languages, {'bf16' if hp.bf16 else 'fp32'}, {device.type}"
    for name in settings:
        mark = " (best)" if name == best else ""
        print(speed_rows(f"{what}; Trainer {name}{mark}", device, tokens, own, other[name]), flush=True)
    print(f"\n{what}: the same answer on {agreement(work, hp, device, data):.2%}")
    flops = forward_flops(work.model.encoder.config, np.concatenate([lengths_of(one) for one in work.features]))
    print(f"{what}: {matrix_share(flops, median(t.wall for t in own), device, bf16=hp.bf16)}\n", flush=True)


def lengths_of(features: Features) -> Longs:
    """Sub-words of each feature."""
    return features.input_ids.lengths


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--encoder", help="folder of an encoder; without it weights and rows are random")
    parser.add_argument("--tasks", nargs="+", default=["xnli", "udpos"])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="xlm-roberta-large")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, default=64, help="a language")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", choices=sorted(SETTINGS), default=list(SETTINGS), help="of Trainer")
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    device = torch.device(asked.device)
    print(machine_line(asked.threads))
    print(f"{asked.encoder or asked.shape}; {asked.rows} rows a language, {asked.rounds} rounds\n\n{HEADER}")
    for name in asked.tasks:
        if asked.encoder:
            work = from_folder(asked.encoder, name, asked.rows, device)
        else:
            work = from_shape(asked.shape, name, asked.rows, device)
        for precision in asked.precision:
            hp = Hyperparameters(bf16=precision == "bf16")
            compare(work, hp, device, asked.rounds, [n for n in asked.settings if hp.bf16 or not SETTINGS[n][2]])
    if device.type != "cuda":
        print(empty_row("all tasks, cuda"))


if __name__ == "__main__":
    main()
