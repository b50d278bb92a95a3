"""Merges of encoders that were trained from the same one: formulas on tensors of the same names and shapes.

Every method is a sum of the members' and the pretrained weights with coefficients, in float64, rounded once. Terms
whose coefficient is 0 are left out and a single one with coefficient 1 is copied, so that a merge of one member is that
member bit for bit. Tensors without fractions (tables of positions) are the first member's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from raystilts.errors import UserError
from raystilts.study.composed import Merge

#: Tensors by their names, as a checkpoint has them.
Tensors = Mapping[str, Tensor]
#: A tensor's name and the members' tensors of that name to their merge.
_Rule = Callable[[str, Tensor, list[Tensor]], Tensor]
#: Numbers of a tensor that are merged at a time.
_PIECE = 1 << 22
#: The number of a tensor's layer.
_LAYER = re.compile(r"(?:^|\.)(\d+)\.")


def merge_weights(merge: Merge, members: Sequence[Tensors], base: Tensors) -> dict[str, Tensor]:
    """The weights of a merge.

    Args:
        members: In the order of `merge.merge`.
        base: The pretrained weights that all of them were trained from.

    Raises:
        UserError: the members have other tensors than the pretrained encoder, or layers that cannot be swapped.
    """
    for name, one in zip(merge.merge, members, strict=True):
        wrong = sorted(key for key in {*base, *one} if key not in one or key not in base
                       or one[key].shape != base[key].shape)  # fmt: skip
        if wrong:
            raise UserError(f"merge: {name}: {wrong[0]} is not as in the pretrained encoder; merge what comes from it")
    rule = _rule(merge, members, base)
    found = {}
    for name, start in base.items():
        own = [one[name] for one in members]
        found[name] = _in_pieces(rule, name, start, own) if start.is_floating_point() else own[0].clone()
    return found


def _in_pieces(rule: _Rule, name: str, start: Tensor, own: list[Tensor]) -> Tensor:
    """A rule is of single numbers: of large tables a part at a time is held in float64."""
    merged = torch.empty_like(start).flatten()
    flat, members = start.flatten(), [tensor.flatten() for tensor in own]
    for begin in range(0, len(flat), _PIECE):
        piece = slice(begin, begin + _PIECE)
        merged[piece] = rule(name, flat[piece], [tensor[piece] for tensor in members])
    return merged.view(start.shape)


def _rule(merge: Merge, members: Sequence[Tensors], base: Tensors) -> _Rule:
    if len(members) == 1 and merge.scale == 1:
        return lambda name, start, own: own[0].clone()
    if merge.method == "ties":
        return ties(members, base, merge.density, merge.scale)
    if merge.method == "layer_swap":
        return layer_swap(base, merge)
    number = len(members)
    if merge.method == "task_arithmetic":
        return task_arithmetic(number, merge.scale)
    return average(merge.weights if merge.method == "weighted" and merge.weights else (1.0,) * number)


def average(weights: Sequence[float]) -> _Rule:
    """sum_i w_i theta_i / sum_i w_i: with equal weights a uniform soup (Wortsman et al. 2022, arXiv 2203.05482).

    With the pretrained encoder (`none`) among the members this is the interpolation of Wortsman et al. 2021 (WiSE-FT,
    arXiv 2109.01903).
    """
    shares = [weight / sum(weights) for weight in weights]
    return lambda name, base, members: _sum(members, shares)


def task_arithmetic(number: int, scale: float) -> _Rule:
    """theta_0 + scale sum_i (theta_i - theta_0) (Ilharco et al. 2023, arXiv 2212.04089, section 2)."""
    shares = [1 - number * scale, *[scale] * number]
    return lambda name, base, members: _sum([base, *members], shares)


def ties(members: Sequence[Tensors], base: Tensors, density: float, scale: float) -> _Rule:
    """Trim, elect sign and merge (Yadav et al. 2023, arXiv 2306.01708, algorithm 1).

    Of each member's task vector theta_i - theta_0 the share `density` with the largest magnitudes stays, over all its
    tensors together. Each parameter takes the sign of the sum of what stayed, and the mean over the members that have
    that sign: theta_0 + scale mean(...). Where nothing stayed it is theta_0. One member alone is not trimmed, for
    there is nothing that it could interfere with.
    """
    bounds = [0.0] * len(members)
    if density < 1 and len(members) > 1:
        bounds = [smallest_kept(_vector(one, base), density) for one in members]

    def rule(name: str, start: Tensor, own: list[Tensor]) -> Tensor:
        vectors = torch.stack([tensor.double() - start.double() for tensor in own])
        limits = torch.tensor(bounds).view(-1, *[1] * start.ndim)
        vectors = torch.where(vectors.float().abs() >= limits, vectors, 0.0)
        elected = vectors.sum(0).sign()
        chosen = (vectors.sign() == elected) & (elected != 0)
        number = chosen.sum(0)
        mean = (torch.stack([tensor.double() for tensor in own]) * chosen).sum(0) / number.clamp(min=1)
        merged = mean if scale == 1 else (1 - scale) * start.double() + scale * mean
        return torch.where(number > 0, merged, start.double()).to(start.dtype)

    return rule


def _vector(one: Tensors, base: Tensors) -> Iterator[Tensor]:
    return (one[name].double() - start.double() for name, start in base.items() if start.is_floating_point())


def smallest_kept(vector: Iterable[Tensor], density: float) -> float:
    """The smallest magnitude that is among the largest share of a vector's, exactly, without sorting it.

    The bits of a float that is not negative are in its order: they are counted by their upper half, then, within one
    such bin, by their lower half.

    Args:
        vector: Tensors of any shapes; compared as float32.
        density: The share that stays, in (0, 1]; at least one value does.
    """
    bits = [tensor.float().abs().flatten().view(torch.int32) for tensor in vector]
    keep = max(1, round(density * sum(len(one) for one in bits)))
    upper = torch.stack([torch.bincount(one >> 16, minlength=1 << 15) for one in bits]).sum(0)
    bin_, above = _nth_largest(upper, keep)
    inside = [one[one >> 16 == bin_] & 0xFFFF for one in bits]
    lower = torch.stack([torch.bincount(one, minlength=1 << 16) for one in inside]).sum(0)
    last, _ = _nth_largest(lower, keep - above)
    return float(torch.tensor([bin_ << 16 | last], dtype=torch.int32).view(torch.float32))


def _nth_largest(counts: Tensor, n: int) -> tuple[int, int]:
    """The bin of the n-th value from the top, and how many values lie in the bins above."""
    from_top = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(from_top, n))
    return len(counts) - 1 - place, int(from_top[place] - counts[len(counts) - 1 - place])


def layer_swap(base: Tensors, merge: Merge) -> _Rule:
    """The first member, with the bottom and top layers of the second (Bandarkar et al. 2024, arXiv 2410.01335).

    The first is the expert of the task, the second that of the language. Between their layers stand `transition`
    layers on either side that are the mean of both. Embeddings go with the bottom layers, what stands behind the last
    layer with the top ones.

    Raises:
        UserError: there are fewer layers.
    """
    bottom, top, transition = merge.bottom, merge.top, merge.transition
    layers = len({int(found[1]) for name in base if (found := _LAYER.search(name))})
    if merge.swapped_layers > layers:
        raise UserError(
            f"merge: {merge.swapped_layers} layers are swapped or averaged, and the encoder has {layers} that differ"
        )

    def rule(name: str, start: Tensor, own: list[Tensor]) -> Tensor:
        found = _LAYER.search(name)
        if found is None:
            swapped = bottom > 0 if "emb" in name or "shared" in name or "wte" in name else top > 0
            return own[1 if swapped else 0].clone()
        layer = int(found[1])
        if layer < bottom or layer >= layers - top:
            return own[1].clone()
        near = (bottom and layer < bottom + transition) or (top and layer >= layers - top - transition)
        return _sum(own, [0.5, 0.5]) if near else own[0].clone()

    return rule


def _sum(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The sum with coefficients, in float64, as the dtype of the first."""
    used = [(tensor, share) for tensor, share in zip(tensors, shares, strict=True) if share != 0]
    if len(used) == 1 and used[0][1] == 1:
        return used[0][0].clone()
    found = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor, share in used:
        found += share * tensor.double()
    return found.to(tensors[0].dtype)
