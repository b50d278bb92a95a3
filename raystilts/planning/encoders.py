"""Which encoder a study means, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from raystilts.errors import UserError, first_line, shown
from raystilts.planning.architectures import Architecture, read_architecture
from raystilts.study.base import expanded
from raystilts.study.encoder import Encoder

#: Files that a tokenizer can be made of.
_VOCABULARY = ("tokenizer*", "*.model", "vocab*", "merges*", "added_tokens.json", "special_tokens_map.json")

#: Of these, files that hold settings and no vocabulary.
_SETTINGS = ("tokenizer_config.json", "added_tokens.json", "special_tokens_map.json")
#: Where a study file names its encoder.
_PLACE = "encoder.model_name_or_path"
#: What tables of word embeddings are called.
_WORDS = ("word_embeddings.weight", "embed_tokens.weight", "tok_embeddings.weight", "shared.weight", "wte.weight")

EMBEDDED = {"raystilts-mini": Path(__file__).parent.parent / "encoders" / "mini"}


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What is known of an encoder before any of it is loaded.

    Attributes:
        location: What `from_pretrained` gets: a folder or a hub id.
        fingerprint: Changes when the weights, the configuration or the tokenizer do.
        verified: Whether the fingerprint is of files that are here (otherwise of id and revision).
        parameters: Number of parameters, None where unknown.
        embedding_parameters: Of which in the word embeddings.
        architecture: What its configuration says; None where it is not here.
        bidirectional: Whether a decoder's tokens are to see what follows them.
        pooling: What a sequence is for classification: as the study says, else its first token, of a decoder its last.
    """

    location: str
    revision: str | None
    fingerprint: str
    verified: bool
    parameters: int | None
    embedding_parameters: int | None
    architecture: Architecture | None = None
    bidirectional: bool = False
    pooling: Literal["first", "mean", "last"] = "first"


def describe_encoder(encoder: Encoder) -> EncoderInfo:
    """Finds the encoder of a study without loading it.

    Raises:
        UserError: a folder that is not a checkpoint of safetensors, or attention that its architecture does not have.
    """
    found = _find(encoder)
    known = found.architecture
    if encoder.attention is None:
        decoder = known is not None and known.family == "decoder"
        return replace(found, pooling=encoder.pooling or ("last" if decoder else "first"))
    if known is not None and known.family != "decoder":
        raise UserError(f"encoder.attention: bidirectional: {known.model_type} is no decoder, leave it out")
    return replace(
        found,
        fingerprint=f"{found.fingerprint}+{encoder.attention}",
        architecture=known if known is None else replace(known, family="encoder"),
        bidirectional=True,
        pooling=encoder.pooling or "first",
    )


def _find(encoder: Encoder) -> EncoderInfo:
    name = encoder.model_name_or_path
    folder = EMBEDDED.get(name) or expanded(name, _PLACE).absolute()
    if folder.is_dir():
        # A copy of a pinned model is what a study file is given where there is no network.
        if encoder.revision is not None and name in EMBEDDED:
            raise UserError(
                f"encoder.revision: {shown(encoder.revision)}: {name} is embedded and has no revisions; leave it out: "
                "--set encoder.revision=null"
            )
        return _describe_folder(folder)
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise UserError(
            f"{_PLACE}: {name}: no such folder; give a folder with a checkpoint, an id on the Hugging Face hub, or "
            "raystilts-mini"
        )
    _check_hub_id(name)
    cached = _cached_snapshot(name, encoder.revision)
    if cached is not None:
        known = _describe_folder(cached)
        return replace(known, location=str(cached), revision=cached.name)
    return EncoderInfo(name, encoder.revision, f"hub:{name}@{encoder.revision or 'main'}", False, None, None)


def _check_hub_id(name: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        raise UserError(
            f"{_PLACE}: {shown(name)} is no folder here, and no id on the Hugging Face hub can be called so; give a "
            "folder, or an id such as FacebookAI/xlm-roberta-base"
        ) from None


def fetch_encoder(encoder: Encoder) -> EncoderInfo:
    """Like `describe_encoder`, fetching a hub encoder first, so that its fingerprint is of its files.

    Raises:
        UserError: not on the hub, no network, or files that cannot be used.
    """
    info = describe_encoder(encoder)
    if info.verified:
        return info
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    name = encoder.model_name_or_path
    try:
        patterns = ["*.json", "*.safetensors", "*.model", "*.txt"]
        snapshot_download(name, revision=encoder.revision, allow_patterns=patterns)
    except RepositoryNotFoundError:
        raise UserError(f"encoder.model_name_or_path: {name!r} is neither a folder nor on the hub") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        reason = first_line(error, 120)
        raise UserError(
            f"encoder.model_name_or_path: {name!r} is not in the local cache and the hub did not answer ({reason}); "
            "give a folder: --set encoder.model_name_or_path=DIR"
        ) from None
    return describe_encoder(encoder)


def _cached_snapshot(name: str, revision: str | None) -> Path | None:
    """The folder of a hub model in the local cache, when its configuration and weights are there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json", revision=revision)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    return folder if list(folder.glob("*.safetensors")) else None


def _describe_folder(folder: Path) -> EncoderInfo:
    if not (folder / "config.json").is_file():
        raise UserError(
            f"encoder.model_name_or_path: {folder} holds no config.json; give a folder that from_pretrained opens"
        )
    weights = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    if not weights:
        raise UserError(
            f"encoder.model_name_or_path: {folder} holds no *.safetensors; raystilts loads safetensors only "
            "(convert with save_pretrained(..., safe_serialization=True))"
        )
    vocabulary = [path for form in _VOCABULARY for path in sorted(folder.glob(form)) if path.is_file()]
    if not any(path.name not in _SETTINGS for path in vocabulary):
        raise UserError(
            f"encoder.model_name_or_path: {folder} holds no tokenizer (tokenizer.json, or the vocabulary that it is "
            "made of); save it there: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
        )
    used = [folder / "config.json", *weights, *vocabulary]
    fingerprint = hashlib.sha256()
    for path in used:
        stat = path.stat()
        fingerprint.update(f"{path.name}:{_file_hash(path, stat.st_size, stat.st_mtime_ns)}".encode())
    shapes = [shape for path in weights for shape in tensor_shapes(path).items()]
    total = sum(math.prod(shape) for _, shape in shapes)
    words = max((math.prod(shape) for name, shape in shapes if name.endswith(_WORDS)), default=0)
    architecture = read_architecture(folder / "config.json")
    return EncoderInfo(str(folder), None, fingerprint.hexdigest()[:32], True, total, words, architecture)


def tensor_shapes(path: Path) -> dict[str, list[int]]:
    """Shapes in a safetensors file, from its header.

    Raises:
        UserError: the file is not a whole safetensors file.
    """
    return {name: entry["shape"] for name, entry in tensor_entries(path)[1].items()}


def tensor_entries(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """The header of a safetensors file: where its data begins, and each tensor's dtype, shape and place in the data.

    Raises:
        UserError: the file is not a whole safetensors file.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                raise ValueError
            header: dict[str, Any] = json.loads(file.read(length))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        if 8 + length + end > path.stat().st_size:
            raise ValueError
    except (ValueError, struct.error, OSError, KeyError, TypeError, AttributeError):
        raise UserError(f"encoder.model_name_or_path: {path} is not a whole safetensors file; fetch it again") from None
    return 8 + length, entries


@cache
def _file_hash(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
