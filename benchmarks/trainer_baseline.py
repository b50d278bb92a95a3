"""`transformers.Trainer` with its best settings for encoders: the alternative of the speed benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from machine import Timing, now
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features
from raystilts.training.model import SequenceHead


class Rows(Dataset[dict[str, Any]]):
    """Tokenised rows in memory, as scripts feed them.

    Args:
        features: The sequences.
        rows: Which of them; of questions with choices, which questions.
        choices: Sequences a question.
    """

    def __init__(self, features: Features, rows: Sequence[int] | np.ndarray, choices: int = 1) -> None:
        self.items: list[dict[str, Any]] = []
        for row in map(int, rows):
            label: Any = None
            if features.token_labels is not None:
                label = torch.from_numpy(np.array(features.token_labels[row], dtype=np.int64))
            elif features.labels is not None:
                label = features.labels[row].tolist()
            own = [features.input_ids[one].astype(np.int64) for one in range(row * choices, (row + 1) * choices)]
            ids: Any = [torch.from_numpy(one) for one in own]
            self.items.append({"input_ids": ids[0] if choices == 1 else ids, "labels": label})

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]


def pad_together(pad_id: int, multiple: int) -> Any:
    """A collator with dynamic padding: to the longest sequence of the batch, or the next multiple.

    Sequences are [rows, longest], or [questions, choices, longest]; labels a class or a start and an end a row, or
    [rows, longest] with -100 behind their end.
    """

    def collate(items: list[dict[str, Any]]) -> dict[str, Tensor]:
        several = isinstance(items[0]["input_ids"], list)
        ids = [one for item in items for one in (item["input_ids"] if several else [item["input_ids"]])]
        width = -(-max(map(len, ids)) // multiple) * multiple
        batch = {
            "input_ids": _padded(ids, pad_id, width),
            "attention_mask": _padded([torch.ones_like(one) for one in ids], 0, width),
        }
        if several:
            batch = {name: one.view(len(items), -1, width) for name, one in batch.items()}
        labels = [item["labels"] for item in items]
        if isinstance(labels[0], Tensor):
            batch["labels"] = _padded(labels, -100, width)
        elif labels[0] is not None:
            batch["labels"] = torch.tensor(labels)
        return batch

    return collate


def _padded(rows: list[Tensor], fill: int, width: int) -> Tensor:
    first = nn.functional.pad(rows[0], (0, width - len(rows[0])), value=fill)
    return pad_sequence([first, *rows[1:]], batch_first=True, padding_value=fill)


def copy_head(head: SequenceHead, model: nn.Module) -> None:
    """Gives a Hugging Face sequence classifier the weights of a head of ours."""
    assert head.dense is not None
    named: Any = model
    if hasattr(model, "bert"):
        places = (named.bert.pooler.dense, named.classifier)
    else:
        places = (named.classifier.dense, named.classifier.out_proj)
    with torch.no_grad():
        for ours, place in zip((head.dense, head.out), places, strict=True):
            place.weight.copy_(ours.weight)
            place.bias.copy_(ours.bias)


@dataclass
class Watch(TrainerCallback):  # type: ignore[misc]
    """The time of the training loop alone, without what Trainer does before and after it; and the logged losses."""

    device: torch.device
    started: Timing | None = None
    taken: Timing | None = None
    losses: list[float] = field(default_factory=list)

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The first batch is about to be fetched."""
        self.started = now(self.device)

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The last update is done."""
        assert self.started is not None
        self.taken = now(self.device).since(self.started)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **rest: Any) -> None:
        """Keeps the mean loss since the last log."""
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


def arguments(
    hp: Hyperparameters, device: torch.device, *, micro: int, updates: int, order: str, log_every: int,
    compiled: bool = False,
) -> TrainingArguments:  # fmt: skip
    """Trainer's settings: the hyperparameters, and all that makes it fast.

    Args:
        micro: Examples a forward pass; gradients are accumulated to the same effective batch.
        order: `train_sampling_strategy`.
        log_every: Updates between two losses, each of which waits for the device.
        compiled: Whether torch compiles the model.
    """
    cuda = device.type == "cuda"
    return TrainingArguments(
        output_dir=tempfile.mkdtemp(prefix="trainer-"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=hp.batch // micro,
        per_device_eval_batch_size=64,
        learning_rate=hp.learning_rate,
        weight_decay=hp.weight_decay,
        max_grad_norm=hp.max_grad_norm,
        adam_epsilon=hp.adam_epsilon,
        lr_scheduler_type=hp.lr_scheduler_type,
        warmup_steps=hp.warmup(updates),
        max_steps=updates,
        train_sampling_strategy=order,
        bf16=hp.bf16,
        tf32=True if cuda else None,
        optim="adamw_torch_fused",
        torch_compile=compiled,
        use_cpu=not cuda,
        dataloader_num_workers=2 if cuda else 0,
        dataloader_persistent_workers=cuda,
        dataloader_pin_memory=cuda,
        save_strategy="no",
        eval_strategy="no",
        logging_steps=log_every,
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )


def trainer(
    model: nn.Module, args: TrainingArguments, data: Rows | None, pad_id: int, watch: Watch | None = None
) -> Trainer:
    """A Trainer over tokenised rows, silent."""
    from transformers.trainer_callback import PrinterCallback

    multiple = 8 if not args.use_cpu else 1
    made = Trainer(
        model=model,
        args=args,
        train_dataset=data,
        data_collator=pad_together(pad_id, multiple),
        callbacks=[] if watch is None else [watch],
    )
    made.remove_callback(PrinterCallback)
    # Trainer takes a classifier's `**kwargs` for a loss that divides by the accumulated batch, which it does not do:
    # the gradient would be as many times too large as there are micro-batches.
    made.model_accepts_loss_kwargs = False
    return made
