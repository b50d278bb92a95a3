"""What an encoder makes of texts: mean-pooled states, and their zero point in each language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raystilts.tasks.encoding import encode_texts
from raystilts.tasks.features import Ragged

if TYPE_CHECKING:
    from torch import nn

    from raystilts.training.encoder import Pretrained

Matrix = NDArray[np.float64]

#: Sub-words of a text that are read, and padded sub-words of a forward pass.
LENGTH, BATCH_TOKENS = 128, 4096


def text_ids(loaded: Pretrained, texts: list[str]) -> Ragged:
    """Texts as sub-words, cut to `LENGTH`."""
    return encode_texts(loaded.tokenizer, texts, None, max_length=LENGTH)[0]


def mean_states(model: nn.Module, ids: Ragged, pad_id: int, layer: int) -> Matrix:
    """Hidden states averaged over the tokens of each text, shape [texts, hidden].

    Args:
        model: The Hugging Face model, on whatever device.
        layer: Which hidden state; 0 is the embeddings, -1 the last.
    """
    import torch

    from raystilts.tasks.features import Features
    from raystilts.training.collate import collate
    from raystilts.training.encoder import hidden_states
    from raystilts.training.heads import pool_tokens
    from raystilts.training.length_batches import length_batches

    features = Features(ids, np.arange(len(ids), dtype=np.int64), len(ids))
    device = next(model.parameters()).device
    batches = length_batches(ids.lengths, BATCH_TOKENS)
    found: list[Matrix] = []
    model.eval()
    with torch.inference_mode():
        for rows in batches:
            batch = collate(features, rows, pad_id).to(device)
            states = hidden_states(model, batch.input_ids, batch.attention_mask, batch.token_type_ids, layer)
            found.append(pool_tokens(states.float(), batch.attention_mask, "mean").double().cpu().numpy())
    states_by_length: Matrix = np.concatenate(found)
    return states_by_length[np.argsort(np.concatenate(batches))]


def language_offsets(means: Mapping[tuple[str, str], Matrix], base: str = "en") -> dict[str, Matrix]:
    """What each language adds to an embedding, whatever the data set: so that language is not taken for domain.

    The mean difference to English over the data sets that have both: means are modelled as the sum of a part of the
    data set and a part of the language. Languages that no data set has beside English have no offset.

    Args:
        means: Mean embedding, [hidden], by data set and language.
        base: The language without an offset.
    """
    found: dict[str, list[Matrix]] = {}
    for (name, language), mean in means.items():
        if (name, base) in means:
            found.setdefault(language, []).append(mean - means[name, base])
    return {language: np.mean(differences, axis=0) for language, differences in found.items()}
