"""What an encoder needs is there, or it is refused; what it can do with it is used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from raystilts.errors import UserError
from raystilts.planning.data import masked_lm_task
from raystilts.planning.encoders import describe_encoder
from raystilts.planning.stages import plan
from raystilts.study.encoder import Encoder
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import MaskedLM
from raystilts.tasks.registry import get_task
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.data import DataReader
from raystilts.training.encoder import Pretrained, hidden_states, pretrained, tokenizer_notes
from raystilts.training.loop import _optimizer
from raystilts.training.model import Model, build_head, compact_rows
from raystilts.training.rehearsal import compare_stage

from .architectures import checkpoint, configurations, plain_encoder
from .examples import study


def load(folder: Path) -> Pretrained:
    return pretrained(describe_encoder(Encoder(model_name_or_path=str(folder))))


@pytest.fixture
def folder(tiny_encoder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny encoder that a test may spoil."""
    shutil.copytree(tiny_encoder, tmp_path / "encoder")
    return tmp_path / "encoder"


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def configure(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def without(part: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda tensors: {name: one for name, one in tensors.items() if part not in name}


@pytest.mark.parametrize(
    "part", ["encoder.layer.1.", "word_embeddings", "LayerNorm", "encoder.layer.0.output.dense.bias"]
)
def test_an_encoder_that_lacks_weights_is_refused(folder: Path, part: str) -> None:
    rewrite(folder, without(part))
    with pytest.raises(UserError, match=r"tensors of a bert are missing \(.*take a checkpoint that is whole"):
        load(folder)


def test_fewer_layers_than_the_configuration_says(folder: Path) -> None:
    configure(folder, num_hidden_layers=3)
    with pytest.raises(UserError, match=r"16 of the \d+ tensors of a bert are missing \(encoder\.layer\.2"):
        load(folder)


def test_weights_of_another_architecture(folder: Path, tiny_tokenizer: Any, tmp_path: Path) -> None:
    other = checkpoint("GPT-2", tiny_tokenizer, tmp_path / "gpt2")
    shutil.copy(other / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(UserError, match="tensors of a bert are missing"):
        load(folder)


def test_a_tokenizer_larger_than_the_embeddings(folder: Path) -> None:
    rows = 100
    configure(folder, vocab_size=rows)
    rewrite(folder, lambda tensors: {n: t[:rows].clone() if "word_embeddings" in n else t for n, t in tensors.items()})
    with pytest.raises(UserError, match=r"its tokenizer has ids up to \d+, its word embeddings 100 rows"):
        load(folder)


def test_a_tokenizer_that_knows_no_words(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"] = content["model"]["vocab"][:5]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="its tokenizer knows no words"):
        load(folder)


def test_a_tokenizer_without_padding_pads_with_another_token(folder: Path) -> None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            settings = json.loads((folder / name).read_text())
            settings.pop("pad_token", None)
            (folder / name).write_text(json.dumps(settings))
    loaded = load(folder)
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id


def test_a_sentencepiece_model_alone_says_what_to_install(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(b"\n\x0e")
    with pytest.raises(UserError, match=r"sentencepiece\.bpe\.model.*pip install sentencepiece protobuf"):
        load(folder)


def test_a_normaliser_that_transformers_drops_is_said(folder: Path) -> None:
    """A lowercasing tokenizer of the XLM-R class: its class makes a normaliser of its own."""
    assert tokenizer_notes(load(folder)) == []
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["normalizer"] = {"type": "Lowercase"}
    file.write_text(json.dumps(content))
    assert tokenizer_notes(load(folder)) == [], "the general class takes the file as it is"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "XLMRobertaTokenizer"}))
    configure(folder, architectures=["XLMRobertaModel"])
    [note] = tokenizer_notes(load(folder))
    assert "gives other ids than tokenizer.json itself" in note


@pytest.mark.parametrize(("name", "expected"), [("BERT", 512), ("RoBERTa", 128), ("XLM-R", 512), ("MPNet", 510),
                                                ("XLM-R, 66 positions", 64), ("mBART", 128), ("T5", None)])  # fmt: skip
def test_positions_that_a_sequence_may_have(
    name: str, expected: int | None, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    loaded = load(checkpoint(name, tiny_tokenizer, tmp_path))
    assert loaded.positions == expected
    hp = Hyperparameters(max_train_samples=20, max_length=600)
    longest = int(DataReader(loaded, None).training(get_task("cldr_span"), hp).input_ids.lengths.max())
    assert longest == min(182, expected or 600)
    ids = torch.full((1, longest), 9)
    assert torch.isfinite(hidden_states(loaded.model.eval(), ids, None, None, None)).all()


@pytest.mark.parametrize("name", ["Gemma 3", "mBART"])
def test_scaled_embeddings_keep_their_scale_in_training(name: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    model = load(checkpoint(name, tiny_tokenizer, tmp_path)).model.eval()
    words = model.get_input_embeddings()  # type: ignore[operator]
    ids, used = torch.tensor([[5, 9, 7]]), torch.tensor([1, 5, 7, 9])
    expected = words(ids)
    assert not torch.equal(expected, words.weight[ids])
    with compact_rows(model, used):
        table = model.get_input_embeddings().train()  # type: ignore[operator]
        assert torch.equal(table(ids), expected)
        assert table(ids).requires_grad


@pytest.mark.parametrize("name", sorted(configurations()))
def test_word_embeddings_never_decay(name: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    """A row that no example has stays as it was, whatever the table is called."""
    loaded = load(checkpoint(name, tiny_tokenizer, tmp_path))
    model = Model(loaded.model, [build_head(get_task("cldr_names"), loaded, "mean", 0)])
    named = dict(model.named_parameters())
    optimizer = _optimizer(model, named, Hyperparameters(weight_decay=0.1), torch.device("cpu"))
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert id(loaded.model.get_input_embeddings().weight) not in decayed  # type: ignore[operator]
    assert any(id(p) in decayed for p in named.values())


def test_old_names_of_layer_norms_train_and_open_again(tiny_tokenizer: Any, tmp_path: Path) -> None:
    loaded = load(checkpoint("BERT, old names (LayerNorm.gamma)", tiny_tokenizer, tmp_path / "old"))
    checkpoints = Checkpoints(tmp_path / "kept")
    saved = checkpoints.save("key", Model(loaded.model, []), loaded, {})
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    loaded.restore(saved, torch.device("cpu"))
    assert all(torch.equal(one, before[name]) for name, one in loaded.model.state_dict().items())
    ids = torch.tensor([[0, 5, 6, 2]])
    states = hidden_states(loaded.model.eval(), ids, None, None, None)
    assert torch.allclose(plain_encoder(saved)(input_ids=ids).last_hidden_state, states, atol=1e-5)


@pytest.mark.parametrize("name", ["BERT", "BERT, old names (LayerNorm.gamma)", "RoBERTa", "XLM-R", "DeBERTa-v2",
                                  "ModernBERT", "DistilBERT", "ELECTRA", "ALBERT", "MPNet"])  # fmt: skip
def test_masked_lm_starts_from_the_head_of_the_checkpoint(name: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    """The scores of transformers' own model for masked LM."""
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(0)
    config = configurations()[name]()
    plain: Any = AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for key, parameter in plain.named_parameters():
            if parameter.ndim == 1 and ("bias" in key or "beta" in key):
                parameter.normal_()
    plain.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    if "old names" in name:
        rewrite(tmp_path, lambda tensors: {
            key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): one
            for key, one in tensors.items()
        })  # fmt: skip
    loaded = load(tmp_path)
    head = build_head(masked_lm_task(MaskedLM(languages=("en",), max_steps=1)), loaded, "first", 0).eval()
    ids = torch.tensor([[0, 5, 6, 7, 2]])
    states = hidden_states(loaded.model.eval(), ids, None, None, None)
    from raystilts.training.collate import Batch

    found = head(states, Batch(ids, torch.ones_like(ids), None, None)).detach()
    torch.testing.assert_close(found, plain(input_ids=ids).logits.detach(), atol=1e-4, rtol=1e-4)


def test_a_checkpoint_that_was_cut_short_counts_as_none(tiny: Pretrained, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    head = build_head(get_task("cldr_names"), tiny, "first", 0)
    saved = checkpoints.save("key", Model(tiny.model, [head]), tiny, {})
    assert checkpoints.has("key")
    for name in ("model.safetensors", "heads/model.safetensors"):
        whole = (saved / name).read_bytes()
        (saved / name).write_bytes(whole[:-10])
        assert (checkpoints.has("key"), checkpoints.find("key")) == (False, None)
        assert checkpoints.save("key", Model(tiny.model, [head]), tiny, {}) == saved, "it is made again in its place"
        assert checkpoints.find("key") == saved
        assert (saved / name).read_bytes() == whole


@pytest.mark.parametrize("name", ["Llama", "Qwen 3", "GPT-2"])
def test_a_decoder_may_see_both_ways(name: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    folder = checkpoint(name, tiny_tokenizer, tmp_path)
    plain, both = (
        describe_encoder(Encoder(model_name_or_path=str(folder), attention=attention))
        for attention in (None, "bidirectional")
    )
    assert both.fingerprint != plain.fingerprint
    ids = torch.tensor([[5, 9, 7, 11], [5, 9, 7, 6]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    for info, alike in ((plain, True), (both, False)):
        model = pretrained(info).model.eval()
        with torch.no_grad():
            one, other = hidden_states(model, ids, None, None, None)
            assert torch.allclose(one[:3], other[:3], atol=1e-6) is alike
            padded = hidden_states(model, ids, mask, None, None)[1, :3]
            assert torch.allclose(padded, hidden_states(model, ids[1:, :3], None, None, None)[0], atol=1e-6)
    asked = {"model_name_or_path": str(folder), "attention": "bidirectional"}
    one = study(folder, encoder=asked, intermediates=["none"])
    planned = plan(one)
    for stage in (*planned.of_kind("target"), *planned.of_kind("retrieval")):
        compare_stage(stage, one, device="cpu", encoder=planned.encoder)


def test_both_ways_where_that_cannot_be(tiny_encoder: Path, tiny_tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"encoder\.attention: bidirectional: bert is no decoder"):
        describe_encoder(Encoder(model_name_or_path=str(tiny_encoder), attention="bidirectional"))
    gemma = checkpoint("Gemma 3", tiny_tokenizer, tmp_path)
    with pytest.raises(UserError, match="the attention of a gemma3_text cannot be changed"):
        pretrained(describe_encoder(Encoder(model_name_or_path=str(gemma), attention="bidirectional")))


def test_a_study_asks_nothing_that_its_encoder_cannot_do(
    tiny_encoder: Path, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    def planned(folder: Path, **changes: Any) -> None:
        encoder = {"model_name_or_path": str(folder), **changes.pop("encoder", {})}
        plan(study(folder, encoder=encoder, **changes))

    for layer in (3, -4):
        with pytest.raises(UserError, match=rf"encoder\.retrieval_layer: {layer}: the bert has 2 layers"):
            planned(tiny_encoder, encoder={"retrieval_layer": layer})
    for layer in (0, 2, -1, -3):
        planned(tiny_encoder, encoder={"retrieval_layer": layer})
    planned(tiny_encoder, encoder={"retrieval_layer": 3}, targets=["cldr_units"])  # no hidden states are read
    llama = checkpoint("Llama", tiny_tokenizer, tmp_path / "llama")
    planned(llama)
    with pytest.raises(UserError, match=r"encoder\.pooling: first: llama is a decoder.*give last or mean"):
        planned(llama, encoder={"pooling": "first"})
    with pytest.raises(UserError, match=r"encoder\.retrieval_pooling: first: llama is a decoder"):
        planned(llama, encoder={"retrieval_pooling": "first"})
    with pytest.raises(UserError, match=r"intermediates\.0\.masked_lm: llama is no masked language model"):
        planned(llama, intermediates=[{"task": "cldr_names", "masked_lm": {"text_of": "cldr_units"}}])


def test_weights_that_are_replaced_while_they_are_in_use_are_not_read(folder: Path) -> None:
    loaded = load(folder)
    loaded.restore(None, torch.device("cpu"))
    shutil.move(folder / "model.safetensors", folder.parent / "model.safetensors")
    loaded.restore(None, torch.device("cpu"))
    tensors = load_file(folder.parent / "model.safetensors")
    save_file({name: one + 1 for name, one in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="its weights were replaced while they were in use; run the study again"):
        loaded.restore(None, torch.device("cpu"))


def test_the_same_weights_are_pooled_as_each_stage_asks(tiny_encoder: Path) -> None:
    """One process holds them once: the first study's pooling is not the next one's."""
    first = pretrained(describe_encoder(Encoder(model_name_or_path=str(tiny_encoder), pooling="first")))
    model = first.model
    mean = pretrained(describe_encoder(Encoder(model_name_or_path=str(tiny_encoder), pooling="mean")))
    assert mean.info.pooling == "mean"
    assert mean.model is model, "nothing was loaded again"
