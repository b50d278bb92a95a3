"""An encoder's tokenizer, in memory only while texts are tokenised.

One of 250,000 pieces takes 280 MB and a second to load, and a training whose texts are tokenised asks it nothing: what
is needed of it then, a few ids and its files, is kept on disk, once a machine.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import uuid
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from raystilts.errors import UserError
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.foreign import PROBE
from raystilts.planning.keys import digest
from raystilts.tasks.encoding import Tokenizer, fast_backend
from raystilts.training.cache import cache_folder

#: The file of `TokenizerFacts` beside the tokenizer's own, in the cache.
_FACTS = "facts.json"


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """What a training needs of a tokenizer.

    Attributes:
        pad_id: Fills up sequences.
        mask_id: Stands in for a masked token; None where there is none.
        special_ids: Of all special tokens.
        largest_id: Of its vocabulary, -1 where that is empty.
        knows_words: Whether it has other tokens than special ones, and makes some of a text in many scripts.
    """

    pad_id: int
    mask_id: int | None
    special_ids: tuple[int, ...]
    largest_id: int
    knows_words: bool


class KeptTokenizer:
    """The tokenizer of an encoder: loaded when it is asked for, given back by `release`.

    Attributes:
        facts: What is known of it without loading it again.
    """

    def __init__(self, info: EncoderInfo) -> None:
        """Loads it where this machine has not done so before.

        Raises:
            UserError: the encoder has no fast tokenizer.
        """
        self._info = info
        self._loaded: Tokenizer | None = None
        versions = [version(package) for package in ("transformers", "tokenizers")]
        self._folder = cache_folder() / "tokenizers" / digest([info.fingerprint, *versions])
        self.facts = _read_facts(self._folder) or self._kept_facts()

    def get(self) -> Tokenizer:
        """The tokenizer itself, a fast one of transformers with a padding token."""
        if self._loaded is None:
            self._loaded = load_tokenizer(self._info)
        return self._loaded

    def release(self) -> None:
        """Gives its memory back; who asks for it again loads it again."""
        self._loaded = None

    def save(self, folder: Path) -> None:
        """Writes its files into a folder that is there."""
        try:
            names = [path for path in self._folder.iterdir() if path.name != _FACTS]
            for path in names:
                shutil.copyfile(path, folder / path.name)
        except OSError:  # the cache was cleared, or cannot be written
            names = []
        if not names:
            _write_files(self.get(), folder)

    def _kept_facts(self) -> TokenizerFacts:
        tokenizer = self.get()
        facts = _facts_of(tokenizer)
        temporary = self._folder.with_name(f".{self._folder.name}.{uuid.uuid4().hex}")
        try:
            temporary.mkdir(parents=True)
            _write_files(tokenizer, temporary)
            (temporary / _FACTS).write_text(json.dumps(asdict(facts)), encoding="utf-8")
            temporary.rename(self._folder)
        except OSError:  # a full disk costs time, never a result; or another process was first
            shutil.rmtree(temporary, ignore_errors=True)
        return facts


def load_tokenizer(info: EncoderInfo) -> Tokenizer:
    """The fast tokenizer, with a padding token.

    Raises:
        UserError: the encoder has none.
    """
    from transformers import AutoTokenizer

    folder = Path(info.location)
    pieces = sorted(folder.glob("*.model")) if folder.is_dir() else []
    others = any((folder / name).exists() for name in ("tokenizer.json", "vocab.txt", "vocab.json"))
    if pieces and not others and importlib.util.find_spec("sentencepiece") is None:
        raise UserError(
            f"encoder.model_name_or_path: {folder} holds a SentencePiece model, {pieces[0].name}, and no "
            "tokenizer.json; run: pip install sentencepiece protobuf"
        )
    tokenizer = AutoTokenizer.from_pretrained(info.location, revision=info.revision)
    if not tokenizer.is_fast:
        raise UserError(f"encoder.model_name_or_path: {info.location} has no fast tokenizer (tokenizer.json)")
    if tokenizer.pad_token_id is None:  # decoders; attention leaves padding out, whatever stands there
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _facts_of(tokenizer: Tokenizer) -> TokenizerFacts:
    vocabulary, special = tokenizer.get_vocab(), tuple(tokenizer.all_special_ids)
    known = set(tokenizer(PROBE, add_special_tokens=False)["input_ids"]) - {tokenizer.unk_token_id}
    return TokenizerFacts(
        pad_id=tokenizer.pad_token_id,
        mask_id=tokenizer.mask_token_id,
        special_ids=special,
        largest_id=max(vocabulary.values(), default=-1),
        knows_words=len(vocabulary) > len(set(special)) and bool(known),
    )


def _write_files(tokenizer: Tokenizer, folder: Path) -> None:
    fast_backend(tokenizer)  # whether it has tokenised before or not: without truncation and padding
    tokenizer.save_pretrained(folder)


def _read_facts(folder: Path) -> TokenizerFacts | None:
    try:
        found = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return TokenizerFacts(**found | {"special_ids": tuple(found["special_ids"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
