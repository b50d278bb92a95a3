"""Distillation: the student learns the teacher's sentence vectors and word states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from encoder_teacher import Encoded, Floats, Halves, Integers, Targets, batches_of, padded
from torch import Tensor, nn
from torch.nn import functional
from transformers import ElectraModel

MEAN_SAMPLE = 300
SORTED_BLOCK = 4096
REPORT_EVERY = 200


@dataclass(frozen=True)
class Recipe:
    """How long and how the student is trained."""

    steps: int
    batch_tokens: int = 2048
    learning_rate: float = 1e-3
    warm_up: int = 50
    # Sentence vectors of the teacher lie in a narrow cone; raising its principal components
    # to this (negative) power of their variance spreads them before they are matched.
    whitening: float = 0.25
    temperature: float = 0.05
    cosine_weight: float = 5.0
    contrast_weight: float = 1.0
    last_weight: float = 0.5
    middle_weight: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Goals:
    """Targets without what is common to a language, spread by ``spread``; rows align to tokens.

    The mean of a language says which language it is. Without it the spaces of the languages
    fall onto each other, which is what zero-shot transfer and retrieval need.
    """

    sentence: Tensor
    spread: Tensor
    states: Targets
    language: Integers
    last_mean: Tensor
    middle_mean: Tensor
    first_row: Integers
    last_row: Integers


def make_goals(
    targets: Targets,
    teacher: Encoded,
    languages: Sequence[str],
    rows: tuple[Integers, Integers],
    whitening: float,
) -> Goals:
    """Centre the teacher's states by language and find the spreading transform."""
    names = sorted(set(languages))
    language = np.array([names.index(name) for name in languages])
    sentence = np.array(targets.sentence)
    means = np.zeros((len(names), sentence.shape[1]), np.float32)
    last_mean, middle_mean = means.copy(), means.copy()
    for index in range(len(names)):
        spans = np.where(language == index)[0]
        means[index] = sentence[spans].mean(0)
        begin = teacher.begin
        inner = np.concatenate(
            [np.arange(begin[i] + 1, begin[i + 1] - 1) for i in spans[:MEAN_SAMPLE]]
        )
        last_mean[index] = _mean(targets.last, inner)
        middle_mean[index] = _mean(targets.middle, inner)
    sentence -= means[language]
    spread = _spread(sentence, whitening)
    return Goals(
        torch.from_numpy(sentence @ spread),
        torch.from_numpy(spread),
        targets,
        language,
        torch.from_numpy(last_mean),
        torch.from_numpy(middle_mean),
        *rows,
    )


def _mean(states: Halves, rows: Integers) -> Floats:
    mean: Floats = states[rows].astype(np.float32).mean(0)
    return mean


def _spread(centred: Floats, power: float) -> Floats:
    """The symmetric matrix that divides each principal component by its variance ** power."""
    variance, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    scale = np.maximum(variance, variance.max() * 1e-4) ** -power
    matrix = (vectors * scale) @ vectors.T
    matrix /= np.sqrt(np.mean((centred[:2000] @ matrix) ** 2))
    result: Floats = matrix.astype(np.float32)
    return result


def train(
    student: ElectraModel,
    encoded: Encoded,
    goals: Goals,
    recipe: Recipe,
    checkpoint: Callable[[], None],
) -> None:
    """Train in place; ``checkpoint`` is called now and then, and at the end."""
    torch.manual_seed(recipe.seed)
    for module in student.modules():
        # The model is small for its data: dropout only slows it down here.
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    width = student.config.hidden_size
    middle_head = nn.Linear(width, width)
    parameters = [*student.parameters(), *middle_head.parameters()]
    optimiser = torch.optim.AdamW(
        parameters, recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    student.train()
    totals: dict[str, float] = {}
    for step, batch in enumerate(_batches(encoded, recipe)):
        if step >= recipe.steps:
            break
        rate = _rate(step, recipe)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss, parts = _loss(student, middle_head, encoded, goals, batch, recipe)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        totals = {k: totals.get(k, 0.0) + v for k, v in parts.items()}
        if (step + 1) % REPORT_EVERY == 0:
            shown = " ".join(f"{k} {v / REPORT_EVERY:.3f}" for k, v in totals.items())
            print(f"step {step + 1} of {recipe.steps}: {shown}", flush=True)
            totals = {}
            checkpoint()
    checkpoint()


def _rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then linearly down to nearly nothing."""
    warm = min(1.0, (step + 1) / recipe.warm_up)
    return recipe.learning_rate * warm * (1 - 0.98 * step / recipe.steps)


def _batches(encoded: Encoded, recipe: Recipe) -> Iterator[Integers]:
    """Batches of spans of similar length, in a new order each time round, without end."""
    rng = np.random.default_rng(recipe.seed)
    lengths = np.diff(encoded.begin)
    while True:
        order = rng.permutation(len(lengths))
        for block in range(0, len(order), SORTED_BLOCK):
            groups = batches_of(lengths, order[block : block + SORTED_BLOCK], recipe.batch_tokens)
            for index in rng.permutation(len(groups)):
                yield groups[index]


def _loss(
    student: ElectraModel,
    middle_head: nn.Linear,
    encoded: Encoded,
    goals: Goals,
    batch: Integers,
    recipe: Recipe,
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of four losses, and each of them."""
    ids, mask = padded(encoded, batch, student.config.pad_token_id)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = student(input_ids=ids, attention_mask=mask).last_hidden_state
        middle = middle_head(states[mask.bool()]).float()
    weights = mask.unsqueeze(-1).float()
    pooled = (states.float() * weights).sum(1) / weights.sum(1)
    ours = functional.normalize(pooled, dim=-1)
    theirs = functional.normalize(goals.sentence[batch], dim=-1)
    cosine = 1 - (ours * theirs).sum(-1).mean()
    similar = ours @ theirs.T / recipe.temperature
    contrast = functional.cross_entropy(similar, torch.arange(len(batch)))
    last_goal, middle_goal = _token_goals(goals, encoded, batch)
    last_loss = _apart(states[mask.bool()].float(), last_goal)
    middle_loss = _apart(middle, middle_goal)
    loss = (
        recipe.cosine_weight * cosine
        + recipe.contrast_weight * contrast
        + recipe.last_weight * last_loss
        + recipe.middle_weight * middle_loss
    )
    parts = {"cosine": cosine, "contrast": contrast, "last": last_loss, "middle": middle_loss}
    return loss, {k: float(v.detach()) for k, v in parts.items()}


def _apart(ours: Tensor, theirs: Tensor) -> Tensor:
    return 1 - functional.cosine_similarity(ours, theirs, dim=-1).mean()


def _token_goals(goals: Goals, encoded: Encoded, batch: Integers) -> tuple[Tensor, Tensor]:
    """Goals of all tokens of a batch: the mean of the teacher's first and last token there."""
    begin = encoded.begin
    tokens = np.concatenate([np.arange(begin[i], begin[i + 1]) for i in batch])
    counts = torch.from_numpy(begin[batch + 1] - begin[batch])
    language = torch.from_numpy(goals.language[batch]).repeat_interleave(counts)
    first, last = goals.first_row[tokens], goals.last_row[tokens]
    found = []
    for states, mean in (
        (goals.states.last, goals.last_mean),
        (goals.states.middle, goals.middle_mean),
    ):
        both = torch.from_numpy(states[first]).float() + torch.from_numpy(states[last]).float()
        found.append(both / 2 - mean[language])
    return found[0] @ goals.spread, found[1]
