"""A checkpoint that raystilts has not made: an encoder trained on PAWS-X with plain transformers and torch.

    python examples/checkpoint_elsewhere.py ENCODER pawsx/en/train.parquet OUT

`search_spaces/arms_small.yaml` takes it as an arm where there is no network; with one, any checkpoint of the encoder's
architecture and tokenizer on the Hugging Face hub does.
"""

from __future__ import annotations

import argparse

import pyarrow.parquet as pq
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

BATCH, RATE, LENGTH = 16, 1e-4, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder")
    parser.add_argument("data", help="a Parquet file with the columns sentence1, sentence2 and label (0, 1)")
    parser.add_argument("out")
    parser.add_argument("--examples", type=int, default=128)
    given = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(given.encoder)
    model = AutoModelForSequenceClassification.from_pretrained(given.encoder, num_labels=2, use_safetensors=True)
    rows = pq.read_table(given.data).slice(0, given.examples).to_pylist()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    steps = -(-len(rows) // BATCH)
    schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    model.train()
    for step in range(steps):
        some = rows[step * BATCH : (step + 1) * BATCH]
        texts = [row["sentence1"] for row in some], [row["sentence2"] for row in some]
        batch = tokenizer(*texts, truncation=True, max_length=LENGTH, padding=True, return_tensors="pt")
        loss = model(**batch, labels=torch.tensor([row["label"] for row in some])).loss
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        print(f"update {step + 1} of {steps}: loss {loss.item():.3f}")
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)


if __name__ == "__main__":
    main()
