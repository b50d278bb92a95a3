"""What an encoder makes of texts: mean-pooled states, their zero point in each language, and states with labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raystilts.tasks.encoding import Features, Ragged, encode_texts
from raystilts.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor, nn

    from raystilts.training.collate import Batch
    from raystilts.training.encoder import Pretrained
    from raystilts.training.model import Pooling


Matrix = NDArray[np.float64]
#: Sub-words of a text that are read, and padded sub-words of a forward pass.
LENGTH, BATCH_TOKENS = 128, 4096
#: Classes that the scale of a regression is cut into, all as wide.
STEPS = 5


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

    from raystilts.training.collate import collate, length_batches
    from raystilts.training.encoder import hidden_states
    from raystilts.training.model import pool_tokens

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


def language_offsets(means: Mapping[tuple[str, str], Matrix]) -> dict[str, Matrix]:
    """What each language adds to an embedding, whatever the data set: so that language is not taken for domain.

    The mean difference to English over the data sets that have both: means are modelled as the sum of a part of the
    data set and a part of the language. Languages that no data set has beside English have no offset.

    Args:
        means: Mean embedding, [hidden], by data set and language.
    """
    found: dict[str, list[Matrix]] = {}
    for (name, language), mean in means.items():
        if (name, "en") in means:
            found.setdefault(language, []).append(mean - means[name, "en"])
    return {language: np.mean(differences, axis=0) for language, differences in found.items()}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Embeddings [rows, hidden] and the class of each, [rows]."""

    embeddings: NDArray[np.float64]
    labels: NDArray[np.int64]


def labelled_states(
    model: nn.Module, task: Task, features: Features, pad_id: int, pooling: Pooling, limit: int
) -> Labelled:
    """One forward pass over features with labels.

    A row is a text of a classification task, or of a regression (whose scale is cut into `STEPS` classes), a choice of
    a multiple-choice task (right or wrong), a word of a tagging task, a sub-word of a span question (inside the answer
    or not, as many of each).

    Args:
        limit: The largest number of rows, a fixed random sample.
    """
    import torch

    from raystilts.training.collate import collate, length_batches
    from raystilts.training.encoder import hidden_states

    model.eval()
    found, labels = [], []
    with torch.inference_mode():
        for rows in length_batches(features.input_ids.lengths, BATCH_TOKENS):
            batch = collate(features, rows, pad_id)
            states = hidden_states(model, batch.input_ids, batch.attention_mask, batch.token_type_ids, None)
            one, own = _rows(task, features, rows, batch, states.float(), pooling)
            found.append(one.double().numpy())
            labels.append(own)
    embeddings, classes = np.concatenate(found), np.concatenate(labels)
    kept = _sample(task, classes, limit)
    return Labelled(embeddings[kept], classes[kept])


def _rows(
    task: Task, features: Features, rows: NDArray[np.int64], batch: Batch, states: Tensor, pooling: Pooling
) -> tuple[Tensor, NDArray[np.int64]]:
    import torch

    from raystilts.training.model import pool_tokens

    head = task.type.head
    if head == "token":
        assert batch.labels is not None
        there = batch.labels >= 0
        return states[there], batch.labels[there].numpy()
    assert features.labels is not None
    if head == "span":
        ends = torch.from_numpy(np.asarray(features.labels[rows]))
        place = torch.arange(states.shape[1])
        inside = (place >= ends[:, :1]) & (place <= ends[:, 1:]) & (ends[:, 1:] > 0)
        there = batch.attention_mask.bool() & (ends[:, 1:] > 0)  # windows without the answer say nothing
        return states[there], inside[there].long().numpy()
    pooled = pool_tokens(states, batch.attention_mask, pooling)
    right = np.asarray(features.labels)[features.example[rows]]
    if head == "regression":
        return pooled, np.minimum(right * STEPS, STEPS - 1).astype(np.int64)
    if head == "choice":
        return pooled, (rows % task.type.num_labels == right).astype(np.int64)
    return pooled, right.astype(np.int64)


def _sample(task: Task, classes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """At most `limit` rows; of span questions as many inside the answer as outside."""
    order = np.random.default_rng([43, len(classes)]).permutation(len(classes))
    if task.type.head == "span":
        sides = [order[classes[order] == one] for one in (0, 1)]
        size = min(limit // 2, *(len(side) for side in sides))
        return np.sort(np.concatenate([side[:size] for side in sides]))
    return np.sort(order[:limit])
