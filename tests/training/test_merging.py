"""Merges of weights: exact answers, and one member alone, which is itself bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.errors import UserError
from raystilts.study.composed import Merge
from raystilts.training.merging import merge_weights, smallest_kept

NAMES = ("embeddings.word.weight", "layer.0.w", "layer.1.w", "layer.2.w", "layer.3.w", "norm.weight")


def weights(*values: float) -> dict[str, torch.Tensor]:
    """One number a tensor."""
    return {name: torch.tensor([float(value)]) for name, value in zip(NAMES, values, strict=True)}


def merged(base: list[float], *members: list[float], **fields: object) -> list[float]:
    names = tuple("abcdef"[: len(members)])
    merge = Merge.model_validate({"merge": names, **fields})
    found = merge_weights(merge, [{"x": torch.tensor(one)} for one in members], {"x": torch.tensor(base)})
    assert found["x"].dtype == torch.float32
    return found["x"].tolist()


def test_averages() -> None:
    assert merged([9.0, 9.0], [1.0, 2.0], [3.0, 6.0]) == [2.0, 4.0]
    assert merged([9.0], [1.0], [3.0], method="weighted", weights=[3, 1]) == [1.5]
    assert merged([9.0], [1.0], [3.0], method="weighted", weights=[0, 2]) == [3.0]


def test_task_arithmetic_adds_scaled_task_vectors() -> None:
    # 1 + 0.5 (2 - 1) + 0.5 (4 - 1), and 1 + (2 - 1) + (4 - 1)
    assert merged([1.0], [2.0], [4.0], method="task_arithmetic", scale=0.5) == [3.0]
    assert merged([1.0], [2.0], [4.0], method="task_arithmetic") == [5.0]


def test_ties_by_hand() -> None:
    """Task vectors (5, -1, 2, 0) and (1, 3, -4, 0): half of each is kept, (5, ., 2, .) and (., 3, -4, .).

    Signs of the sums: +, +, -, none; means over the members with that sign: 5, 3, -4.
    """
    base, one, other = [10.0, 10.0, 10.0, 10.0], [15.0, 9.0, 12.0, 10.0], [11.0, 13.0, 6.0, 10.0]
    assert merged(base, one, other, method="ties", density=0.5) == [15.0, 13.0, 6.0, 10.0]
    assert merged(base, one, other, method="ties", density=0.5, scale=2) == [20.0, 16.0, 2.0, 10.0]
    # Untrimmed: sums 6, 2, -2, 0; the first parameter has both, (5 + 1) / 2, the others the member of that sign.
    assert merged(base, one, other, method="ties", density=1) == [13.0, 13.0, 6.0, 10.0]


def test_trimming_is_over_all_tensors_together() -> None:
    base = {"a": torch.zeros(2), "b": torch.zeros(2)}
    one = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([10.0, 20.0])}
    other = {"a": torch.zeros(2), "b": torch.zeros(2)}
    found = merge_weights(Merge(merge=("x", "y"), method="ties", density=0.5), [one, other], base)
    assert found["a"].tolist() == [0.0, 0.0]
    assert found["b"].tolist() == [10.0, 20.0]


def test_layers_are_swapped() -> None:
    task, language = weights(1, 1, 1, 1, 1, 1), weights(3, 3, 3, 3, 3, 3)

    def swapped(**fields: int) -> list[float]:
        merge = Merge.model_validate({"merge": ("t", "l"), "method": "layer_swap", **fields})
        return [float(one) for one in merge_weights(merge, [task, language], weights(0, 0, 0, 0, 0, 0)).values()]

    assert swapped(bottom=1) == [3, 3, 1, 1, 1, 1]
    assert swapped(top=2) == [1, 1, 1, 3, 3, 3]
    assert swapped(bottom=1, top=1) == [3, 3, 1, 1, 3, 3]
    assert swapped(bottom=1, top=1, transition=1) == [3, 3, 2, 2, 3, 3]
    with pytest.raises(UserError, match="5 layers are swapped or averaged, and the encoder has 4"):
        swapped(bottom=2, top=3)


def test_other_tensors_than_the_encoders_are_refused() -> None:
    one = {"x": torch.zeros(2)}
    for wrong in ({"x": torch.zeros(3)}, {}, {"x": torch.zeros(2), "y": torch.zeros(1)}):
        with pytest.raises(UserError, match="is not as in the pretrained encoder"):
            merge_weights(Merge(merge=("a",)), [wrong], one)


@pytest.mark.parametrize(
    "fields",
    [{}, {"method": "weighted", "weights": [0.3]}, {"method": "task_arithmetic"}, {"method": "ties"},
     {"method": "ties", "density": 1}],
)  # fmt: skip
@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.tuples(*[st.floats(width=32, allow_nan=False)] * 2), min_size=1, max_size=8))
def test_a_merge_of_one_is_that_one_bit_for_bit(fields: dict[str, object], values: list[tuple[float, float]]) -> None:
    base, one = (torch.tensor(column) for column in zip(*values, strict=True))
    merge = Merge.model_validate({"merge": ("a",), **fields})
    found = merge_weights(merge, [{"x": one}], {"x": base})["x"]
    assert torch.equal(found.view(torch.int32), one.view(torch.int32))


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=60),
    cut=st.integers(1, 59),
    density=st.floats(0.01, 1),
)
def test_the_smallest_kept_magnitude_is_that_of_a_sort(values: list[float], cut: int, density: float) -> None:
    tensors = [torch.tensor(values[:cut]), torch.tensor(values[cut:])]
    wanted = sorted((abs(v) for v in values), reverse=True)[max(1, round(density * len(values))) - 1]
    assert smallest_kept(tensors, density) == wanted
