"""A small encoder with a byte-level tokenizer, both trained here, for benchmarks that ask what such a tokenizer does.

    RAYSTILTS_DATA_DIR=DATA python benchmarks/byte_level_encoder.py FOLDER --updates 3000
    RAYSTILTS_DATA_DIR=DATA python benchmarks/word_reading.py FOLDER --tasks udpos --epochs 3 --learning-rate 5e-4

The tokenizer is a byte-level BPE as RoBERTa's and ModernBERT's, of 16,000 pieces; the encoder has RoBERTa's shape with
4 layers of 256, and is trained by masked LM on texts of nine languages (`mono` of the data folder). It reads words as
such encoders do; its scores are those of a small encoder.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    get_scheduler,
)

LANGUAGES = ("en", "de", "ru", "ko", "zh", "ja", "th", "my", "yo")
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
LONGEST, BATCH = 64, 32


def texts(most: int) -> list[str]:
    """Up to so many texts of each language."""
    folder = Path(os.environ["RAYSTILTS_DATA_DIR"]) / "mono"
    found: list[str] = []
    for language in LANGUAGES:
        file = folder / language / "train.parquet"
        if file.exists():
            found += pq.read_table(file, columns=["text"]).column("text").to_pylist()[:most]
    return found


def train_tokenizer(data: list[str], pieces: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE with RoBERTa's special tokens."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        data, trainers.BpeTrainer(vocab_size=pieces, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    )
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        mask_token="<mask>", cls_token="<s>", sep_token="</s>", model_max_length=512,
    )  # fmt: skip


def batches(rows: list[list[int]], updates: int) -> Iterator[list[dict[str, list[int]]]]:
    """Rows in a new random order each pass."""
    rng, left = np.random.default_rng(0), np.empty(0, dtype=np.int64)
    for _ in range(updates):
        if len(left) < BATCH:
            left = rng.permutation(len(rows))
        taken, left = left[:BATCH], left[BATCH:]
        yield [{"input_ids": rows[i]} for i in taken.tolist()]


def main() -> None:
    """Writes the encoder's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--most", type=int, default=10_000, help="texts a language")
    parser.add_argument("--pieces", type=int, default=16_000)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    data = texts(asked.most)
    tokenizer = train_tokenizer(data, asked.pieces)
    model = RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=len(tokenizer), hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
            intermediate_size=1024, max_position_embeddings=514, pad_token_id=1,
        )
    ).train()  # fmt: skip
    rows = tokenizer(data, truncation=True, max_length=LONGEST)["input_ids"]
    masked = DataCollatorForLanguageModeling(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = get_scheduler("linear", optimizer, asked.updates // 20, asked.updates)
    begin, recent = time.monotonic(), 0.0
    for update, batch in enumerate(batches(rows, asked.updates), 1):
        loss = model(**masked(batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        recent += float(loss.detach())
        if update % 200 == 0:
            print(f"{update} updates, loss {recent / 200:.2f}, {time.monotonic() - begin:.0f} s", flush=True)
            recent = 0.0
    model.roberta.save_pretrained(asked.folder)
    tokenizer.save_pretrained(asked.folder)


if __name__ == "__main__":
    main()
