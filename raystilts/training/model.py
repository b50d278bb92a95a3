"""An encoder with the heads of the tasks that it is trained or scored on.

Word embeddings. Multilingual vocabularies have 250,000 rows and more; a stage's training data touches a few thousand.
A row that never occurs has a zero gradient at every step, so AdamW without decay leaves it as it was: leaving it out of
the optimiser gives the same weights at a fraction of the time and memory (for a base-size multilingual encoder most
parameters are embeddings).

Heads. One small module a kind, with its loss.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from raystilts.errors import UserError
from raystilts.tasks.task import Task
from raystilts.tasks.types.base import Head as HeadName
from raystilts.training.adapters import Adapter, Change
from raystilts.training.collate import IGNORED, Batch
from raystilts.training.encoder import Pretrained, has_token_types, hidden_states, word_embeddings
from raystilts.training.fast_ops import FastDropout, can_leave_padding_out
from raystilts.training.packing import first_position, packed_states
from raystilts.training.weights import StoredTable


class CompactEmbedding(nn.Module):
    """Stands in for an `nn.Embedding`: trains or reads the given rows, reads all of them in eval mode.

    Args:
        words: The full table; trained rows are written back into it by `publish`, or whenever the module leaves
            training mode where it is not stored.
        used: Ids that training can meet, ascending, shape [rows].
        stored: The file that holds the table as it is, from which rows are read as they are asked for: looking at the
            table itself would bring most of it into memory.
        trains: Whether the rows are trained; else they are only read, and the table stays as it is.
    """

    def __init__(
        self, words: nn.Embedding, used: Tensor, stored: StoredTable | None = None, trains: bool = True
    ) -> None:
        super().__init__()
        device = words.weight.device
        self._full = [words]  # in a list: the full table is not a parameter of this module
        self._used = used.to(device)
        self._stored = stored
        rows = words.weight.detach()[self._used].clone() if stored is None else stored.rows(used)
        self.rows = nn.Parameter(rows, requires_grad=trains)
        index = torch.zeros(words.num_embeddings, dtype=torch.long, device=device)
        index[self._used] = torch.arange(len(used), device=device)
        self._index = index
        padding = words.padding_idx
        # A copy of the table's own module, which may scale what it reads (Gemma 3, mBART), over the trained rows.
        table = copy.copy(words)
        table._parameters = {"weight": self.rows}
        table.padding_idx = int(index[padding]) if padding is not None and padding in used else None
        self._table = [table]
        # Rows of the file as evaluations ask for them: behind `_count` there is room for more.
        self._others, self._count = torch.empty(0, rows.shape[1]), 0
        self._places = torch.full_like(index, -1)
        self._places[self._used] = index[self._used]

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings [..., hidden] of token ids [...]."""
        if self.training:
            trained: Tensor = self._table[0](self._index[ids])
            return trained
        if self._stored is not None:
            return self._read(ids, self._stored)
        states: Tensor = self._full[0](ids)
        return states

    def _read(self, ids: Tensor, stored: StoredTable) -> Tensor:
        """Embeddings of the rows that are held here, and of others as the file has them."""
        new = torch.unique(ids[self._places[ids] < 0])
        if len(new):
            self._places[new] = len(self.rows) + self._count + torch.arange(len(new))
            self._keep(stored.rows(new))
        # Only what this batch asks for is put together: a second copy of all would be as large as the first.
        places, within = torch.unique(self._places[ids], return_inverse=True)
        own = places < len(self.rows)
        weight = torch.empty(len(places), self.rows.shape[1])
        weight[own] = self.rows.detach()[places[own]]
        weight[~own] = self._others[places[~own] - len(self.rows)]
        table = copy.copy(self._full[0])
        table._parameters = {"weight": nn.Parameter(weight, requires_grad=False)}
        table.padding_idx = None
        states: Tensor = table(within)
        return states

    def _keep(self, rows: Tensor) -> None:
        """Puts rows behind those of the file that are held already, in room that grows by half."""
        needed = self._count + len(rows)
        if needed > len(self._others):
            room = torch.empty(max(needed, len(self._others) * 3 // 2), rows.shape[1])
            room[: self._count] = self._others[: self._count]
            self._others = room
        self._others[self._count : needed] = rows
        self._count = needed

    def train(self, mode: bool = True) -> Self:
        """Switches mode; leaving training mode publishes the trained rows, unless others are read from a file."""
        if not mode and self._stored is None:
            self.publish()
        return super().train(mode)

    def publish(self) -> None:
        """Writes the trained rows into the full table."""
        with torch.no_grad():
            self._full[0].weight.data[self._used] = self.rows.detach()


class compact_rows:  # noqa: N801 (a context manager, used like a function)
    """Trains or reads only the rows of `used` within a `with` block; the model has its own table again afterwards.

    Args:
        stored: The file that holds the table as it is, if one does.
        trains: Whether the rows are trained, or only held here so that the table need not be looked at.
    """

    def __init__(
        self, encoder: nn.Module, used: Tensor | None, stored: StoredTable | None = None, *, trains: bool = True
    ) -> None:
        self._encoder = encoder
        self._used = used
        self._stored = stored
        self._trains = trains

    def __enter__(self) -> None:
        if self._used is not None:
            self._words = word_embeddings(self._encoder)
            self._compact = CompactEmbedding(self._words, self._used, self._stored, self._trains)
            self._encoder.set_input_embeddings(self._compact)  # type: ignore[operator]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._used is not None:
            if self._trains:
                self._compact.publish()
            self._encoder.set_input_embeddings(self._words)  # type: ignore[operator]


Pooling = Literal["first", "mean", "last"]


def pool_tokens(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector a sequence, [features, hidden], from token states [features, length, hidden]."""
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        last = mask.sum(1).clamp(min=1) - 1
        return states[torch.arange(len(states), device=states.device), last]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class Head(nn.Module):
    """Scores from token states, and the summed loss of a batch.

    Attributes:
        label_smoothing: Share of the target that is spread over all classes, where the loss is over classes or tags.
        class_weights: Weight of each class or tag, [classes]; None for all alike.
    """

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        raise NotImplementedError

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy summed over whatever `label_count` counts."""
        assert batch.labels is not None
        flat = scores.float().reshape(-1, scores.shape[-1])
        weights = None if self.class_weights is None else self.class_weights.to(flat.device)
        return functional.cross_entropy(
            flat, batch.labels.reshape(-1), weights, ignore_index=IGNORED, reduction="sum",
            label_smoothing=self.label_smoothing,
        )  # fmt: skip


class SequenceHead(Head):
    """Logits [features, classes] from the pooled sequence.

    On the first token as RoBERTa's classification head (dense, tanh, linear). On the mean over tokens one linear
    layer: encoders that were made for it, sentence encoders, separate well there, and a dense tanh layer saturates on
    the large component that all their sentences share. On the last token, as decoders have it, one linear layer too.
    """

    def __init__(self, hidden: int, classes: int, dropout: float, pooling: Pooling) -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        self.dropout = FastDropout(dropout)
        self.dense = nn.Linear(hidden, hidden) if pooling == "first" else None
        self.out = nn.Linear(hidden, classes)

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        pooled = self.dropout(pool_tokens(states, batch.attention_mask, self.pooling))
        if self.dense is not None:
            pooled = self.dropout(torch.tanh(self.dense(pooled)))
        logits: Tensor = self.out(pooled)
        return logits


class RegressionHead(SequenceHead):
    """One number a sequence, [features, 1], from 0 to 1 where the data's scale has its ends."""

    def __init__(self, hidden: int, dropout: float, pooling: Pooling) -> None:
        super().__init__(hidden, 1, dropout, pooling)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The squared error, summed over sequences."""
        assert batch.labels is not None
        return functional.mse_loss(scores[:, 0].float(), batch.labels.float(), reduction="sum")


class ChoiceHead(SequenceHead):
    """Logits [examples, choices]: one score a choice; the choices of an example are neighbours."""

    def __init__(self, hidden: int, choices: int, dropout: float, pooling: Pooling) -> None:
        super().__init__(hidden, 1, dropout, pooling)
        self.choices = choices

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        return super().forward(states, batch).view(-1, self.choices)


class TokenHead(Head):
    """Logits [features, length, tags]."""

    def __init__(self, hidden: int, tags: int, dropout: float) -> None:
        super().__init__()
        self.dropout = FastDropout(dropout)
        self.out = nn.Linear(hidden, tags)

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        logits: Tensor = self.out(self.dropout(states))
        return logits


class SpanHead(Head):
    """Start and end scores [features, length, 2]; padding is out of reach."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, 2)

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        logits: Tensor = self.out(states)
        return logits.masked_fill(batch.attention_mask.unsqueeze(-1) == 0, torch.finfo(logits.dtype).min)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The mean of the losses of start and end, summed over features."""
        assert batch.labels is not None
        start = functional.cross_entropy(scores[..., 0].float(), batch.labels[:, 0], reduction="sum")
        end = functional.cross_entropy(scores[..., 1].float(), batch.labels[:, 1], reduction="sum")
        return (start + end) / 2


class MaskedLMHead(Head):
    """Vocabulary logits for the masked tokens only, [masked, vocabulary], with tied word embeddings.

    As in RoBERTa: dense, GELU, layer norm, decoder tied to the input embeddings, bias. Checkpoints that hold a
    trained head (`lm_head.*`) start from it.
    """

    def __init__(self, hidden: int, words: nn.Embedding, eps: float) -> None:
        super().__init__()
        # Some encoders (ELECTRA, ALBERT) have embeddings narrower than their states.
        self.dense = nn.Linear(hidden, words.embedding_dim)
        self.layer_norm = nn.LayerNorm(words.embedding_dim, eps=eps)
        self.bias = nn.Parameter(torch.zeros(words.num_embeddings))
        self._words = [words]  # tied: a parameter of the encoder, not of the head

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        if batch.masked is not None:
            states = states.flatten(0, 1).index_select(0, batch.masked)
        return functional.linear(self.layer_norm(functional.gelu(self.dense(states))), self._words[0].weight, self.bias)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        assert batch.masked is not None
        labels = batch.labels.flatten().index_select(0, batch.masked)
        return functional.cross_entropy(scores.float(), labels, reduction="sum")


def label_count(head: Head, batch: Batch) -> int:
    """How many predictions the summed loss is over."""
    assert batch.labels is not None
    if isinstance(head, SpanHead):
        return len(batch.labels)
    return int((batch.labels != IGNORED).sum())


class Model(nn.Module):
    """One encoder, one head a task of the mixture.

    Args:
        encoder: The Hugging Face model.
        heads: In the order of the mixture; others that train with them come last.
        adapter: What trains of the encoder, where that is a part of it.
        padding_free: Whether batches go through the encoder without their padding.

    Raises:
        UserError: the encoder needs padding, and is not to have any.

    Attributes:
        changes: What has been trained of the pretrained encoder, in its order; None where all of it was.
    """

    def __init__(
        self,
        encoder: nn.Module,
        heads: Sequence[nn.Module],
        adapter: Adapter | None = None,
        *,
        padding_free: bool = False,
    ) -> None:
        super().__init__()
        if padding_free and not can_leave_padding_out(encoder):
            config: Any = encoder.config
            raise UserError(f"hyperparameters.padding_free: a {config.model_type} needs its padding; leave it out")
        self.encoder = encoder
        self.heads = nn.ModuleList(heads)
        self.changes: tuple[Change, ...] | None = None
        self._adapter = adapter
        self._first_position = first_position(encoder) if padding_free else None

    def train(self, mode: bool = True) -> Self:
        """Switches mode; an adapter is part of the encoder's weights wherever it does not train."""
        if self._adapter is not None:
            self._adapter.switch(mode)
        return super().train(mode)

    def states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """Token states [features, length, hidden]."""
        mask = batch.attention_mask if batch.padded else None
        if self._first_position is not None and batch.padded and batch.lengths is not None:
            types = batch.token_type_ids if has_token_types(self.encoder) else None
            return packed_states(self.encoder, batch.input_ids, types, batch.lengths, layer, self._first_position)
        return hidden_states(self.encoder, batch.input_ids, mask, batch.token_type_ids, layer)

    def head(self, index: int) -> Head:
        """The head of one task of the mixture."""
        return cast(Head, self.heads[index])


def build_head(task: Task, pretrained: Pretrained, pooling: Pooling, seed: int) -> Head:
    """A fresh head; the seed alone determines its weights, whatever the arm."""
    torch.manual_seed(seed)
    config, kind = pretrained.config, task.type
    stated = getattr(config, "hidden_dropout_prob", None)
    dropout = 0.1 if stated is None else float(stated)
    if kind.head == "masked_lm":
        return masked_lm_head(pretrained, pretrained.lm_head)
    return _initialised(plain_head(kind.head, pretrained.hidden, kind.num_labels, dropout, pooling))


def plain_head(kind: HeadName, hidden: int, outputs: int, dropout: float, pooling: Pooling) -> Head:
    """A head by its name, as torch initialises its layers.

    Args:
        outputs: Classes or tags; choices a row.
    """
    if kind == "sequence":
        return SequenceHead(hidden, outputs, dropout, pooling)
    if kind == "regression":
        return RegressionHead(hidden, dropout, pooling)
    if kind == "choice":
        return ChoiceHead(hidden, outputs, dropout, pooling)
    if kind == "token":
        return TokenHead(hidden, outputs, dropout)
    assert kind == "span", kind
    return SpanHead(hidden)


def masked_lm_head(pretrained: Pretrained, weights: Mapping[str, Tensor]) -> Head:
    """A masked-LM head with these weights; fresh as far as there are none."""
    words, eps = word_embeddings(pretrained.model), float(getattr(pretrained.config, "layer_norm_eps", 1e-5))
    head = _initialised(MaskedLMHead(pretrained.hidden, words, eps))
    if weights:
        head.load_state_dict(weights, strict=False)
    return head


def _initialised(head: Head) -> Head:
    """BERT's initialisation: normal with s.d. 0.02, biases zero."""
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return head
