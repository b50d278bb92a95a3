"""How differently two languages use an encoder's sub-words: a distance that the tokenizer knows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from raystilts.analysis.subword_divergence import Counts, jensen_shannon
from raystilts.errors import UserError
from raystilts.study.encoders import describe_encoder
from raystilts.study.schema import Encoder

#: Sub-words a language; small samples have little in common for want of size, so all languages get the same.
SUBWORDS = 20_000


def subword_distances(
    tokenizer: Any, text: Path, languages: Iterable[str], source: str = "en", subwords: int = SUBWORDS
) -> dict[str, float]:
    """Jensen-Shannon divergence (bits, 0 to 1) of each language's sub-words from those of a language.

    Args:
        tokenizer: The encoder's, as of `transformers`.
        text: Folder ``<language>/train.parquet`` with a column `text`.
        languages: Those wanted; a language with less text than the others' sample is left out.
        source: The language that the others are compared with.
        subwords: Sub-words taken of each language, from its first rows on.

    Raises:
        UserError: There is no text, or too little, in the source language.
    """
    base = _counts(tokenizer, text, source, subwords)
    if base is None:
        raise UserError(
            f"--text {text}: expected {source}/train.parquet with a column text and {subwords:,} sub-words or more"
        )
    found = {}
    for language in languages:
        counts = _counts(tokenizer, text, language, subwords) if language != source else None
        if counts is not None:
            found[language] = jensen_shannon(base, counts)
    return found


def load_tokenizer(encoder: Encoder) -> Any:
    """The tokenizer of a study's encoder; raises UserError where it cannot be had."""
    from transformers import AutoTokenizer

    info = describe_encoder(encoder)
    try:
        return AutoTokenizer.from_pretrained(info.location, revision=info.revision)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--text: the tokenizer of {encoder.model_name_or_path!r} cannot be had ({reason})") from None


def _counts(tokenizer: Any, text: Path, language: str, subwords: int) -> Counts | None:
    import pyarrow.parquet as pq

    path = text / language / "train.parquet"
    if not path.is_file():
        return None
    table = pq.read_table(path)
    if "text" not in table.column_names:
        raise UserError(f"--text {text}: {path} has no column text")
    ids: list[int] = []
    rows = table.column("text").to_pylist()
    for start in range(0, len(rows), 200):
        batch = tokenizer([row for row in rows[start : start + 200] if row], add_special_tokens=False, verbose=False)
        ids += [number for row in batch["input_ids"] for number in row]
        if len(ids) >= subwords:
            return np.bincount(ids[:subwords], minlength=len(tokenizer)).astype(np.float64)
    return None
