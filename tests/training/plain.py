"""A target stage as a script would run it: nothing grouped, cached, left out or shared.

The whole table of word embeddings trains, a batch is one forward pass in the order in which it comes, and each language
is scored on its own, one example at a time. What makes up the stage is that of the product: its examples and their
order, the fresh head of its seed, its loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raystilts.planning.encoders import describe_encoder
from raystilts.planning.stage import Stage
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.schema import Study
from raystilts.tasks.encoding import Features, Longs, Outputs, Ragged, SpanLogits
from raystilts.tasks.registry import get_task
from raystilts.tasks.splits import fixed_sample
from raystilts.tasks.task import Split
from raystilts.training.batches import example_lengths, subset, training_batches
from raystilts.training.collate import Batch, collate, features_of, micro_batches
from raystilts.training.encoder import pretrained
from raystilts.training.model import Head, build_head, label_count

#: The tiny tokenizer's padding.
PAD = 1


@dataclass(slots=True)
class Plain:
    """What the script ends with: losses, weights by the names of a checkpoint, and each score of each set."""

    losses: list[float] = field(default_factory=list)
    encoder: dict[str, Tensor] = field(default_factory=dict)
    scores: dict[tuple[str, str, str], float] = field(default_factory=dict)


def plain_stage(
    stage: Stage,
    study: Study,
    sets: Sequence[tuple[Split, str]],
    *,
    micro_batch: tuple[int, int] | None = None,
    prepare: Callable[[Any], None] | None = None,
    fused: bool = False,
) -> Plain:
    """Trains a target from the pretrained encoder and scores (split, language) by (split, language).

    Args:
        micro_batch: Draw dropout for so many examples and padded sub-words at a time, shortest first, as the product
            does on a CPU; default one forward pass a batch, as it comes.
        prepare: Lets the encoder attend and draw dropout as the product does; default what transformers calls eager.
        fused: Whether AdamW updates in one kernel.
    """
    from transformers import AutoModel, AutoTokenizer

    assert stage.target is not None
    assert stage.seed is not None
    task, hp = get_task(stage.target), study.hyperparameters.resolve(stage.target)
    assert hp.max_length is not None
    folder = study.encoder.model_name_or_path
    tokenizer = AutoTokenizer.from_pretrained(folder)
    attention = "eager" if prepare is None else "sdpa"
    encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation=attention)
    if prepare is not None:
        prepare(encoder)
    pooling = study.encoder.pooling or "first"
    head = build_head(task, pretrained(describe_encoder(study.encoder)), pooling, stage.seed * 101)
    rows = task.load_train(None)
    rows = rows.take(fixed_sample(rows.num_rows, hp.max_train_samples))
    features = task.type.encode(rows, tokenizer, max_length=hp.max_length, training=True)
    chosen = subset(features.num_examples, 1.0, stage.seed)
    batches = training_batches(chosen, example_lengths(features), hp, stage.seed, stage.steps)
    found = Plain()
    optimizer = _adamw(encoder, head, hp, fused)
    encoder.train(), head.train()
    for step, examples in enumerate(batches):
        torch.manual_seed((stage.seed + 1) * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = hp.learning_rate * _rate(step, hp.warmup(stage.steps), stage.steps)
        found.losses.append(_update(encoder, head, _parts(features, examples, micro_batch), hp))
        optimizer.step()
        optimizer.zero_grad()
    found.encoder = {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}
    encoder.eval(), head.eval()
    for split, language in sets:
        limit = study.evaluation.max_dev_samples if split == "dev" else study.evaluation.max_test_samples
        rows = task.type.sample(task.load_split(split, language, None), limit)
        own = task.type.encode(rows, tokenizer, max_length=hp.max_length, training=False)
        outputs = _outputs(encoder, head, task.type.head, own, hp)
        scores = task.type.score(task.type.predict(outputs, own, rows), rows, language)
        found.scores |= {(split, language, metric): value for metric, value in scores.items()}
    return found


def _adamw(encoder: nn.Module, head: nn.Module, hp: Hyperparameters, fused: bool) -> torch.optim.AdamW:
    """One optimiser over all parameters; matrices of layers and heads decay."""
    named = [*encoder.named_parameters(), *head.named_parameters()]
    decays = [p for name, p in named if p.ndim > 1 and "embedding" not in name]
    others = [p for name, p in named if p.ndim == 1 or "embedding" in name]
    groups: list[dict[str, Any]] = [
        {"params": decays, "weight_decay": hp.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=hp.learning_rate, eps=hp.adam_epsilon, fused=fused, foreach=False)


def _rate(step: int, warmup: int, steps: int) -> float:
    """Linear warm-up and decay."""
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (steps - step) / max(1, steps - warmup))


def _parts(features: Features, examples: Longs, micro_batch: tuple[int, int] | None) -> list[Batch]:
    pieces = [examples] if micro_batch is None else micro_batches(features, examples, *micro_batch)
    return [collate(features, features_of(features, piece), PAD) for piece in pieces]


def _update(encoder: nn.Module, head: Head, parts: list[Batch], hp: Hyperparameters) -> float:
    """The batch's mean loss; its gradients are in place, clipped."""
    total, loss = sum(label_count(head, part) for part in parts), 0.0
    for part in parts:
        with _precision(hp):
            scores = head(_states(encoder, part), part)
        one = head.loss(scores, part) / total
        one.backward()  # type: ignore[no-untyped-call]
        loss += one.item()
    if hp.max_grad_norm:
        nn.utils.clip_grad_norm_([*encoder.parameters(), *head.parameters()], hp.max_grad_norm)
    return loss


def _states(encoder: nn.Module, batch: Batch) -> Tensor:
    states: Tensor = encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    return states


def _precision(hp: Hyperparameters) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16, enabled=hp.bf16)


@torch.no_grad()
def _outputs(encoder: nn.Module, head: Head, kind: str, features: Features, hp: Hyperparameters) -> Outputs:
    """The head's outputs for the features of one set, one example after the other."""
    found = []
    for example in range(features.num_examples):
        rows = features_of(features, np.array([example]))
        for batch in ([collate(features, rows, PAD)] if kind == "choice" else [collate(features, rows[i : i + 1], PAD)
                      for i in range(len(rows))]):  # fmt: skip
            with _precision(hp):
                scores = head(_states(encoder, batch), batch).float()
            found.append(scores[0].numpy())
    offsets = features.input_ids.offsets
    if kind == "token":
        return Ragged(np.concatenate([one.argmax(-1) for one in found]), offsets)
    if kind == "span":
        both = np.concatenate(found)
        return SpanLogits(Ragged(both[:, 0], offsets), Ragged(both[:, 1], offsets))
    assert math.prod(found[0].shape) == len(found[0])
    return np.stack(found)
