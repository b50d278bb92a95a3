"""Checkpoints of many architectures with tiny random weights, each with the tiny tokenizer; and plain transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

#: Words of the tiny tokenizer and a few more, so that its ids are all there.
WORDS = 640
SIZES = {"vocab_size": WORDS, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 32, "pad_token_id": 1}  # fmt: skip
#: bos, eos and the like of the tiny tokenizer.
TOKENS = {"bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
HALVES = {"vocab_size": WORDS, "d_model": 16, "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0,
          "decoder_start_token_id": 1}  # fmt: skip
T5_SIZES = {"vocab_size": WORDS, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2,
            "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}  # fmt: skip


def configurations() -> dict[str, Callable[[], Any]]:
    """Name, as the documentation's table has it, to what makes a configuration."""
    import transformers as hf

    relative = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8}
    grouped = {**SIZES, "num_key_value_heads": 1}
    return {
        "BERT": lambda: hf.BertConfig(**SIZES),
        "BERT, old names (LayerNorm.gamma)": lambda: hf.BertConfig(**SIZES),
        "RoBERTa": lambda: hf.RobertaConfig(**SIZES, max_position_embeddings=130),
        "XLM-R": lambda: hf.XLMRobertaConfig(**SIZES, max_position_embeddings=514),
        "XLM-R, 66 positions": lambda: hf.XLMRobertaConfig(**SIZES, max_position_embeddings=66),
        "DeBERTa-v2": lambda: hf.DebertaV2Config(**SIZES, **relative, position_biased_input=False),
        "ModernBERT": lambda: hf.ModernBertConfig(**SIZES, **TOKENS, local_attention=16),
        "EuroBERT": lambda: hf.EuroBertConfig(**grouped, bos_token_id=0, eos_token_id=2),
        "DistilBERT": lambda: hf.DistilBertConfig(
            vocab_size=WORDS, dim=16, n_layers=2, n_heads=2, hidden_dim=32, pad_token_id=1
        ),
        "ELECTRA": lambda: hf.ElectraConfig(**SIZES, embedding_size=8),
        "ALBERT": lambda: hf.AlbertConfig(**SIZES, embedding_size=8),
        "MPNet": lambda: hf.MPNetConfig(**SIZES),
        "RemBERT": lambda: hf.RemBertConfig(**SIZES, input_embedding_size=8, output_embedding_size=24),
        "XLM": lambda: hf.XLMConfig(
            vocab_size=WORDS, emb_dim=16, n_layers=2, n_heads=2, pad_index=1, bos_index=0, eos_index=2, unk_index=3,
            mask_index=4, pad_token_id=1,
        ),
        "Nomic": lambda: hf.NomicBertConfig(**SIZES),
        "ESM": lambda: hf.EsmConfig(**SIZES, mask_token_id=4, token_dropout=False),
        "Gemma 3": lambda: hf.Gemma3TextConfig(**grouped, head_dim=8, bos_token_id=0, eos_token_id=2),
        "Gemma 3, both directions": lambda: hf.Gemma3TextConfig(
            **grouped, head_dim=8, bos_token_id=0, eos_token_id=2, use_bidirectional_attention=True
        ),
        "Llama": lambda: hf.LlamaConfig(**grouped, bos_token_id=0, eos_token_id=2),
        "Qwen 3": lambda: hf.Qwen3Config(**grouped, head_dim=8, bos_token_id=0, eos_token_id=2),
        "GPT-2": lambda: hf.GPT2Config(
            vocab_size=WORDS, n_embd=16, n_layer=2, n_head=2, n_positions=128, bos_token_id=0, eos_token_id=2
        ),
        "T5": lambda: hf.T5Config(**T5_SIZES),
        "mT5": lambda: hf.MT5Config(**T5_SIZES),
        "umT5": lambda: hf.UMT5Config(**T5_SIZES),
        "mBART": lambda: hf.MBartConfig(
            **HALVES, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=128, scale_embedding=True,
        ),
    }  # fmt: skip


def checkpoint(name: str, tokenizer: Any, folder: Path) -> Path:
    """A folder of that architecture, its weights far from zero so that attention tells tokens apart."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoModel

    config = configurations()[name]()
    for field in ("initializer_range", "init_std", "initializer_factor"):
        if hasattr(config, field):
            setattr(config, field, 0.5 if field == "initializer_factor" else 0.2)
    torch.manual_seed(0)
    model = AutoModel.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if "old names" in name:
        file = folder / "model.safetensors"
        renamed = {key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): one
                   for key, one in load_file(file).items()}  # fmt: skip
        save_file(renamed, file, metadata={"format": "pt"})
    return folder


def plain_encoder(folder: Path) -> nn.Module:
    """What transformers makes of a folder, with eager attention, in evaluation mode; the encoder of two halves."""
    from transformers import AutoModel

    model: Any = AutoModel.from_pretrained(folder, attn_implementation="eager")
    half = getattr(model.config, "is_encoder_decoder", False)
    found: nn.Module = (model.get_encoder() if half else model).eval()
    return found
