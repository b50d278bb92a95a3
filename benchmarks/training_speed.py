"""How fast a training is, in sub-words without padding a second, beside `transformers.Trainer` with its best settings.

    OMP_NUM_THREADS=2 RAYSTILTS_DATA_DIR=DATA python benchmarks/training_speed.py --encoder E5_SMALL
    python benchmarks/training_speed.py --shape xlm-roberta-large --device cuda --updates 60

Both sides train the same encoder on the same rows with the same effective batch, AdamW (fused), clipping, warm-up and
dropout, and take turns. Trainer pads dynamically; it runs with the whole batch in one forward pass and with
micro-batches, with each setting of `--trainer`, and the fastest counts. Its time is that of its loop alone; ours is all
of `train`. `--switches` adds rows for ours with a switch. A classifier reads the first token of each row, so
that `DataCollatorWithFlattening`, which joins rows, has no row here. Losses are shown twice: the mean over the timed
updates (different order and dropout), and the largest difference of a single update when both are given the same
batches without dropout in float32.

Without `--encoder` the weights are random, in the shape of a published encoder, and so are the tokens, with lengths
as sentence pairs have them (lognormal, median 34).
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from machine import HEADER, Timing, empty_row, machine_line, now, speed_rows
from matrix_rate import forward_flops, matrix_share
from torch import Tensor, nn
from trainer_baseline import Rows, Watch, arguments, copy_head, trainer

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Longs, Ragged
from raystilts.training.batches import Update, epoch_batches, example_lengths
from raystilts.training.data import used_tokens
from raystilts.training.fast_ops import use_fast_dropout, use_sync_free_attention
from raystilts.training.loop import Job, Vocabulary, train
from raystilts.training.model import Model, SequenceHead, compact_rows

CLASSES = 3
#: Layers, hidden size, heads, inner size, vocabulary.
SHAPES = {
    "xlm-roberta-large": (24, 1024, 16, 4096, 250002),
    "xlm-roberta-base": (12, 768, 12, 3072, 250002),
    "tiny": (2, 64, 2, 256, 5000),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """What both sides train: an encoder with a head, and rows.

    Attributes:
        make: A fresh Hugging Face classifier with an attention by its name; its base model is the encoder.
    """

    encoder: nn.Module
    weights: Mapping[str, Tensor]
    make: Callable[[str], nn.Module]
    features: Features
    pad_id: int
    vocabulary: int


def from_folder(folder: str, task: str, rows: int) -> Workload:
    """A real encoder on a real task."""
    from transformers import AutoModelForSequenceClassification

    from raystilts.planning.encoders import describe_encoder
    from raystilts.study.encoder import Encoder
    from raystilts.tasks.registry import get_task
    from raystilts.training.data import DataReader
    from raystilts.training.encoder import pretrained

    loaded = pretrained(describe_encoder(Encoder(model_name_or_path=folder)))
    data = Path(os.environ["RAYSTILTS_DATA_DIR"]) if "RAYSTILTS_DATA_DIR" in os.environ else None
    features = DataReader(loaded, data).training(get_task(task), Hyperparameters(max_train_samples=rows))

    def make(attention: str) -> nn.Module:
        options = {"num_labels": CLASSES, "attn_implementation": attention, "dtype": torch.float32}
        found: nn.Module = AutoModelForSequenceClassification.from_pretrained(loaded.info.location, **options)
        return found

    return Workload(
        loaded.model,
        loaded.weights,
        make,
        features,
        loaded.tokenizer.pad_token_id,
        len(loaded.tokenizer),
    )


def from_shape(shape: str, rows: int) -> Workload:
    """Random weights and random rows."""
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification, XLMRobertaModel

    layers, hidden, heads, inner, vocabulary = SHAPES[shape]
    config = XLMRobertaConfig(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=514, type_vocab_size=1, num_labels=CLASSES,
        attn_implementation="sdpa", pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    encoder = XLMRobertaModel(deepcopy(config), add_pooling_layer=False)
    use_sync_free_attention(encoder)
    use_fast_dropout(encoder)
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(34), 0.45, rows).round(), 8, 256).astype(np.int64)
    # Words of a text repeat: ids by Zipf's law, as the embeddings that a training set touches depend on it.
    ids = np.minimum(rng.zipf(1.2, int(lengths.sum())) + 4, vocabulary - 1).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = rng.integers(0, CLASSES, rows)
    features = Features(Ragged(ids, offsets), np.arange(rows), rows, labels=labels)
    weights = {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}

    def make(attention: str) -> nn.Module:
        own = deepcopy(config)
        own._attn_implementation = attention
        found: nn.Module = XLMRobertaForSequenceClassification(own)
        return found

    return Workload(encoder, weights, make, features, 1, vocabulary)


def our_head(work: Workload) -> SequenceHead:
    """The same head for every run."""
    torch.manual_seed(1)
    config: Any = work.encoder.config
    head = SequenceHead(int(config.hidden_size), CLASSES, float(config.hidden_dropout_prob), "first")
    for module in (head.dense, head.out):
        assert module is not None
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    return head


def batches(work: Workload, hp: Hyperparameters) -> list[Longs]:
    """One pass over the rows in our order."""
    chosen = np.arange(work.features.num_examples, dtype=np.int64)
    return epoch_batches(chosen, example_lengths(work.features), hp, 0, 0)


def ours(work: Workload, hp: Hyperparameters, device: torch.device, dropout: bool = True) -> tuple[Timing, list[float]]:
    """Seconds and losses of one pass with raystilts."""
    work.encoder.to(device).load_state_dict(work.weights)
    updates = [Update(0, one) for one in batches(work, hp)]
    used = torch.from_numpy(used_tokens([work.features], (work.pad_id,)))
    with compact_rows(work.encoder, used):
        heads = [our_head(work)]
        model = Model(work.encoder, heads, padding_free=hp.padding_free).to(device)
        job = Job(
            model=model,
            features=[work.features],
            updates=updates,
            hyperparameters=hp,
            vocabulary=Vocabulary(work.pad_id, None, (), work.vocabulary),
            seed=0,
            every=len(updates),
            evaluate=lambda step: (None, []),
        )
        with no_dropout(model, off=not dropout):
            begin = now(device)
            losses = train(job).losses
            taken = now(device).since(begin)
    return taken, losses


@dataclass(frozen=True, slots=True)
class Setting:
    """How Trainer runs: examples a forward pass, order of examples, attention, and whether it compiles the model."""

    micro: int
    order: str = "group_by_length"
    attention: str = "sdpa"
    compiled: bool = False

    def __str__(self) -> str:
        changed = [self.order] * (self.order != "group_by_length") + [self.attention] * (self.attention != "sdpa")
        return " ".join([f"{self.micro} a pass", *changed, *["torch_compile"] * self.compiled])


#: Changes of Trainer's settings by the names of `--trainer`.
SETTINGS: dict[str, dict[str, Any]] = {
    "sdpa": {},
    "flash": {"attention": "flash_attention_2"},
    "compile": {"compiled": True},
    "batch_rebalance": {"order": "batch_rebalance"},
}


def theirs(work: Workload, hp: Hyperparameters, device: torch.device, setting: Setting) -> tuple[Timing, list[float]]:
    """Seconds and mean loss of one pass with Trainer; what it compiles was compiled in a pass before."""
    rows = Rows(work.features, range(work.features.num_examples))
    updates = -(-len(rows) // hp.batch)
    args = arguments(
        hp, device, micro=setting.micro, updates=updates, order=setting.order, log_every=updates,
        compiled=setting.compiled,
    )  # fmt: skip
    model, watch = classifier(work, setting.attention), Watch(device)
    trainer(model, args, rows, work.pad_id, watch).train()
    del model
    gc.collect()  # a Trainer refers to itself: without this its optimiser stays in memory
    assert watch.taken is not None
    return watch.taken, watch.losses


def largest_difference(work: Workload, hp: Hyperparameters, device: torch.device) -> float:
    """Of the losses of single updates, with the same batches, in float32 without dropout."""
    hp = hp.model_copy(update={"bf16": False})
    own = ours(work, hp, device, dropout=False)[1]
    model, watch = classifier(work), Watch(device)
    rows = Rows(work.features, np.concatenate(batches(work, hp)))
    args = arguments(hp, device, micro=hp.batch, updates=len(own), order="sequential", log_every=1)
    with no_dropout(model):
        trainer(model, args, rows, work.pad_id, watch).train()
    return max(abs(a - b) for a, b in zip(own, watch.losses, strict=True))


def classifier(work: Workload, attention: str = "sdpa") -> nn.Module:
    """The Hugging Face model with the same weights."""
    model = work.make(attention)
    base: Any = model.base_model
    base.load_state_dict(work.weights, strict=False)
    copy_head(our_head(work), model)
    return model


class no_dropout:  # noqa: N801 (a context manager, used like a function)
    """Turns dropout off within a `with` block, in layers and in attention."""

    def __init__(self, model: nn.Module, *, off: bool = True) -> None:
        parts = list(model.modules()) if off else []
        self.layers = [(part, part.p) for part in parts if isinstance(part, nn.Dropout)]

    def __enter__(self) -> None:
        for layer, _ in self.layers:
            layer.p = 0.0

    def __exit__(self, *error: object) -> None:
        for layer, p in self.layers:
            layer.p = p


def compare(
    work: Workload, hp: Hyperparameters, device: torch.device, settings: list[Setting], rounds: int, switches: list[str]
) -> None:
    """Prints one precision's rows."""
    tokens = float(example_lengths(work.features).sum())
    kinds = {"raystilts": hp} | {name: hp.model_copy(update={name: True}) for name in switches}
    own: dict[str, list[Timing]] = {kind: [] for kind in kinds}
    other: dict[Setting, list[Timing]] = {setting: [] for setting in settings}
    losses: dict[str, float] = {}
    for kind in kinds:
        ours(work, kinds[kind], device)
    for setting in settings:
        if setting.compiled:
            theirs(work, hp, device, setting)
    for _ in range(rounds):
        for kind, used in kinds.items():
            taken, found = ours(work, used, device)
            own[kind].append(taken)
            losses[kind] = mean(found)
        for setting in settings:
            taken, found = theirs(work, hp, device, setting)
            other[setting].append(taken)
            losses[f"Trainer, {setting}"] = mean(found)
    best = min(settings, key=lambda one: median(t.wall for t in other[one]))
    name = f"{'bf16' if hp.bf16 else 'fp32'}, {device.type}, batch {hp.batch}"
    for setting in settings:
        mark = " (best)" if setting == best else ""
        row = f"{name}; Trainer {setting}{mark}"
        print(speed_rows(row, device, tokens, own["raystilts"], other[setting]), flush=True)
    for switch in switches:
        row = f"{name}; {switch}; Trainer {best} (best)"
        print(speed_rows(row, device, tokens, own[switch], other[best]), flush=True)
    print(f"\n{name}: mean loss " + ", ".join(f"{who} {loss:.4f}" for who, loss in losses.items()))
    flops = 3 * forward_flops(work.encoder.config, example_lengths(work.features))
    for kind, taken_by in own.items():
        share = matrix_share(flops, median(t.wall for t in taken_by), device, bf16=hp.bf16)
        print(f"{name}: {kind}: {share}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--encoder", help="folder of an encoder; without it weights are random")
    parser.add_argument("--task", default="mnli", help="a sentence or pair task with three classes")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="xlm-roberta-large")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--micro", type=int, nargs="+", default=None, help="Trainer's examples a pass")
    parser.add_argument("--trainer", nargs="+", choices=sorted(SETTINGS), default=["sdpa"])
    parser.add_argument("--switches", nargs="+", choices=("padding_free",), default=[])
    parser.add_argument("--updates", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    device = torch.device(asked.device)
    rows = asked.updates * asked.batch
    work = from_folder(asked.encoder, asked.task, rows) if asked.encoder else from_shape(asked.shape, rows)
    micros = asked.micro or ([asked.batch] if device.type == "cuda" else [asked.batch, 8])
    settings = [Setting(micro, **SETTINGS[name]) for name in asked.trainer for micro in micros]
    print(machine_line(asked.threads))
    print(f"{asked.encoder or asked.shape}; {asked.updates} updates, {asked.rounds} rounds, mean length "
          f"{example_lengths(work.features).mean():.1f}\n\n{HEADER}")  # fmt: skip
    for precision in asked.precision:
        hp = Hyperparameters(bf16=precision == "bf16", per_device_train_batch_size=asked.batch)
        compare(work, hp, device, settings, asked.rounds, asked.switches)
    if device.type != "cuda":
        print(empty_row("bf16, cuda"))
    print(f"largest difference of an update's loss, same batches, fp32, no dropout: "
          f"{largest_difference(work, hp, device):.2e}")  # fmt: skip


if __name__ == "__main__":
    main()
