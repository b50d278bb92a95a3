"""A byte-level BPE as RoBERTa's and ModernBERT's, trained here, for benchmarks that ask what such a tokenizer does.

    RAYSTILTS_DATA_DIR=DATA python benchmarks/byte_level_tokenizer.py FOLDER
    RAYSTILTS_DATA_DIR=DATA python benchmarks/word_reading.py FOLDER --tasks udpos --count

It has 16,000 pieces, from texts of nine languages (`mono` of the data folder).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

LANGUAGES = ("en", "de", "ru", "ko", "zh", "ja", "th", "my", "yo")


def texts(most: int) -> list[str]:
    """Up to so many texts of each language."""
    folder = Path(os.environ["RAYSTILTS_DATA_DIR"]) / "mono"
    files = [file for language in LANGUAGES if (file := folder / language / "train.parquet").exists()]
    return [text for file in files for text in pq.read_table(file, columns=["text"])["text"].to_pylist()[:most]]


def main() -> None:
    """Writes the tokenizer's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=5000, help="texts a language")
    parser.add_argument("--pieces", type=int, default=16_000)
    asked = parser.parse_args()
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=asked.pieces, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=alphabet
    )
    backend.train_from_iterator(texts(asked.most), trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
    made.save_pretrained(asked.folder)


if __name__ == "__main__":
    main()
