"""Three measures of small multilingual encoders, on rows that no training of theirs saw.

- retrieval: Tatoeba, the first 500 pairs of each language; the English side is the query, the
  other side the index; mean pooling of the last hidden state; accuracy@1.
- topics: fine-tuned on English SIB-200 train, accuracy on the other languages' test.
- tags: fine-tuned on the first 2,000 sentences of English udpos train, the first sub-word of
  a word labelled; accuracy over the words of the other languages' test.

The data is a folder laid out ``<dataset>/<language>/<split>.parquet``. An encoder is a folder,
or ``random:FOLDER`` for that folder's architecture with a random start:

    python scripts/evaluate_encoder.py --data ../shared/data raystilts/encoders/mini \
        random:raystilts/encoders/mini ../e5-small
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

LANGUAGES = ("de", "es", "fr", "ru", "zh", "ar", "hi", "fi", "tr", "vi")
TAG_LANGUAGES = ("de", "es", "fr", "ru", "fi", "tr")
PAIRS = 500
TAG_SENTENCES = 2000
TOPIC_EPOCHS = 8
TAG_EPOCHS = 3
BATCH = 16
EVALUATION_BATCH = 64
LONGEST = 128
# Deep pretrained encoders fall apart at the rate that shallow ones need.
RATE = 5e-4
DEEP_RATE = 1e-4
DEEP = 6
HEAD_RATE = 1e-3
IGNORED = -100

Row = dict[str, Any]


def rows_of(data: Path, dataset: str, language: str, split: str) -> list[Row]:
    """All rows of one file."""
    rows: list[Row] = pq.read_table(data / dataset / language / f"{split}.parquet").to_pylist()
    return rows


class Encoder:
    """An encoder and its tokenizer, opened afresh for each measure."""

    def __init__(self, name: str, seed: int) -> None:
        """Open a folder, or with ``random:`` its architecture without its weights."""
        torch.manual_seed(seed)
        folder = name.removeprefix("random:")
        self.tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder)
        self.model: PreTrainedModel = (
            AutoModel.from_config(AutoConfig.from_pretrained(folder))
            if name.startswith("random:")
            else AutoModel.from_pretrained(folder, dtype=torch.float32)
        ).float()
        self.width = int(self.model.config.hidden_size)
        self.rate = DEEP_RATE if self.model.config.num_hidden_layers > DEEP else RATE

    def states(self, inputs: dict[str, Tensor]) -> Tensor:
        """The last hidden states, in float32."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states: Tensor = self.model(**inputs).last_hidden_state
        return states.float()

    def pooled(self, texts: Sequence[str]) -> Tensor:
        """The mean of the last hidden states over the tokens of each text."""
        batch = self.tokenizer(
            list(texts), return_tensors="pt", padding=True, truncation=True, max_length=LONGEST
        )
        weights = batch["attention_mask"].unsqueeze(-1).float()
        inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
        mean: Tensor = (self.states(inputs) * weights).sum(1) / weights.sum(1)
        return mean


def retrieval(name: str, data: Path, seed: int) -> dict[str, float]:
    """Accuracy@1 of finding the translation of an English sentence."""
    encoder = Encoder(name, seed)
    encoder.model.eval()
    scores = {}
    for language in LANGUAGES:
        rows = rows_of(data, "tatoeba", language, "test")[:PAIRS]
        english, foreign = _sides(rows)
        vectors = []
        for texts in (english, foreign):
            with torch.inference_mode():
                parts = [
                    encoder.pooled(texts[i : i + EVALUATION_BATCH])
                    for i in range(0, len(texts), EVALUATION_BATCH)
                ]
            vectors.append(functional.normalize(torch.cat(parts), dim=-1))
        found = (vectors[0] @ vectors[1].T).argmax(1)
        scores[language] = float((found == torch.arange(len(rows))).float().mean())
    return scores


def _sides(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """The English and the other side, whichever is the source."""
    keys = ["source_sentence", "target_sentence"]
    if not rows[0]["source_lang"].startswith("en"):
        keys.reverse()
    return [row[keys[0]] for row in rows], [row[keys[1]] for row in rows]


def topics(name: str, data: Path, seed: int) -> dict[str, float]:
    """Zero-shot accuracy of topic classification after English fine-tuning."""
    train = rows_of(data, "sib200", "en", "train")
    labels = sorted({row["category"] for row in train})
    encoder = Encoder(name, seed)
    head = nn.Linear(encoder.width, len(labels))

    def loss(batch: Sequence[Row]) -> Tensor:
        gold = torch.tensor([labels.index(row["category"]) for row in batch])
        return functional.cross_entropy(head(encoder.pooled([r["text"] for r in batch])), gold)

    fine_tune(encoder, head, train, loss, TOPIC_EPOCHS, seed)
    scores = {}
    for language in LANGUAGES:
        rows = rows_of(data, "sib200", language, "test")
        right = 0
        with torch.inference_mode():
            for batch in chunks(rows, EVALUATION_BATCH):
                best = head(encoder.pooled([row["text"] for row in batch])).argmax(1)
                right += sum(
                    labels[int(i)] == row["category"] for i, row in zip(best, batch, strict=True)
                )
        scores[language] = right / len(rows)
    return scores


def tags(name: str, data: Path, seed: int) -> dict[str, float]:
    """Zero-shot accuracy of tagging words after English fine-tuning."""
    train = rows_of(data, "udpos", "en", "train")[:TAG_SENTENCES]
    labels = sorted({tag for row in train for tag in row["pos_tags"]})
    encoder = Encoder(name, seed)
    head = nn.Linear(encoder.width, len(labels))

    def loss(batch: Sequence[Row]) -> Tensor:
        inputs, gold = tagged(encoder.tokenizer, batch, labels)
        scores = head(encoder.states(inputs)).flatten(0, 1)
        return functional.cross_entropy(scores, gold.flatten(), ignore_index=IGNORED)

    fine_tune(encoder, head, train, loss, TAG_EPOCHS, seed)
    scores = {}
    for language in TAG_LANGUAGES:
        right = total = 0
        with torch.inference_mode():
            for batch in chunks(rows_of(data, "udpos", language, "test"), EVALUATION_BATCH):
                inputs, gold = tagged(encoder.tokenizer, batch, labels)
                best = head(encoder.states(inputs)).argmax(-1)
                right += int((best == gold)[gold != IGNORED].sum())
                total += int((gold != IGNORED).sum())
        scores[language] = right / total
    return scores


def tagged(
    tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row], labels: Sequence[str]
) -> tuple[dict[str, Tensor], Tensor]:
    """Inputs of tokenised sentences, and the tag of each word at its first sub-word."""
    batch = tokenizer(
        [row["tokens"] for row in rows],
        is_split_into_words=True,
        return_tensors="pt",
        padding=True,
        truncation=True,
        max_length=LONGEST,
    )
    gold = torch.full(batch["input_ids"].shape, IGNORED)
    for index, row in enumerate(rows):
        seen = set()
        for position, word in enumerate(batch.word_ids(index)):
            if word is not None and word not in seen:
                seen.add(word)
                tag = row["pos_tags"][word]
                # A tag that English lacks is not to be had, and counts as wrong.
                gold[index, position] = labels.index(tag) if tag in labels else len(labels)
    return {key: batch[key] for key in ("input_ids", "attention_mask")}, gold


def chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """Rows in groups."""
    return (rows[i : i + size] for i in range(0, len(rows), size))


def fine_tune(
    encoder: Encoder,
    head: nn.Module,
    rows: Sequence[Row],
    loss: Callable[[Sequence[Row]], Tensor],
    epochs: int,
    seed: int,
) -> None:
    """Train encoder and head with a rate that warms up and then falls to nothing."""
    groups = [
        {"params": list(encoder.model.parameters()), "lr": encoder.rate},
        {"params": list(head.parameters()), "lr": HEAD_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    total = epochs * -(-len(rows) // BATCH)
    warm = max(1, total // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (total - step) / (total - warm)))
    )
    rng = random.Random(seed)
    encoder.model.train()
    for _ in range(epochs):
        for batch in chunks(rng.sample(rows, len(rows)), BATCH):
            loss(batch).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(encoder.model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
    encoder.model.eval()


MEASURES = {"retrieval": retrieval, "topics": topics, "tags": tags}


def main() -> None:
    """Print the three measures of each encoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="+", help="folders, or random:FOLDER")
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument(
        "--measures", nargs="+", choices=list(MEASURES), default=list(MEASURES), help="which"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="changes the last digits")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.encoders:
        for measure in (MEASURES[chosen] for chosen in arguments.measures):
            began = time.perf_counter()
            scores = measure(name, arguments.data, arguments.seed)
            mean = sum(scores.values()) / len(scores)
            each = " ".join(f"{language} {score:.3f}" for language, score in scores.items())
            seconds = time.perf_counter() - began
            print(f"{name} {measure.__name__} {mean:.3f} ({each}) {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
