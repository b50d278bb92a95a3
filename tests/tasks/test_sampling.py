from __future__ import annotations

from raystilts.tasks.splits import fixed_sample


def test_a_sample_is_fixed_and_ascending() -> None:
    assert fixed_sample(5, None).tolist() == fixed_sample(5, 9).tolist() == [0, 1, 2, 3, 4]
    some = fixed_sample(1000, 10)
    assert some.tolist() == sorted(set(some.tolist()))
    assert len(some) == 10
    assert some.tolist() == fixed_sample(1000, 10).tolist()
