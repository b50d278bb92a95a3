"""The pretrained encoder and its tokenizer, loaded once a process and kept warm between stages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from raystilts.errors import UserError, first_line
from raystilts.planning.adapters import encoder_class
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.foreign import PROBE
from raystilts.tasks.encoding import Tokenizer
from raystilts.training.adapters import apply_change, load_changes
from raystilts.training.fast_ops import use_bidirectional_attention, use_fast_dropout, use_sync_free_attention
from raystilts.training.memory import release_memory
from raystilts.training.tokenizer import KeptTokenizer, TokenizerFacts
from raystilts.training.weights import StoredTable, Weights, own_memory

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@dataclass(slots=True)
class Pretrained:
    """A pretrained encoder, ready to be trained from again and again.

    Attributes:
        info: The encoder as the stage at hand asks for it.
        model: The Hugging Face model, on the CPU or wherever the last stage left it.
        words: Its tokenizer, in memory while texts are tokenised.
        weights: Its pretrained weights, never changed: in the encoder's files as far as these hold exactly them.
        lm_head: The checkpoint's masked-LM head by the names of `MaskedLMHead`, empty where it has none.
        layers: Number of layers.
        hidden: Size of a token state.
        positions: Tokens that a sequence may have; None for any number.
        files: What the files of its weights were when they were opened.
        table: The file that the table of words is mapped from, as it was last restored; None where it is in memory.
        borrowed: Whether the model's tensors are the pretrained ones, which are not to be written into.
    """

    info: EncoderInfo
    model: nn.Module
    words: KeptTokenizer
    weights: Weights
    lm_head: dict[str, Tensor]
    layers: int
    hidden: int
    positions: int | None = None
    files: tuple[tuple[str, int, int], ...] = ()
    table: StoredTable | None = None
    borrowed: bool = False

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded now if need be."""
        return self.words.get()

    @property
    def config(self) -> Any:
        """The Hugging Face configuration."""
        return self.model.config

    def restore(self, checkpoint: Path | None, device: torch.device, *, shared: bool = False) -> nn.Module:
        """The model with its pretrained weights, or those of a checkpoint folder, on a device.

        Args:
            shared: Nothing will be written into its tensors: on a CPU they may be the pretrained ones themselves.

        Raises:
            UserError: the checkpoint does not fit the encoder, or the encoder's file is another one by now.
        """
        if not set(_files(self.info)) <= set(self.files):  # those that are gone stay mapped
            raise UserError(
                f"encoder.model_name_or_path: {self.info.location}: its weights were replaced while they were in use; "
                "run the study again"
            )
        changes = None if checkpoint is None else load_changes(checkpoint, self.info)
        if shared and (checkpoint is None or changes is not None):
            words, tensors = word_embeddings(self.model).weight, self._tensors()
            for tensor_name, tensor in tensors.items():
                tensor.data = self.weights[tensor_name].to(device)
            self.model.to(device)
            named = [name for name, tensor in tensors.items() if tensor is words and device.type == "cpu"]
            self.table, self.borrowed = self.weights.table(named[0]) if named else None, True
        else:
            own = self.weights if checkpoint is None or changes is not None else Weights.in_folder(checkpoint)
            self.use(own, device, str(checkpoint))
        table = word_embeddings(self.model).weight.data_ptr()
        for change in changes or ():
            apply_change(self.model, change)
        if word_embeddings(self.model).weight.data_ptr() != table:
            self.table = None  # it is what the change holds, and no more what the file does
        return self.model

    def whole(self, checkpoint: Path) -> Mapping[str, Tensor]:
        """All weights of the encoder in a checkpoint folder, to be read; an adapter's with its change.

        Raises:
            UserError: the checkpoint does not fit the encoder.
        """
        if load_changes(checkpoint, self.info) is None:
            return Weights.in_folder(checkpoint)
        self.restore(checkpoint, torch.device("cpu"), shared=True)
        return {name: tensor.detach() for name, tensor in self._tensors().items()}

    def _tensors(self) -> dict[str, Tensor]:
        """The model's own tensors by the names of `weights`."""
        named: dict[str, Tensor] = dict(self.model.named_parameters(remove_duplicate=False))
        named |= dict(self.model.named_buffers(remove_duplicate=False))
        return {name: named[name] for name in self.weights}

    def use(self, weights: Weights, device: torch.device, source: str) -> nn.Module:
        """Copies weights into tensors of the model's own; a table of words that is mapped is its own by the page.

        Args:
            source: Where they are from, for messages.

        Raises:
            UserError: they do not fit the encoder.
        """
        if self.borrowed:
            for tensor in self._tensors().values():
                tensor.data = torch.empty_like(tensor)
            self.borrowed = False
        self.model.to(device)
        state = self.model.state_dict()
        # A checkpoint holds tensors that have two names (T5's table of words) once.
        there = {state[name].data_ptr() for name in weights if name in state}
        missing = [name for name, tensor in state.items() if name not in weights and tensor.data_ptr() not in there]
        unexpected = [n for n in weights if n not in state or weights.shape(n) != tuple(state[n].shape)]
        if missing or unexpected:
            raise UserError(
                f"{source}: not a checkpoint of {self.info.location} (missing {missing[:2]}, "
                f"unexpected {unexpected[:2]})"
            )
        self.table = weights.load_into(state, word_embeddings(self.model).weight)
        return self.model


def _files(info: EncoderInfo) -> tuple[tuple[str, int, int], ...]:
    """Name, bytes and time of each file of an encoder's weights."""
    found = sorted(Path(info.location).glob("*.safetensors"))
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found)


def load_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of the safetensors files in a folder."""
    from safetensors.torch import load_file

    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def foreign_weights(info: EncoderInfo) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The encoder of a checkpoint from elsewhere, and its masked-LM head by the names of `MaskedLMHead`.

    Its other heads are dropped; the second part is empty where it has no masked-LM head.

    Raises:
        UserError: it does not load, or weights are missing.
    """
    try:
        return open_model(info).state_dict(), _lm_head(info)
    except UserError:
        raise
    except Exception as error:  # each architecture has mistakes of its own in what its configuration says
        raise UserError(f"{info.location} does not load: {first_line(error, 160)}") from error


_WARM: dict[tuple[str, str], Pretrained] = {}


def pretrained(info: EncoderInfo) -> Pretrained:
    """The encoder of a study; a process holds one at a time.

    Raises:
        UserError: the checkpoint cannot be opened as an encoder.
    """
    key = (info.fingerprint, info.location)
    if key not in _WARM:
        _WARM.clear()
        _WARM[key] = _load(info)
    _WARM[key].info = info  # the same weights may be pooled otherwise by the next stage
    return _WARM[key]


def _load(info: EncoderInfo) -> Pretrained:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    files = _files(info)
    try:
        kept = KeptTokenizer(info)
        release_memory()  # one of many words takes twice its own memory to load
        model = open_model(info)
    except UserError:
        raise
    except Exception as error:  # each architecture has mistakes of its own in what its configuration says
        reason = first_line(error, 160)
        raise UserError(f"encoder.model_name_or_path: {info.location} does not load: {reason}") from error
    _check_vocabulary(info, kept.facts, model)
    if info.bidirectional and not use_bidirectional_attention(model):
        raise UserError(
            f"encoder.attention: bidirectional: the attention of a {model.config.model_type} cannot be changed; "
            "leave it out (a Gemma 3 has use_bidirectional_attention in its config.json)"
        )
    use_sync_free_attention(model)
    use_fast_dropout(model)
    weights = Weights.of_model(model, Path(info.location))
    own_memory(model, but=word_embeddings(model).weight)
    return Pretrained(
        info=info,
        model=model,
        words=kept,
        weights=weights,
        lm_head=_lm_head(info),
        layers=model.config.num_hidden_layers,
        hidden=model.config.hidden_size,
        positions=positions(model),
        files=files,
    )


def open_model(info: EncoderInfo, **more: Any) -> Any:
    """The model, in float32, all its weights from the checkpoint; of an encoder-decoder the encoder half.

    Args:
        more: For `from_pretrained`.

    Raises:
        UserError: weights are missing.
    """
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(info.location, revision=info.revision)
    half = bool(getattr(config, "is_encoder_decoder", False))
    kind = encoder_class(config)
    given = {"revision": info.revision, "dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
    given |= more
    try:
        model, loading = kind.from_pretrained(info.location, add_pooling_layer=False, **given)
    except TypeError:  # architectures without a pooling layer do not know the word
        model, loading = kind.from_pretrained(info.location, **given)
    needed = set(model.state_dict())
    if half:
        needed = {name for name in needed if name.startswith(("encoder.", "shared."))}
    missing = sorted(name for name in loading["missing_keys"] if name in needed and not name.startswith("pooler."))
    if missing:
        raise UserError(
            f"encoder.model_name_or_path: {info.location}: {len(missing)} of the {len(needed)} tensors of a "
            f"{config.model_type} are missing ({', '.join(missing[:2])}{', ...' if len(missing) > 2 else ''}); "
            "take a checkpoint that is whole and of this architecture"
        )
    return model.get_encoder() if half and kind is AutoModel else model


def _check_vocabulary(info: EncoderInfo, facts: TokenizerFacts, model: nn.Module) -> None:
    """Refuses a tokenizer that knows no words, or whose ids have no embeddings.

    Raises:
        UserError: either.
    """
    rows = word_embeddings(model).num_embeddings
    if facts.largest_id >= rows:
        raise UserError(
            f"encoder.model_name_or_path: {info.location}: its tokenizer has ids up to {facts.largest_id}, its word "
            f"embeddings {rows} rows; take the tokenizer that the encoder was made with"
        )
    if not facts.knows_words:
        raise UserError(
            f"encoder.model_name_or_path: {info.location}: its tokenizer knows no words; its vocabulary files are "
            "missing or empty"
        )


def tokenizer_notes(loaded: Pretrained) -> list[str]:
    """What is said of a tokenizer that transformers makes otherwise than its own file does, a sentence each."""
    from tokenizers import Tokenizer as Backend

    info, tokenizer = loaded.info, loaded.tokenizer
    file = Path(info.location) / "tokenizer.json"
    if not file.is_file():
        return []
    own = Backend.from_file(str(file))
    own.no_truncation()
    own.no_padding()
    ids = own.encode(PROBE, add_special_tokens=False).ids
    if ids == tokenizer(PROBE, add_special_tokens=False)["input_ids"]:
        return []
    return [
        f"{info.location}: transformers' {type(tokenizer).__name__} gives other ids than {file.name} itself "
        "(it makes its normaliser anew); to train with the file as it is, set tokenizer_class: "
        "PreTrainedTokenizerFast in tokenizer_config.json"
    ]


def positions(model: nn.Module) -> int | None:
    """Tokens that a sequence may have; None where the architecture has no limit.

    RoBERTa and its kin number positions from the padding id + 1, so that the first rows of their tables are never used.
    """
    stated = getattr(model.config, "max_position_embeddings", None)
    found = [int(stated)] if stated and int(stated) > 0 else []
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and "position" in name.rpartition(".")[2] and "relative" not in name:
            found.append(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    return min(found, default=None)


#: Where checkpoints keep a masked-LM head (dense, layer norm, tied decoder, bias), by the names of `MaskedLMHead`.
_LM_HEADS = (
    {"dense": "lm_head.dense", "layer_norm": "lm_head.layer_norm", "bias": "lm_head.bias"},  # RoBERTa, MPNet
    {
        "dense": "cls.predictions.transform.dense",
        "layer_norm": "cls.predictions.transform.LayerNorm",
        "bias": "cls.predictions.bias",
    },  # BERT, DeBERTa
    {"dense": "lm_predictions.lm_head.dense", "layer_norm": "lm_predictions.lm_head.LayerNorm",
     "bias": "lm_predictions.lm_head.bias"},  # DeBERTa-v3
    {"dense": "predictions.dense", "layer_norm": "predictions.LayerNorm", "bias": "predictions.bias"},  # ALBERT
    {"dense": "vocab_transform", "layer_norm": "vocab_layer_norm", "bias": "vocab_projector.bias"},  # DistilBERT
    {"dense": "generator_predictions.dense", "layer_norm": "generator_predictions.LayerNorm",
     "bias": "generator_lm_head.bias"},  # ELECTRA's generator
    {"dense": "head.dense", "layer_norm": "head.norm", "bias": "decoder.bias"},  # ModernBERT, without biases
)  # fmt: skip


def _lm_head(info: EncoderInfo) -> dict[str, Tensor]:
    """The masked-LM head among a checkpoint's tensors, under the names of `model.MaskedLMHead`; empty without one."""
    from safetensors import safe_open

    folder = Path(info.location)
    places: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else []:
        with safe_open(path, framework="pt") as file:
            places |= dict.fromkeys(file.keys(), path)
    renamed = {name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): name
               for name in places}  # fmt: skip
    for names in _LM_HEADS:
        wanted = {
            f"{own}.{part}": f"{names[own]}.{part}" for own in ("dense", "layer_norm") for part in ("weight", "bias")
        }
        wanted["bias"] = names["bias"]
        if f"{names['dense']}.weight" not in renamed or f"{names['layer_norm']}.weight" not in renamed:
            continue
        found: dict[str, Tensor] = {}
        for own, name in wanted.items():
            if name in renamed:
                with safe_open(places[renamed[name]], framework="pt") as file:
                    found[own] = file.get_tensor(renamed[name]).float()
        return found
    return {}


def word_embeddings(model: nn.Module) -> nn.Embedding:
    """The table of word embeddings of a Hugging Face model, or what stands in for it while it trains."""
    words: nn.Embedding = model.get_input_embeddings()  # type: ignore[operator]
    return words


def has_token_types(model: nn.Module) -> bool:
    """Whether the first and the second text of a pair are told apart by embeddings."""
    config: Any = model.config
    return getattr(config, "type_vocab_size", 0) > 1


def hidden_states(
    model: nn.Module, input_ids: Tensor, mask: Tensor | None, types: Tensor | None, layer: int | None
) -> Tensor:
    """Token states [features, length, hidden]: the last ones, or hidden state `layer` (0 = embeddings).

    Args:
        mask: 1 for tokens, [features, length]; None where all are.
    """
    inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask}
    if types is not None and has_token_types(model):
        inputs["token_type_ids"] = types
    if layer is None:
        states: Tensor = model(**inputs).last_hidden_state
        return states
    chosen: Tensor = model(**inputs, output_hidden_states=True).hidden_states[layer]
    return chosen
