"""Facts of the real data sets that docs/surprises.md states: overlap, tags, single entities, NFKC, repeated sentences.

    RAYSTILTS_DATA_DIR=DATA python benchmarks/surprising_data.py [--encoder FOLDER]

With an encoder's folder (its tokenizer.json alone is read) also what depends on sub-words.
"""

from __future__ import annotations

import argparse
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tokenizers import Tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, help="a folder with a tokenizer.json")
    encoder = parser.parse_args().encoder
    data = Path(os.environ["RAYSTILTS_DATA_DIR"])
    paws_x(data)
    single_entities(data)
    missing_tags(data)
    composed(data)
    repeated_sentences(data)
    if encoder is not None:
        tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        topic_lengths(data, tokenizer)
        inference_lengths(data, tokenizer)
        passage_lengths(data, tokenizer)
        bare_marks(data, tokenizer)


def languages(data: Path, name: str, split: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each language of a data set that has the split, with its rows."""
    for file in sorted((data / name).glob(f"*/{split}.parquet")):
        yield file.parent.name, pq.read_table(file).to_pylist()


def paws_x(data: Path) -> None:
    train = dict(languages(data, "pawsx", "train"))["en"]
    test = dict(languages(data, "pawsx", "test"))["en"]
    known = {row[side] for row in train for side in ("sentence1", "sentence2")}
    pairs = {frozenset((row["sentence1"], row["sentence2"])) for row in train}
    seen = [sum(row[side] in known for side in ("sentence1", "sentence2")) for row in test]
    whole = sum(frozenset((row["sentence1"], row["sentence2"])) in pairs for row in test)
    one, both = sum(n > 0 for n in seen), sum(n == 2 for n in seen)
    print(f"PAWS-X, English: of {len(test):,} test pairs {one} hold a sentence of the {len(train):,} training pairs, "
          f"{both} two such, {whole} are one of them")


def single_entities(data: Path) -> None:
    shares = {}
    for language, rows in languages(data, "panx", "validation"):
        whole = [tags for row in rows if (tags := row["ner_tags"])]
        shares[language] = sum(t[0][0] == "B" and all(tag[0] == "I" for tag in t[1:]) for t in whole) / len(whole)
    print("PAN-X, sentences that are one entity:", shown(shares, "{:.0%}"))


def missing_tags(data: Path) -> None:
    found = languages(data, "udpos", "test")
    tags = {language: {tag for row in rows for tag in row["pos_tags"]} for language, rows in found}
    every = set().union(*tags.values())
    missing = {tag: sum(tag not in own for own in tags.values()) for tag in sorted(every)}
    full = sum(own == every for own in tags.values())
    print(f"UD: {full} of {len(tags)} languages have all {len(every)} tags; without:",
          shown({tag: n for tag, n in missing.items() if n}, "{}"))


def composed(data: Path) -> None:
    shares = {}
    for language, rows in languages(data, "xquad", "validation"):
        texts = {row["context"] for row in rows}
        shares[language] = sum(len(unicodedata.normalize("NFKC", text)) != len(text) for text in texts) / len(texts)
    print("XQuAD, contexts whose length NFKC changes:", shown(shares, "{:.0%}"))


def repeated_sentences(data: Path) -> None:
    found = list(languages(data, "tatoeba", "test"))
    twice = [language for language, rows in found for side in ("source_sentence", "target_sentence")
             if len({row[side] for row in rows}) < len(rows)]
    print(f"Tatoeba: {len(found)} languages, with a repeated sentence: {', '.join(twice) or 'none'}")


def topic_lengths(data: Path, tokenizer: Tokenizer) -> None:
    lengths = {language: [len(tokenizer.encode(row["text"], add_special_tokens=False).ids) for row in rows]
               for language, rows in languages(data, "sib200", "test")}
    base = sum(lengths["en"])
    print("SIB-200, sub-words beside English:", shown({one: sum(n) / base for one, n in lengths.items()}, "{:.2f}"))
    over = {one: sum(i > 64 for i in n) / len(n) for one, n in lengths.items()}
    print("SIB-200, over 64 sub-words:", shown(over, "{:.0%}"))


def inference_lengths(data: Path, tokenizer: Tokenizer) -> None:
    longest = {language: max(len(tokenizer.encode(row["premise"], row["hypothesis"]).ids) for row in rows)
               for language, rows in languages(data, "xnli", "test")}
    print("XNLI, longest test pair in sub-words:", shown(longest, "{}"))


def passage_lengths(data: Path, tokenizer: Tokenizer) -> None:
    over = {language: sum(len(tokenizer.encode(row["question"], row["context"]).ids) > 384 for row in rows) / len(rows)
            for language, rows in languages(data, "xquad", "validation")}
    print("XQuAD, question and context over 384 sub-words:", shown(over, "{:.1%}"))


def bare_marks(data: Path, tokenizer: Tokenizer) -> None:
    shares = {}
    for language, rows in languages(data, "udpos", "test"):
        words = [word for row in rows for word in row["tokens"]]
        firsts = [one.tokens[:1] for one in tokenizer.encode_batch(words, add_special_tokens=False)]
        shares[language] = sum(first == ["▁"] for first in firsts) / len(words)
    print("UD, words whose first sub-word is the bare mark of a space:", shown(shares, "{:.0%}"))


def shown(values: dict[str, Any], form: str) -> str:
    """The largest first."""
    ordered = sorted(values.items(), key=lambda one: -one[1])
    return ", ".join(f"{name} {form.format(value)}" for name, value in ordered)


if __name__ == "__main__":
    main()
