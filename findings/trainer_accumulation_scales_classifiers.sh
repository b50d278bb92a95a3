#!/bin/sh
# transformers' Trainer: with gradient accumulation a classifier's update is as many times too large.
#
# A guess: 8 examples in one pass, or 8 passes of one example with gradient_accumulation_steps=8, give the same update,
# up to rounding; the mistakes of accumulation were mended in 2024.
# What happens: Trainer sees that the model's `forward` takes `**kwargs`, concludes that its loss divides by the number
# of items of the whole batch, and does not divide by the number of passes. The loss of `BertForSequenceClassification`
# is a mean over the pass and ignores that number. So the gradients add up: loss and update are 8 times as large. With
# AdamW and clipping, which hide the scale of a gradient, what is left is a clip that bites 8 times as early; nothing is
# said.
# What to do: one pass, or `trainer.model_accepts_loss_kwargs = False` after the Trainer is made.
#
# Versions: transformers 5.24.0, torch 2.13.0 (CPU), accelerate 1.15.0, numpy 2.4.6; Python 3.11.
# Output seen (SGD, learning rate 1, the same 8 examples, no dropout; how far the classifier's weights moved):
#   8 examples a pass, 1 pass:   loss 1.10, moved 0.0429
#   4 examples a pass, 2 passes: loss 2.19, moved 0.0857, 2.0 times
#   2 examples a pass, 4 passes: loss 4.39, moved 0.1715, 4.0 times
#   1 examples a pass, 8 passes: loss 8.78, moved 0.3430, 8.0 times
#   told that the loss ignores it: loss 1.10, moved 0.0429, 1.0 times
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.13.0 accelerate==1.15.0 \
  numpy==2.4.6

cd "$folder"
HF_HUB_OFFLINE=1 "$folder/env/bin/python" -W ignore - <<'PYTHON'
import copy
import sys

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

logging.set_verbosity_error()

torch.manual_seed(0)
start = BertForSequenceClassification(
    BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
               num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
)
generator = torch.Generator().manual_seed(0)
rows = [{"input_ids": torch.randint(5, 50, (6,), generator=generator), "labels": torch.tensor(i % 3)} for i in range(8)]


def update(size: int, told: bool = False) -> tuple[float, float]:
    """Logged loss, and how far the classifier's weights move in one update on all rows."""
    model = copy.deepcopy(start)
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir="out", per_device_train_batch_size=size, gradient_accumulation_steps=8 // size, max_steps=1,
            learning_rate=1.0, lr_scheduler_type="constant", max_grad_norm=0, optim="sgd",
            train_sampling_strategy="sequential", use_cpu=True, report_to="none", save_strategy="no", logging_steps=1,
            disable_tqdm=True,
        ),
        train_dataset=rows,
    )
    trainer.remove_callback(PrinterCallback)
    if told:
        trainer.model_accepts_loss_kwargs = False
    trainer.train()
    moved = (model.classifier.weight - start.classifier.weight).norm().item()
    return float(trainer.state.log_history[0]["loss"]), moved


loss, whole = update(8)
print(f"8 examples a pass, 1 pass:   loss {loss:.2f}, moved {whole:.4f}")
times, losses = [], [loss]
for size in (4, 2, 1):
    loss, moved = update(size)
    times.append(moved / whole)
    losses.append(loss)
    print(f"{size} examples a pass, {8 // size} passes: loss {loss:.2f}, moved {moved:.4f}, {times[-1]:.1f} times")
loss, moved = update(1, told=True)
print(f"told that the loss ignores it: loss {loss:.2f}, moved {moved:.4f}, {moved / whole:.1f} times")
still = all(abs(found / expected - 1) < 0.05 for found, expected in zip(times, (2, 4, 8)))
still = still and abs(losses[3] / losses[0] - 8) < 0.2
sys.exit(not (still and abs(moved / whole - 1) < 0.05))
PYTHON
