from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from raystilts.errors import UserError
from raystilts.planning.architectures import Architecture
from raystilts.planning.encoders import EMBEDDED, describe_encoder
from raystilts.study.encoder import Encoder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder that looks like a checkpoint: six parameters, four of them embeddings."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "num_hidden_layers": 3}))
    (folder / "tokenizer.json").write_text("{}")
    words = np.ones((2, 2), dtype=np.float32)
    save_file({"embeddings.word_embeddings.weight": words, "bias": words[0]}, folder / "model.safetensors")
    return folder


def fingerprint(folder: Path) -> str:
    return describe_encoder(Encoder(model_name_or_path=str(folder))).fingerprint


def test_a_folder_is_described_without_being_loaded(checkpoint: Path) -> None:
    info = describe_encoder(Encoder(model_name_or_path=str(checkpoint)))
    assert (info.location, info.verified, info.parameters, info.embedding_parameters) == (str(checkpoint), True, 6, 4)


def test_the_fingerprint_is_of_content_not_of_place(checkpoint: Path, tmp_path: Path) -> None:
    before = fingerprint(checkpoint)
    shutil.copytree(checkpoint, tmp_path / "copy")
    (checkpoint / "README.md").write_text("notes")
    assert fingerprint(checkpoint) == fingerprint(tmp_path / "copy") == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "spm.model"])
def test_the_fingerprint_changes_with_each_file(checkpoint: Path, name: str) -> None:
    before = fingerprint(checkpoint)
    (checkpoint / name).write_text(json.dumps({"model_type": "bert", "changed": name}))
    assert fingerprint(checkpoint) != before


def test_the_fingerprint_changes_with_the_weights(checkpoint: Path) -> None:
    before = fingerprint(checkpoint)
    save_file({"bias": np.zeros(6, dtype=np.float32)}, checkpoint / "model.safetensors")
    assert fingerprint(checkpoint) != before


@pytest.mark.parametrize("size", [0, 5, 60, -1])
def test_truncated_weights(checkpoint: Path, size: int) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"model\.safetensors is not a whole safetensors file; fetch it again"):
        fingerprint(checkpoint)


@pytest.mark.parametrize("content", [b"\xff" * 64, b"\x02" + b"\0" * 7 + b"[]", b"version https://git-lfs.github.com"])
def test_files_that_are_no_safetensors(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a whole safetensors file"):
        fingerprint(checkpoint)


def test_what_a_configuration_says(checkpoint: Path) -> None:
    found = describe_encoder(Encoder(model_name_or_path=str(checkpoint))).architecture
    assert found == Architecture("bert", "encoder", 3)
    (checkpoint / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json is not the configuration of a model"):
        fingerprint(checkpoint)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hidden_size": "x"}, "hidden_size is 'x', and must be a whole number from 1"),
        ({"hidden_size": 0}, "hidden_size is 0, and must be a whole number from 1"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1, and must be a whole number from 1"),
        ({"num_hidden_layers": [2]}, r"num_hidden_layers is \[2\], and must be a whole number from 1"),
        ({"vocab_size": True}, "vocab_size is True, and must be a whole number from 1"),
        ({"vocab_size": 9, "pad_token_id": 9}, "pad_token_id is 9, and must be below vocab_size, 9"),
        ({"pad_token_id": "x"}, "pad_token_id is 'x', and must be a whole number or null"),
        ({"hidden_size": 8, "num_attention_heads": 3}, "hidden_size is 8, and must be a multiple of num_attention_h"),
    ],
)
def test_numbers_of_which_no_model_can_be_made(checkpoint: Path, given: dict[str, Any], said: str) -> None:
    (checkpoint / "config.json").write_text(json.dumps({"model_type": "bert", **given}))
    with pytest.raises(UserError, match=rf"config\.json: {said}.*; fetch it again"):
        fingerprint(checkpoint)


@pytest.mark.parametrize("config", [[], 3, {"model_type": None}])
def test_what_is_no_configuration(checkpoint: Path, config: Any) -> None:
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"config\.json is not the configuration of a model"):
        fingerprint(checkpoint)


def test_weights_that_are_a_folder(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors").mkdir()
    with pytest.raises(UserError, match=r"holds no \*\.safetensors"):
        fingerprint(checkpoint)


@pytest.mark.parametrize("name", ["a b/c", "-a/b", "a..b/c", " ", "é/x", "a/b.git", "a" * 120])
def test_names_that_the_hub_cannot_have(name: str) -> None:
    with pytest.raises(
        UserError, match=r"encoder\.model_name_or_path: .* no id on the Hugging Face hub can be called so"
    ):
        describe_encoder(Encoder(model_name_or_path=name))


@pytest.mark.parametrize("name", ["a\0b", "~nosuchuser/x", "x" * 500])
def test_names_that_are_no_paths(name: str) -> None:
    with pytest.raises(UserError, match=r"encoder\.model_name_or_path: ") as error:
        describe_encoder(Encoder(model_name_or_path=name))
    assert len(str(error.value)) < 300


def test_the_embedded_encoder_has_no_revisions(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"encoder\.revision: 'abc': raystilts-mini is embedded .*; leave it out"):
        describe_encoder(Encoder(revision="abc"))
    copy = describe_encoder(Encoder(model_name_or_path=str(checkpoint), revision="abc"))
    assert copy == describe_encoder(Encoder(model_name_or_path=str(checkpoint)))


@pytest.mark.parametrize("others", [(), ("tokenizer_config.json", "special_tokens_map.json")])
def test_settings_of_a_tokenizer_are_no_tokenizer(checkpoint: Path, others: tuple[str, ...]) -> None:
    (checkpoint / "tokenizer.json").unlink()
    for name in others:
        (checkpoint / name).write_text("{}")
    with pytest.raises(UserError, match="holds no tokenizer"):
        fingerprint(checkpoint)


def test_missing_parts(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(UserError, match="raystilts loads safetensors only"):
        fingerprint(checkpoint)
    (checkpoint / "config.json").unlink()
    with pytest.raises(UserError, match=r"holds no config\.json"):
        fingerprint(checkpoint)


@pytest.mark.parametrize("name", ["/no/where", "./nowhere", "a/b/c"])
def test_no_such_folder(name: str) -> None:
    with pytest.raises(UserError, match=r"encoder\.model_name_or_path: .*no such folder"):
        describe_encoder(Encoder(model_name_or_path=name))


def test_a_hub_encoder_that_is_not_here_is_not_verified() -> None:
    info = describe_encoder(Encoder(model_name_or_path="raystilts-tests/nothing", revision="abc"))
    assert (info.verified, info.parameters, info.fingerprint) == (False, None, "hub:raystilts-tests/nothing@abc")


def test_the_embedded_encoder() -> None:
    info = describe_encoder(Encoder())
    assert info.location == str(EMBEDDED["raystilts-mini"])
    assert info.verified
    assert info.parameters is not None
    assert info.parameters < 13_000_000
