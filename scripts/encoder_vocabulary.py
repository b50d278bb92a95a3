"""The small encoder's tokenizer: the most useful pieces of the teacher's Unigram vocabulary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
UNKNOWN = SPECIAL.index("<unk>")
# The teacher's scores are log probabilities over far more text of a hundred languages than is
# counted here. Half of a piece's weight comes from them, so that everyday words which
# encyclopaedic text hardly uses keep their place.
PRIOR = 0.5
# A language with little text counts for more than its share, one with much for less.
BALANCE = 0.4
FOCUS_BOOST = 3.0
LEAST_CHARACTER_COUNT = 3


def choose_pieces(
    teacher: Tokenizer,
    lines: Mapping[str, Sequence[str]],
    size: int,
    focus: Collection[str],
) -> list[int]:
    """The teacher's ids of the pieces to keep, most used first, special tokens left out.

    Two rounds: the first keeps half as many again, the second counts with those alone, since
    what a piece is worth depends on what its words fall into without the dropped ones.
    """
    vocabulary = json.loads(teacher.to_str())["model"]["vocab"]
    characters = _character_ids(vocabulary, lines)
    kept = [i for i, (piece, _) in enumerate(vocabulary) if piece not in SPECIAL]
    for wanted in (size + size // 2, size):
        weight = _weights(restrict(teacher, kept), lines, focus)
        ranked = sorted(kept, key=lambda i: -weight[vocabulary[i][0]])
        first = [i for i in ranked if i in characters]
        rest = [i for i in ranked if i not in characters]
        chosen = set(first[:wanted]) | set(rest[: max(0, wanted - len(first))])
        kept = [i for i in ranked if i in chosen]
    return kept


def restrict(teacher: Tokenizer, pieces: Sequence[int]) -> Tokenizer:
    """The teacher's tokenizer with only these pieces, after the five special tokens."""
    spec: dict[str, Any] = json.loads(teacher.to_str())
    vocabulary = spec["model"]["vocab"]
    spec["model"]["vocab"] = [[name, 0.0] for name in SPECIAL] + [
        [vocabulary[i][0], round(vocabulary[i][1], 4)] for i in pieces
    ]
    spec["model"]["unk_id"] = UNKNOWN
    spec["added_tokens"] = [
        {
            "id": i,
            "content": name,
            "single_word": False,
            # The blank before a mask belongs to it, as in the teacher's family.
            "lstrip": name == "<mask>",
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for i, name in enumerate(SPECIAL)
    ]
    return Tokenizer.from_str(json.dumps(spec))


def save_tokenizer(tokenizer: Tokenizer, out: Path, longest: int) -> None:
    """Write the files that ``AutoTokenizer`` opens, without indentation to save room."""
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": longest,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (out / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _weights(
    tokenizer: Tokenizer, lines: Mapping[str, Sequence[str]], focus: Collection[str]
) -> dict[str, float]:
    """Each piece's weight: its balanced share of the text, mixed with the teacher's score."""
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    share: npt.NDArray[np.float64] = np.zeros(len(vocabulary))
    for language in sorted(lines):
        ids = [
            i
            for encoding in tokenizer.encode_batch(list(lines[language]), add_special_tokens=False)
            for i in encoding.ids
        ]
        counts = np.bincount(ids, minlength=len(vocabulary)).astype(np.float64)
        boost = FOCUS_BOOST if language in focus else 1.0
        share += boost * counts / counts.sum() * float(counts.sum()) ** BALANCE
    prior = np.exp(np.array([score for _, score in vocabulary])) * (share > 0)
    prior[: len(SPECIAL)] = 0.0
    mixed = (1 - PRIOR) * share / share.sum() + PRIOR * prior / prior.sum()
    return {piece: float(w) for (piece, _), w in zip(vocabulary, mixed, strict=True)}


def _character_ids(
    vocabulary: Sequence[tuple[str, float]], lines: Mapping[str, Sequence[str]]
) -> set[int]:
    """Pieces of one character that the text uses more than a few times: always kept."""
    counts: Counter[str] = Counter()
    for texts in lines.values():
        for text in texts:
            counts.update(text)
    return {
        i
        for i, (piece, _) in enumerate(vocabulary)
        if len(piece) == 1 and (counts[piece] >= LEAST_CHARACTER_COUNT or piece == "▁")
    }
