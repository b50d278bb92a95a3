"""Kept weights as transformers models: opened as anybody opens them, their outputs are those of the kept weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    XLMRobertaConfig,
)

from raystilts.errors import UserError
from raystilts.planning.encoders import describe_encoder
from raystilts.study.encoder import Encoder
from raystilts.study.schema import Study
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.collate import Batch
from raystilts.training.encoder import Pretrained, pretrained
from raystilts.training.export import TrainedHead, export_classifier, export_sentence_encoder
from raystilts.training.model import Head, Model, plain_head, pool_tokens

from .examples import study

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
         "max_position_embeddings": 64, "pad_token_id": 1}  # fmt: skip
CONFIGS: dict[str, Any] = {
    "bert": BertConfig(**SIZES),
    "xlm-roberta": XLMRobertaConfig(**SIZES, type_vocab_size=1),
    "albert": AlbertConfig(**SIZES, embedding_size=8),
    "deberta-v2": DebertaV2Config(**SIZES, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=4),
    "electra": ElectraConfig(**SIZES, embedding_size=8),
    "distilbert": DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=32, pad_token_id=1),
}
LABELS = ("no", "perhaps", "yes")
HEADS: dict[str, tuple[TrainedHead, str]] = {
    "sequence": (TrainedHead("sequence", LABELS), "AutoModelForSequenceClassification"),
    "regression": (TrainedHead("regression", scale=(1.0, 5.0)), "AutoModelForSequenceClassification"),
    "choice": (TrainedHead("choice"), "AutoModelForMultipleChoice"),
    "token": (TrainedHead("token", LABELS), "AutoModelForTokenClassification"),
    "span": (TrainedHead("span"), "AutoModelForQuestionAnswering"),
}


def fresh(folder: Path, name: str, tokenizer: Any) -> Pretrained:
    """A tiny encoder of an architecture."""
    torch.manual_seed(1)
    config = CONFIGS[name].__class__.from_dict(CONFIGS[name].to_dict() | {"vocab_size": len(tokenizer)})
    AutoModel.from_config(config).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    return pretrained(describe_encoder(Encoder(model_name_or_path=str(folder / "encoder"))))


def head_of(kind: Any, pooling: Any = "first") -> Head:
    """A head whose weights are of the size of trained ones, of 3 classes or 4 choices."""
    return plain_head(kind, 16, 4 if kind == "choice" else 3, 0.1, pooling)


def kept(folder: Path, name: str, tokenizer: Any, kind: str, pooling: Any = "first") -> tuple[Path, Study, Model]:
    """A training of an architecture that is kept."""
    loaded = fresh(folder, name, tokenizer)
    model = Model(loaded.model, [head_of(kind, pooling)]).eval()
    checkpoint = Checkpoints(folder / "checkpoints").save("key", model, loaded, {})
    return checkpoint, study(folder / "encoder", encoder={"model_name_or_path": "x", "pooling": pooling}), model


def batch(vocabulary: int) -> Batch:
    """Eight sequences of 4 to 11 tokens."""
    ids = torch.randint(5, vocabulary, (8, 11), generator=torch.Generator().manual_seed(3))
    mask = (torch.arange(11) < torch.arange(4, 12)[:, None]).long()
    return Batch(torch.where(mask.bool(), ids, 1), mask, None, None)


def theirs(folder: Path, kind: str, given: Batch) -> Tensor:
    """What plain transformers says, with nothing of ours."""
    return logits_of(getattr(transformers, HEADS[kind][1]).from_pretrained(folder).eval(), kind, given)


def logits_of(model: Any, kind: str, given: Batch) -> Tensor:
    """The outputs of a model of transformers, or of peft around one."""
    inputs = {"input_ids": given.input_ids, "attention_mask": given.attention_mask}
    if kind == "choice":
        inputs = {name: tensor.view(2, 4, -1) for name, tensor in inputs.items()}
    found = model(**inputs)
    logits: Tensor = torch.stack([found.start_logits, found.end_logits], -1) if kind == "span" else found.logits
    return logits


@torch.no_grad()
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("name", ["bert", "xlm-roberta", "albert", "deberta-v2", "electra", "distilbert"])
def test_logits_are_those_of_the_kept_weights(tmp_path: Path, tiny_tokenizer: Any, name: str, kind: str) -> None:
    checkpoint, one, model = kept(tmp_path, name, tiny_tokenizer, kind)
    out = tmp_path / "out"
    # Another activation between the head's layers, which no setting changes.
    refused = {("electra", "sequence"), ("electra", "regression"), ("distilbert", "choice")}
    if (name, kind) in refused | {("distilbert", "sequence"), ("distilbert", "regression")}:
        with pytest.raises(UserError, match=rf"^{name}: transformers has no class that computes this model"):
            export_classifier(checkpoint, HEADS[kind][0], one, out, {})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "encoder"]
        return
    given = batch(len(tiny_tokenizer))
    ours = model.head(0)(model.states(given), given)
    if kind == "regression":
        ours = 1.0 + 4.0 * ours  # on the scale of the data, not from 0 to 1 as it was trained
    class_name = export_classifier(checkpoint, HEADS[kind][0], one, out, {"README.md": "the card"})
    found = theirs(out, kind, given)
    there = given.attention_mask.bool() if kind in ("token", "span") else slice(None)
    torch.testing.assert_close(found[there], ours[there], rtol=1e-5, atol=1e-5)
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == [class_name]
    assert (out / "README.md").read_text() == "the card"
    if kind == "regression":
        assert config["problem_type"] == "regression"
    if kind in ("sequence", "token"):
        assert config["id2label"] == {"0": "no", "1": "perhaps", "2": "yes"}
        assert config["label2id"] == {"no": 0, "perhaps": 1, "yes": 2}


def test_a_pipeline_says_the_names_of_the_classes(tmp_path: Path, tiny_tokenizer: Any) -> None:
    checkpoint, one, model = kept(tmp_path, "xlm-roberta", tiny_tokenizer, "sequence")
    export_classifier(checkpoint, HEADS["sequence"][0], one, tmp_path / "out", {})
    [found] = transformers.pipeline("text-classification", str(tmp_path / "out"))("the token")
    ids = torch.tensor([tiny_tokenizer("the token")["input_ids"]])
    given = Batch(ids, torch.ones_like(ids), None, None)
    with torch.no_grad():
        scores = model.head(0)(model.states(given), given).softmax(-1)[0]
    assert found["label"] == LABELS[int(scores.argmax())]
    assert found["score"] == pytest.approx(float(scores.max()), abs=1e-5)


def test_a_head_on_the_mean_has_no_class(tmp_path: Path, tiny_tokenizer: Any) -> None:
    checkpoint, one, _ = kept(tmp_path, "bert", tiny_tokenizer, "sequence", "mean")
    with pytest.raises(UserError, match="on the mean tokens"):
        export_classifier(checkpoint, HEADS["sequence"][0], one, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_as_it_is(tmp_path: Path, tiny_tokenizer: Any) -> None:
    checkpoint, one, _ = kept(tmp_path, "bert", tiny_tokenizer, "token")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(UserError, match="there is something already"):
        export_classifier(checkpoint, HEADS["token"][0], one, tmp_path / "out", {})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("layer", [1, -1])
def test_sentence_vectors_are_those_of_the_retrieval_targets(
    tmp_path: Path, tiny_tokenizer: Any, layer: int, pooling: Any
) -> None:
    checkpoint, one, model = kept(tmp_path, "xlm-roberta", tiny_tokenizer, "token")
    read = {"model_name_or_path": "x", "retrieval_layer": layer, "retrieval_pooling": pooling}
    export_sentence_encoder(checkpoint, Study.model_validate(one.model_dump() | {"encoder": read}),
                            tmp_path / "out", {})  # fmt: skip
    given = batch(len(tiny_tokenizer))
    ours = pool_tokens(model.states(given, layer), given.attention_mask, pooling)
    opened = AutoModel.from_pretrained(tmp_path / "out").eval()
    states = opened(input_ids=given.input_ids, attention_mask=given.attention_mask).last_hidden_state
    torch.testing.assert_close(pool_tokens(states, given.attention_mask, pooling), ours, rtol=1e-5, atol=1e-5)
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert [one["type"].rpartition(".")[2] for one in modules] == ["Transformer", "Pooling"]
    sentences = pytest.importorskip("sentence_transformers")
    texts = ["the token of a token", "and"]
    found = sentences.SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(texts, convert_to_tensor=True)
    for text, vector in zip(texts, found, strict=True):
        ids = torch.tensor([tiny_tokenizer(text)["input_ids"]])
        alone = Batch(ids, torch.ones_like(ids), None, None)
        mine = pool_tokens(model.states(alone, layer), alone.attention_mask, pooling)[0]
        torch.testing.assert_close(vector, mine, rtol=1e-5, atol=1e-5)
