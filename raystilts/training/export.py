"""Kept weights as a folder that plain transformers opens: the encoder with its trained head, tokenizer, label names.

transformers' heads have layers of their own (BERT's pooler, RoBERTa's dense layer), whose weights are ours where they
compute the same. Whether a class does is not looked up but tried: the folder is opened as anybody would open it, and
its outputs are compared with those of the kept weights. One that differs is refused, and nothing is left behind.

Encoders for retrieval get the files of sentence-transformers, with the layer and the pooling that they were scored by.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from raystilts.errors import UserError
from raystilts.planning.encoders import describe_encoder
from raystilts.study.encoder import Encoder
from raystilts.study.schema import Study
from raystilts.training.collate import Batch
from raystilts.training.encoder import Pretrained, load_weights, pretrained
from raystilts.training.model import Head, Model, Pooling, plain_head, pool_tokens

HeadKind = Literal["sequence", "regression", "choice", "token", "span"]
#: The largest difference between outputs that is rounding: kernels for padded and unpadded batches round differently.
TOLERANCE = 1e-4
#: Choices of an item that outputs are compared on.
CHOICES = 2
#: transformers' class for each head.
CLASSES: dict[HeadKind, str] = {
    "sequence": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "choice": "AutoModelForMultipleChoice",
    "token": "AutoModelForTokenClassification",
    "span": "AutoModelForQuestionAnswering",
}
#: Where transformers keeps a head's last layer, and the dense layer with tanh before it; the first that is there.
_OUT: dict[HeadKind, tuple[str, ...]] = {
    "sequence": ("classifier.out_proj", "classifier"),
    "regression": ("classifier.out_proj", "classifier"),
    "choice": ("classifier",),
    "token": ("classifier", "score"),
    "span": ("qa_outputs",),
}
_DENSE = ("classifier.dense", "pooler.dense", "pooler", "sequence_summary.summary")
#: Settings of the activation after that dense layer, where an architecture has one (DeBERTa, ELECTRA).
_ACTIVATIONS = ("pooler_hidden_act", "summary_activation")


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """What is to be known of a head beside its weights.

    Attributes:
        labels: Names of classes or tags, in the order of the outputs; none for other heads.
        scale: Regression: the lowest and the highest number of the data; what is exported speaks on this scale.
    """

    kind: HeadKind
    labels: tuple[str, ...] = ()
    scale: tuple[float, float] = (0.0, 1.0)


def export_classifier(
    checkpoint: Path, head: TrainedHead, study: Study, out: Path, documents: Mapping[str, str]
) -> str:
    """Writes a kept target training as a transformers model; returns the name of its class.

    Args:
        checkpoint: The folder of the training.
        study: Says how the encoder is read.
        out: A folder that is not there yet, or empty.
        documents: Further files by name, such as the model card.

    Raises:
        UserError: transformers has no class that computes the same, or `out` is in use.
    """
    import transformers

    loaded = _kept_encoder(checkpoint, study.encoder)
    pooling = loaded.info.pooling
    own = own_head(loaded, head, pooling, load_weights(checkpoint / "heads"))
    kind = getattr(transformers, CLASSES[head.kind])
    refuse = Refusal(loaded.config.model_type, head.kind, pooling)
    exported = with_head(kind, checkpoint, head, own, refuse)
    with written(out) as folder:
        exported.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        write_documents(folder, documents)
        again = kind.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
        check_equal(own_outputs(loaded, own, head.kind), class_outputs(again, head.kind), loaded, refuse)
    return type(exported).__name__


def export_sentence_encoder(checkpoint: Path, study: Study, out: Path, documents: Mapping[str, str]) -> str:
    """Writes an encoder for sentence-transformers as retrieval targets read it: up to their layer, and pooled.

    Args:
        checkpoint: A kept training, or the pretrained encoder.

    Raises:
        UserError: as `export_classifier`.
    """
    from transformers import AutoConfig, AutoModel

    loaded = _kept_encoder(checkpoint, study.encoder)
    asked = study.encoder.sentence_layer(loaded.layers)
    layer = asked if asked >= 0 else loaded.layers + 1 + asked
    pooling = study.encoder.retrieval_pooling
    refuse = Refusal(loaded.config.model_type, f"hidden state {layer}", pooling)
    config = AutoConfig.from_pretrained(checkpoint)
    config.num_hidden_layers = layer
    model = AutoModel.from_pretrained(checkpoint, config=config, dtype=torch.float32, use_safetensors=True)
    with written(out) as folder:
        model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        write_documents(folder, {**documents, **_sentence_files(loaded, pooling)})
        again = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()

        def ours(batch: Batch) -> Tensor:
            return pool_tokens(Model(loaded.model, []).states(batch, layer), batch.attention_mask, pooling)

        def theirs(batch: Batch) -> Tensor:
            states = again(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
            return pool_tokens(states, batch.attention_mask, pooling)

        check_equal(ours, theirs, loaded, refuse)
    return "SentenceTransformer"


def _sentence_files(loaded: Pretrained, pooling: str) -> dict[str, str]:
    """What makes a transformers folder one of sentence-transformers."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    pooled = {
        "word_embedding_dimension": loaded.hidden,
        "pooling_mode_cls_token": pooling == "first",
        "pooling_mode_mean_tokens": pooling == "mean",
    }
    length = {"max_seq_length": loaded.positions or 512, "do_lower_case": False}
    return {
        "modules.json": json.dumps(modules, indent=1),
        "1_Pooling/config.json": json.dumps(pooled, indent=1),
        "sentence_bert_config.json": json.dumps(length, indent=1),
    }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Says that transformers does not compute a head."""

    model_type: str
    head: str
    pooling: str

    def because(self, reason: str) -> UserError:
        return UserError(
            f"{self.model_type}: transformers has no class that computes this model ({self.head}, on the "
            f"{self.pooling} token{'s' if self.pooling == 'mean' else ''}): {reason}; nothing was written"
        )


def _kept_encoder(checkpoint: Path, encoder: Encoder) -> Pretrained:
    """The encoder in a folder, read as a study reads its own."""
    update = {"model_name_or_path": str(checkpoint), "revision": None}
    loaded = pretrained(describe_encoder(encoder.model_copy(update=update)))
    loaded.restore(None, torch.device("cpu"))
    loaded.model.eval()
    return loaded


def own_head(loaded: Pretrained, head: TrainedHead, pooling: Pooling, weights: Mapping[str, Tensor]) -> Head:
    """The trained head: the first one of the training."""
    own = {name.removeprefix("0."): tensor for name, tensor in weights.items() if name.startswith("0.")}
    if head.kind == "regression":
        low, high = head.scale
        own |= {"out.weight": own["out.weight"] * (high - low), "out.bias": own["out.bias"] * (high - low) + low}
    outputs = CHOICES if head.kind == "choice" else len(own["out.weight"])
    built = plain_head(head.kind, loaded.hidden, outputs, 0.0, pooling)
    built.load_state_dict(own)
    return built.eval()


def with_head(kind: Any, checkpoint: Path, head: TrainedHead, own: Head, refuse: Refusal) -> Any:
    """transformers' model with the encoder of a checkpoint and our head in its layers."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint)
    if head.labels:
        config.id2label = dict(enumerate(head.labels))
        config.label2id = {label: index for index, label in enumerate(head.labels)}
    if head.kind == "regression":
        config.num_labels, config.problem_type = 1, "regression"
    for name in _ACTIVATIONS:
        if hasattr(config, name):
            setattr(config, name, "tanh")
    if type(config) not in kind._model_mapping:
        raise refuse.because(f"there is no {kind.__name__} for it")
    given = {"config": config, "dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
    model, loading = kind.from_pretrained(checkpoint, **given)
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    places = {"out": _OUT[head.kind]} | ({"dense": _DENSE} if getattr(own, "dense", None) is not None else {})
    filled: set[str] = set()
    for part, ends in places.items():
        found = [name for end in ends for name in linear if name == end or name.endswith(f".{end}")]
        if not found:
            raise refuse.because(f"its {type(model).__name__} has no layer for the head's {part}")
        filled |= _fill(linear[found[0]], found[0], own.get_submodule(part), refuse)
    left = sorted(set(loading["missing_keys"]) - filled)
    if left:
        raise refuse.because(
            f"its {type(model).__name__} has layers that were not trained here ({', '.join(left[:2])})"
        )
    return model.eval()


def _fill(layer: nn.Linear, name: str, own: nn.Module, refuse: Refusal) -> set[str]:
    """Gives a layer our weights; returns the names of its tensors."""
    assert isinstance(own, nn.Linear)
    if layer.weight.shape != own.weight.shape:
        raise refuse.because(f"its {name} is {tuple(layer.weight.shape)}, ours {tuple(own.weight.shape)}")
    if layer.bias is None and own.bias.any():
        raise refuse.because(f"its {name} has no bias")
    with torch.no_grad():
        layer.weight.copy_(own.weight)
        if layer.bias is not None:
            layer.bias.copy_(own.bias)
    return {f"{name}.weight", f"{name}.bias"}


Outputs = Callable[[Batch], Tensor]


def own_outputs(loaded: Pretrained, own: Head, kind: HeadKind) -> Outputs:
    """What the kept weights say; of padding nothing."""
    model = Model(loaded.model, [own]).eval()

    def outputs(batch: Batch) -> Tensor:
        scores: Tensor = own(model.states(batch), batch)
        return _unpadded(scores, batch) if kind in ("token", "span") else scores

    return outputs


def class_outputs(model: Any, kind: HeadKind) -> Outputs:
    """What an exported model says."""

    def outputs(batch: Batch) -> Tensor:
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if kind == "choice":
            inputs = {name: tensor.view(-1, CHOICES, tensor.shape[1]) for name, tensor in inputs.items()}
        found = model(**inputs)
        if kind == "span":
            return _unpadded(torch.stack([found.start_logits, found.end_logits], dim=-1), batch)
        return _unpadded(found.logits, batch) if kind == "token" else found.logits

    return outputs


def _unpadded(scores: Tensor, batch: Batch) -> Tensor:
    return scores[batch.attention_mask.bool()]


def check_equal(ours: Outputs, theirs: Outputs, loaded: Pretrained, refuse: Refusal) -> None:
    """Compares what is said of sequences of several lengths.

    Raises:
        UserError: it differs by more than rounding.
    """
    with torch.no_grad():
        batch = _probe(loaded)
        mine, its = ours(batch), theirs(batch)
    if mine.shape != its.shape or not torch.allclose(mine, its, rtol=TOLERANCE, atol=TOLERANCE):
        apart = f"by up to {float((mine - its).abs().max()):.3g}" if mine.shape == its.shape else "in shape"
        raise refuse.because(f"its outputs differ from ours {apart}")


def _probe(loaded: Pretrained, sequences: int = 8 * CHOICES) -> Batch:
    """Random tokens in sequences of several lengths, padded."""
    generator = torch.Generator().manual_seed(0)
    longest = min(24, loaded.positions or 24)
    ids = torch.randint(0, len(loaded.tokenizer), (sequences, longest), generator=generator)
    special = torch.tensor(loaded.tokenizer.all_special_ids)
    usual = next(i for i in range(len(loaded.tokenizer)) if i not in set(special.tolist()))
    ids = torch.where(torch.isin(ids, special), torch.full_like(ids, usual), ids)
    lengths = torch.linspace(2, longest, sequences).long()
    mask = (torch.arange(longest) < lengths[:, None]).long()
    return Batch(torch.where(mask.bool(), ids, loaded.tokenizer.pad_token_id), mask, None, None)


class written:  # noqa: N801 (a context manager, used like a function)
    """A folder that takes its name when the block ends well, and is gone otherwise.

    Raises:
        UserError: something is there already.
    """

    def __init__(self, out: Path) -> None:
        check_free(out)
        self.out, self.temporary = out, out.absolute().with_name(f".{out.absolute().name}.{uuid.uuid4().hex}")

    def __enter__(self) -> Path:
        self.temporary.mkdir(parents=True)
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            if self.out.is_dir():
                self.out.rmdir()
            self.temporary.rename(self.out)
        else:
            shutil.rmtree(self.temporary, ignore_errors=True)


def check_free(out: Path) -> None:
    """Refuses a place that holds something.

    Raises:
        UserError: it does.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"--output {out}: there is something already; give a folder that is empty, or not there")


def write_documents(folder: Path, documents: Mapping[str, str]) -> None:
    for name, text in documents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
