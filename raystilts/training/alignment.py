"""Losses that draw the states of two domains together while an intermediate trains.

Such a loss is of a whole batch, and no sum over its examples: so that the size of the micro-batch changes nothing, both
domains are read once without gradients, the loss is differentiated at the pooled states, and these gradients are
carried into the encoder micro-batch by micro-batch, with the same dropout (Gao et al. 2021, arXiv 2101.06983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from raystilts.study.intermediate import Alignment
from raystilts.tasks.encoding import Features, Longs
from raystilts.training.collate import Batch
from raystilts.training.model import Model, pool_tokens


class DomainHead(nn.Module):
    """One logit a pooled state, [features, hidden] to [features]: is it of the intermediate's own domain?"""

    def __init__(self, hidden: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.out(functional.relu(self.dense(pooled))).squeeze(-1)
        return logits


@dataclass(frozen=True, slots=True)
class Aligner:
    """What one training is aligned with.

    Attributes:
        features: Training texts of the other domain; their labels are not read.
        examples: Which of them each update takes.
        tasks: The first so many tasks of the mixture are aligned, all but its masked LM.
        head: The classifier of the two domains, part of the model; None where the loss needs none.
    """

    alignment: Alignment
    features: Features
    examples: Sequence[Longs]
    tasks: int
    head: DomainHead | None = None


@dataclass(frozen=True, slots=True)
class AlignmentGradient:
    """What alignment asks of one micro-batch.

    Attributes:
        gradient: Of the loss at the pooled states, [features, hidden].
        seed: Of the dropout with which these were read.
    """

    gradient: Tensor
    seed: int

    def loss(self, states: Tensor, batch: Batch) -> Tensor:
        """A loss with that gradient at the states [features, length, hidden]."""
        return (_pooled(states, batch) * self.gradient).sum()


def alignment_gradients(
    aligner: Aligner, model: Model, own: list[Batch], other: list[Batch], progress: float, seed: int, bf16: bool
) -> list[AlignmentGradient]:
    """The gradients of an update's alignment loss: those of the other domain go into the encoder at once.

    Args:
        own: The update's micro-batches, on the model's device; likewise `other`, those of the other domain.
        progress: Share of the updates done, which sets the weight.
        seed: Of the update.

    Returns:
        One for each of the update's own micro-batches.
    """
    seeds = [seed + 1 + i for i in range(len(own) + len(other))]
    with torch.no_grad():
        read = [_read(model, batch, s, bf16) for batch, s in zip([*own, *other], seeds, strict=True)]
    count = sum(len(one) for one in read[: len(own)])
    gradient = pooled_gradient(aligner, torch.cat(read), count) * aligner.alignment.weight_at(progress)
    parts = torch.split(gradient, [len(one) for one in read])
    for batch, part, s in zip(other, parts[len(own) :], seeds[len(own) :], strict=True):
        (_read(model, batch, s, bf16) * part).sum().backward()  # type: ignore[no-untyped-call]
    return [AlignmentGradient(part, s) for part, s in zip(parts[: len(own)], seeds, strict=False)]


def _read(model: Model, batch: Batch, seed: int, bf16: bool) -> Tensor:
    torch.manual_seed(seed)
    with torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=bf16):
        return _pooled(model.states(batch), batch)


def _pooled(states: Tensor, batch: Batch) -> Tensor:
    return pool_tokens(states.float(), batch.attention_mask, "mean")


def pooled_gradient(aligner: Aligner, pooled: Tensor, count: int) -> Tensor:
    """The gradient that pooled states are to be trained with, [features, hidden], before its weight.

    Zero where a domain has fewer than two texts. A classifier of domains gets its own gradients here.

    Args:
        pooled: Those of the first domain, then those of the second, [features, hidden].
        count: How many are of the first.
    """
    if min(count, len(pooled) - count) < 2:
        return torch.zeros_like(pooled)
    states = pooled.detach().requires_grad_()
    with torch.enable_grad():
        if aligner.head is None:
            found = coral if aligner.alignment.loss == "coral" else mmd
            found(states[:count], states[count:]).backward()  # type: ignore[no-untyped-call]
            sign = 1.0
        else:
            domain_loss(aligner.head(states), count).backward()  # type: ignore[no-untyped-call]
            sign = -1.0  # reversed: the classifier learns to part the domains, the encoder not to let it
    assert states.grad is not None
    return sign * states.grad


def coral(one: Tensor, other: Tensor) -> Tensor:
    """|C_1 - C_2|_F^2 / (4 d^2) of states [features, d] (Sun and Saenko 2016, eq. 1)."""
    return ((one.T.cov() - other.T.cov()) ** 2).sum() / (4 * one.shape[1] ** 2)


def mmd(one: Tensor, other: Tensor) -> Tensor:
    """The unbiased MMD^2 of states [features, d], a Gaussian kernel of the median distance (Gretton et al. 2012)."""
    both = torch.cat([one, other])
    squares = ((both.unsqueeze(1) - both.unsqueeze(0)) ** 2).sum(-1)
    above = torch.ones_like(squares).triu(1).bool()
    kernel = torch.exp(-squares / (2 * squares[above].median().detach().clamp(min=1e-12)))
    n, m = len(one), len(other)
    within = (kernel[:n, :n].sum() - n) / (n * (n - 1)) + (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return within - 2 * kernel[:n, n:].mean()


def domain_loss(logits: Tensor, count: int) -> Tensor:
    """Cross-entropy of a classifier of the domains, both of the same weight; the first `count` are of the first."""
    own, other = logits[:count], logits[count:]
    return (
        functional.binary_cross_entropy_with_logits(own, torch.ones_like(own))
        + functional.binary_cross_entropy_with_logits(other, torch.zeros_like(other))
    ) / 2
