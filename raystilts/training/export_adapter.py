"""Kept adapters for others: in peft's own format, or merged into the encoder for all that reads whole checkpoints.

A target's adapter comes on top of its intermediate's. Two low-rank additions are one whose rank is the sum of both, so
that peft's file holds them together, with the trained head as modules that are saved whole. It is opened as anybody
would open it, on the pretrained encoder, and its outputs are compared, as in `export.py`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raystilts.errors import UserError
from raystilts.planning.encoders import describe_encoder
from raystilts.study.schema import Study
from raystilts.training.adapters import WEIGHTS, Change, LowRank, load_changes, lora_config, peft_tensors
from raystilts.training.collate import Batch
from raystilts.training.encoder import Pretrained, load_weights, pretrained
from raystilts.training.export import (
    CLASSES,
    Outputs,
    Refusal,
    TrainedHead,
    check_equal,
    class_outputs,
    own_head,
    own_outputs,
    with_head,
    write_documents,
    written,
)
from raystilts.training.model import Model

#: peft's names of what a model is for.
_TASKS = {
    "sequence": "SEQ_CLS", "regression": "SEQ_CLS", "choice": "FEATURE_EXTRACTION", "token": "TOKEN_CLS",
    "span": "QUESTION_ANS",
}  # fmt: skip


@contextmanager
def whole_checkpoint(checkpoint: Path, study: Study) -> Iterator[Path]:
    """A kept training as a folder with the whole encoder: itself, or for the block's length its adapters merged.

    Raises:
        UserError: the study's encoder is not the one that they were trained on.
    """
    info = describe_encoder(study.encoder)
    if load_changes(checkpoint, info) is None:
        yield checkpoint
        return
    loaded = pretrained(info)
    loaded.restore(checkpoint, torch.device("cpu"))
    with _saved_whole(loaded, checkpoint) as folder:
        yield folder


@contextmanager
def _saved_whole(loaded: Pretrained, checkpoint: Path) -> Iterator[Path]:
    """An encoder that was restored from a kept adapter, with the heads of that, as a folder for the block's length."""
    with tempfile.TemporaryDirectory(prefix="raystilts-merged-") as folder:
        place = Path(folder) / checkpoint.name
        model: Any = loaded.model
        model.save_pretrained(place, save_original_format=False)
        loaded.tokenizer.save_pretrained(place)
        shutil.copytree(checkpoint / "heads", place / "heads")
        yield place


def export_adapter(
    checkpoint: Path, head: TrainedHead | None, study: Study, out: Path, documents: Mapping[str, str]
) -> str:
    """Writes a kept adapter in peft's format; returns the name of the class that it opens as.

    Args:
        head: None for an encoder without a head.
        out: A folder that is not there yet, or empty.
        documents: Further files by name, such as the model card.

    Raises:
        UserError: it is no adapter in peft's sense, transformers has no class with its head, or `out` is in use.
    """
    from peft import PeftModel

    info = describe_encoder(study.encoder)
    adapter = _one_adapter(load_changes(checkpoint, info))
    loaded = pretrained(info)
    loaded.restore(checkpoint, torch.device("cpu"))
    with _saved_whole(loaded, checkpoint) as merged, written(out) as folder:
        loaded.model.eval()
        opened = _Opened(loaded, head, merged)
        exported, prefix, heads = opened.model, opened.prefix, opened.heads
        ranks = Counter(len(a) for a, _ in adapter.layers.values())
        usual = ranks.most_common(1)[0][0]
        other = {f"{prefix}{name}": len(a) for name, (a, _) in adapter.layers.items() if len(a) != usual}
        config = lora_config(
            LowRank(
                {f"{prefix}{n}": pair for n, pair in adapter.layers.items()}, usual,
                adapter.alpha, adapter.dropout, adapter.transposed,
            ),
            task_type="FEATURE_EXTRACTION" if head is None else _TASKS[head.kind],
            modules_to_save=heads or None,
            rank_pattern=other,
            alpha_pattern=dict(other),
            base_model_name_or_path=info.location,
            revision=info.revision,
        )  # fmt: skip
        config.inference_mode = True
        config.save_pretrained(folder)
        _save(folder, peft_tensors(adapter, prefix) | _head_tensors(exported, heads))
        exported.config.save_pretrained(folder)
        write_documents(folder, documents)
        base = type(exported).from_pretrained(info.location, config=exported.config, dtype=torch.float32)
        again = PeftModel.from_pretrained(base, str(folder)).eval()
        check_equal(opened.ours, _outputs(again, head), loaded, opened.refuse)
    return type(again).__name__


def _save(folder: Path, tensors: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file

    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


class _Opened:
    """transformers' model of a merged training, and where the encoder and the head are in it.

    Attributes:
        prefix: What stands before the encoder's own names.
        heads: Names of the layers of the head.
        ours: What the kept weights say.
    """

    def __init__(self, loaded: Pretrained, head: TrainedHead | None, merged: Path) -> None:
        import transformers

        pooling = loaded.info.pooling
        kind = "encoder" if head is None else head.kind
        self.refuse = Refusal(loaded.config.model_type, kind, pooling)
        self.heads: list[str] = []
        if head is None:
            self.model: Any = transformers.AutoModel.from_pretrained(merged, dtype=torch.float32)
            self.prefix, self.ours = "", _states(loaded)
            return
        own = own_head(loaded, head, pooling, load_weights(merged / "heads"))
        self.model = with_head(getattr(transformers, CLASSES[head.kind]), merged, head, own, self.refuse)
        self.prefix = f"{self.model.base_model_prefix}."
        known = {f"{self.prefix}{name}" for name, _ in loaded.model.named_parameters()}
        new = [name for name, _ in self.model.named_parameters() if name not in known]
        # A head outside the encoder as a whole, as peft itself names a classifier.
        layers = [name.rpartition(".")[0] for name in new]
        self.heads = list(dict.fromkeys(n if n.startswith(self.prefix) else n.partition(".")[0] for n in layers))
        self.ours = own_outputs(loaded, own, head.kind)


def _states(loaded: Pretrained) -> Outputs:
    def outputs(batch: Batch) -> Tensor:
        return Model(loaded.model, []).states(batch)[batch.attention_mask.bool()]

    return outputs


def _outputs(model: Any, head: TrainedHead | None) -> Outputs:
    if head is not None:
        return class_outputs(model, head.kind)

    def outputs(batch: Batch) -> Tensor:
        states: Tensor = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
        return states[batch.attention_mask.bool()]

    return outputs


def _head_tensors(model: Any, heads: Sequence[str]) -> dict[str, Tensor]:
    """The head's weights by peft's names."""
    return {
        f"base_model.model.{module}.{name}": tensor.detach().contiguous()
        for module in heads
        for name, tensor in model.get_submodule(module).named_parameters()
    }


def _one_adapter(changes: tuple[Change, ...] | None) -> LowRank:
    """All changes as one low-rank addition.

    Raises:
        UserError: some are none.
    """
    if changes is None:
        raise UserError("--adapter: this model was trained whole, or its intermediate was; export it without --adapter")
    found = [one for one in changes if isinstance(one, LowRank)]
    if len(found) < len(changes):
        raise UserError(
            "--adapter: bitfit, head_only and freeze train the weights themselves, for which peft has no format; "
            "export the model without --adapter"
        )
    if len(found) == 1:
        return found[0]
    layers: dict[str, tuple[Tensor, Tensor]] = {}
    for name in dict.fromkeys(name for one in found for name in one.layers):
        parts = [(*one.layers[name], one.alpha / one.r) for one in found if name in one.layers]
        layers[name] = (torch.cat([a for a, _, _ in parts]), torch.cat([b * scale for _, b, scale in parts], dim=1))
    rank = Counter(len(a) for a, _ in layers.values()).most_common(1)[0][0]
    return LowRank(layers, rank, float(rank), 0.0, found[0].transposed)
