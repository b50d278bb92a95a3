from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.planning.stage import Stage
from raystilts.scheduling.graph import StageGraph, remaining_path
from raystilts.study.intermediate import Intermediate


def stage(key: str, parent: str | None = None, tokens: int = 0, eval_tokens: int = 0) -> Stage:
    """A stage of so much work."""
    return Stage(
        key=key, train_key=key, eval_key="e", kind="target" if parent else "intermediate",
        intermediate=Intermediate(), intermediate_fraction=None, target="t" if parent else None, target_fraction=None,
        seed=0, parent=parent, parent_train_key=parent, steps=1, examples=1, tokens=tokens, eval_tokens=eval_tokens,
        data_hash="d",
    )  # fmt: skip


def graph(*stages: Stage) -> StageGraph:
    return StageGraph({one.key: one for one in stages})


def test_remaining_path_is_the_longest_chain() -> None:
    stages = [stage("p", tokens=10), stage("a", "p", 1, 2), stage("b", "p", 5), stage("q", eval_tokens=7)]
    assert remaining_path({one.key: one for one in stages}) == {"p": 45, "a": 5, "b": 15, "q": 7}


def test_longest_path_first_then_the_order_of_the_plan() -> None:
    one = graph(stage("small", tokens=9), stage("p", tokens=1), stage("long", "p", 100), stage("same", tokens=9))
    assert [one.take() for _ in range(4)] == ["p", "small", "same", None]
    assert not one.ended
    one.finish("p")
    assert one.take() == "long"
    assert one.ended


def test_a_parent_that_is_done_holds_nothing_back() -> None:
    assert graph(stage("a", "done before")).take() == "a"


def test_a_failure_skips_its_children_only() -> None:
    one = graph(stage("p", tokens=9), stage("q"), stage("p1", "p"), stage("p2", "p"), stage("q1", "q"))
    assert [one.take(), one.take()] == ["p", "q"]
    assert one.fail("p") == ["p1", "p2"]
    one.finish("q")
    assert one.take() == "q1"
    one.finish("q1")
    assert one.take() is None
    assert one.ended
    assert {state: n for state, n in one.counts.items() if n} == {"finished": 2, "failed": 1, "skipped": 2}
    assert one.state == {"p": "failed", "q": "finished", "p1": "skipped", "p2": "skipped", "q1": "finished"}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_stage_is_taken_once_and_after_its_parent(data: st.DataObject) -> None:
    parents = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
    stages = [stage(f"p{i}", tokens=i) for i in parents]
    stages += [stage(f"p{i}.{j}", f"p{i}", tokens=j) for i in parents for j in range(data.draw(st.integers(0, 3)))]
    one, running, failed, seen = graph(*stages), set[str](), set[str](), []
    while not one.ended or running:
        key = one.take() if data.draw(st.booleans()) or not running else None
        if key is not None:
            seen.append(key)
            running.add(key)
        elif running:
            ended = data.draw(st.sampled_from(sorted(running)))
            running.remove(ended)
            if data.draw(st.booleans()):
                one.finish(ended)
            else:
                failed |= {ended}
                one.fail(ended)
        assert sum(one.counts.values()) == len(stages)
        assert one.counts["running"] == len(running)
    expected = {s.key for s in stages if s.parent not in failed}
    assert len(seen) == len(set(seen))
    assert set(seen) == expected
    assert all(s.parent is None or s.key not in seen or seen.index(s.parent) < seen.index(s.key) for s in stages)
