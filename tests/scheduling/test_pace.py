"""The time left: known workers, starts and pieces of work, with a clock of the test's own."""

from __future__ import annotations

import heapq

import pytest

from raystilts.scheduling import pace as module
from raystilts.scheduling.pace import Pace


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def told(clock: Clock, works: list[float], workers: int, start: float) -> list[tuple[float, float | None]]:
    """The time that is left and what was told at each end: one second for a unit of work, `start` for a worker."""
    pace, waiting, found = Pace(), list(enumerate(works)), []
    busy: list[tuple[float, int, float]] = []
    for _ in range(min(workers, len(waiting))):
        number, work = waiting.pop(0)
        pace.begin(str(number))
        heapq.heappush(busy, (start + work, number, work))
    while busy:
        clock.now, number, work = heapq.heappop(busy)
        pace.end(str(number), work)
        running = {str(one): size for _, one, size in busy}
        found.append((clock.now, pace.seconds_left(sum(running.values()) + sum(w for _, w in waiting), running)))
        if waiting:
            number, work = waiting.pop(0)
            pace.begin(str(number))
            heapq.heappush(busy, (clock.now + work, number, work))
    return [(clock.now - at, left) for at, left in found]


def test_short_pieces_tell_nothing_until_their_workers_are_warm(clock: Clock) -> None:
    found = told(clock, [1.0] * 100, workers=2, start=20.0)
    assert [left for _, left in found[:4]] == [None] * 4
    for truth, left in found[4:-6]:
        assert left is not None
        assert left == pytest.approx(truth, rel=0.5)
    assert found[20][1] == pytest.approx(found[20][0], rel=0.1)


def test_long_pieces_tell_at_once_what_is_left(clock: Clock) -> None:
    found = told(clock, [3600.0] * 8, workers=4, start=20.0)
    for truth, left in found[:-4]:
        assert left is not None
        assert left == pytest.approx(truth, rel=0.05)


def test_failures_tell_nothing(clock: Clock) -> None:
    pace = Pace()
    for number in range(10):
        pace.begin(str(number))
        clock.now += 0.1
        pace.end(str(number), 5.0, counts=False)
    assert pace.seconds_left(100.0) is None
    assert pace.seconds_left(0.0) == 0.0


def test_what_runs_counts_as_it_gets_on(clock: Clock) -> None:
    pace = Pace()
    pace.begin("a")
    clock.now = 100.0
    pace.end("a", 50.0)
    pace.begin("b")
    assert pace.seconds_left(100.0, {"b": 50.0}) == pytest.approx(200.0)
    clock.now = 130.0
    assert pace.seconds_left(100.0, {"b": 50.0}) == pytest.approx(170.0)


def test_trials_whose_start_is_not_seen(clock: Clock) -> None:
    pace = Pace()
    for number in range(1, 9):
        clock.now = 30.0 + 10.0 * ((number + 1) // 2)
        pace.end_one(0.0, running=1)
        left = pace.seconds_left(20.0 - number)
        assert left is None if number < 5 else left == pytest.approx(5.0 * (20 - number), rel=0.35)
