from __future__ import annotations

from pathlib import Path

from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import read_scores, write_attempt

from .rows import run_row, score_rows


def test_the_scores_of_one_attempt_before_and_after_compaction(tmp_path: Path) -> None:
    written = {}
    for stage, attempt, value in (("a", 1, 0.1), ("a", 2, 0.2), ("b", 1, 0.3)):
        run = run_row(stage, attempt=attempt, status="paused", rung=0.5)
        written[stage, attempt] = score_rows(run, {"en": value, "de": value / 2})
        write_attempt(tmp_path, run, written[stage, attempt])

    def check() -> None:
        for (stage, attempt), scores in written.items():
            found = read_scores(tmp_path, stage, attempt)
            assert sorted(found, key=lambda s: s.language) == sorted(scores, key=lambda s: s.language)
        assert read_scores(tmp_path, "a", 3) == []

    check()
    compact(tmp_path)
    clean_up(tmp_path, older_than=0)
    assert not list((tmp_path / "scores").glob("*.parquet"))
    check()
