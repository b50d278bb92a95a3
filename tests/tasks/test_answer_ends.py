"""Answers end where the answer ends, in every language of four data sets and for four kinds of tokenizers.

The tokenizers know single characters only, so that every answer begins and ends with a token: what is not read back
exactly is lost by the map from tokens to characters.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from raystilts.tasks.encoding import Features, Ragged, SpanLogits
from raystilts.tasks.loading import is_here
from raystilts.tasks.registry import get_task
from raystilts.tasks.types.span_qa import SpanQA

SPECIAL = ["[UNK]", "[CLS]", "[SEP]"]
KINDS = ("cased WordPiece", "uncased WordPiece", "SentencePiece", "byte-level BPE")


def tokenizer(kind: str, texts: list[str]) -> Tokenizer:
    """A tokenizer of the single characters (or bytes) of some texts."""
    normalizer: Any = None
    if "WordPiece" in kind:
        uncased = kind.startswith("uncased")
        normalizer = normalizers.BertNormalizer(lowercase=uncased, strip_accents=uncased)
        letters = characters(map(normalizer.normalize_str, texts))
        names = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
        found = Tokenizer(models.WordPiece(numbered(names), unk_token="[UNK]", max_input_chars_per_word=10_000))
        found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif kind == "SentencePiece":
        normalizer = normalizers.NFKC()
        letters = characters(map(normalizer.normalize_str, texts))
        found = Tokenizer(models.Unigram([(name, -1.0) for name in [*SPECIAL, "▁", *letters]], unk_id=0))
        found.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        found = Tokenizer(models.BPE(numbered([*SPECIAL, *pre_tokenizers.ByteLevel.alphabet()]), []))
        found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if normalizer is not None:
        found.normalizer = normalizer
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return found


def characters(texts: Any) -> list[str]:
    return sorted({letter for text in texts for letter in text if not letter.isspace()})


def numbered(names: list[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(dict.fromkeys(names))}


def read_back(rows: pa.Table, backend: Tokenizer) -> list[str]:
    """What is predicted if the model is sure of the training labels."""
    task = SpanQA(max_answer_length=2_000, spanless=True)
    trained = task.encode(rows, backend, max_length=512, training=True)
    return task.predict(sure(trained), task.encode(rows, backend, max_length=512, training=False), rows)


def sure(features: Features) -> SpanLogits:
    assert features.labels is not None
    start, end = (np.zeros(len(features.input_ids.values), dtype=np.float32) for _ in range(2))
    for offset, (first, last) in zip(features.input_ids.offsets, features.labels, strict=False):
        if last > 0:
            start[offset + first] = end[offset + last] = 9
    return SpanLogits(Ragged(start, features.input_ids.offsets), Ragged(end, features.input_ids.offsets))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["xquad", "mlqa", "tydiqa", "afriqa"])
def test_gold_labels_read_back_are_the_gold_answers(name: str, kind: str, data_dir: Path) -> None:
    task = get_task(name)
    lost = {}
    for language in task.languages:
        assert task.test is not None
        if not is_here(task.test, language, data_dir):
            continue
        rows = task.type.sample(task.load_test(language, data_dir), 25)
        answers = rows["answers"].to_pylist()
        # An answer of several hundred characters may be in no window whole; one that is no span is read nowhere.
        whole = [a["answer_start"][0] >= 0 and len(a["text"][0]) < 60 for a in answers]
        rows = rows.filter(pa.array(whole))
        found = read_back(rows, tokenizer(kind, [*rows["context"].to_pylist(), *rows["question"].to_pylist()]))
        gold = [a["text"][0].strip() for a in rows["answers"].to_pylist()]
        wrong = [pair for pair in zip(found, gold, strict=True) if pair[0] != pair[1]]
        if wrong:
            lost[language] = wrong
    assert lost == {}


ENDS = {
    "marks": ("ตั้งอยู่ที่นี่ มีประชากร", "ตั้งอยู่ที่นี่"),
    "a mark at the very end": ("यह दिल्ली", "दिल्ली"),
    "decomposed Hangul": (unicodedata.normalize("NFD", "서울은 수도"), unicodedata.normalize("NFD", "서울")),
    "a zero-width space behind": ("El río Ebro\u200b nace", "Ebro\u200b"),
    "a right-to-left mark behind": ("في مصر\u200f، وهي", "مصر\u200f"),
    "a byte order mark before": ("\ufeffRollo led", "Rollo"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ENDS)
def test_what_hangs_on_a_character_is_part_of_the_answer(case: str, kind: str) -> None:
    context, said = ENDS[case]
    answers = [{"text": [said], "answer_start": [context.index(said)]}]
    rows = pa.table({"question": ["?"], "context": [context], "answers": answers})
    assert read_back(rows, tokenizer(kind, [context, "?"])) == [said]
