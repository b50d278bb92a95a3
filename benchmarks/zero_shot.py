"""Zero-shot scores by language beside what one scores who never looks at the question, as Markdown.

    python benchmarks/zero_shot.py results/zero_shot_small results/zero_shot_choice results/zero_shot_retrieval

The floor of a score is computed from the very rows that were scored:

- classification, multiple choice, tagging: the best answer that is the same for every row (or every word);
- span questions: the best of the passage's first sentence, the whole passage, and a stretch of it as long as the
  passage's own gold answer at a random place (mean of 20 draws);
- retrieval: one candidate at random; mining: random vectors in place of the encoder's, through the same mining.

A score is above its floor at the 5 % level of a one-sided binomial test with the number of rows (pairs for mining), F1
scores being treated as shares of rows; `*` marks those that are not.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raystilts.planning.data import data_folder
from raystilts.ranking.degenerate import chance_p_value
from raystilts.results.results import Results
from raystilts.tasks.encoding import Features, Ragged
from raystilts.tasks.languages import language_name
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.tasks.types.columns import column
from raystilts.tasks.types.mining import Mining
from raystilts.tasks.types.span_qa import SpanQA

DRAWS = 20
_SENTENCE = re.compile(r".+?[.!?。！？।؟۔]+(?=\s|$|[^\s\d.])|.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cell:
    """One score and its floor, 0 to 1."""

    score: float
    floor: float
    examples: int

    @property
    def above(self) -> bool:
        """Whether the score is above the floor at the 5 % level."""
        return self.score > self.floor and chance_p_value(self.score, self.examples, self.floor) < 0.05


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", nargs="+", help="results folders")
    parser.add_argument("--intermediate", action="append", help="arms to show; default all")
    arguments = parser.parse_args()
    cells: dict[str, dict[str, Cell]] = {}
    metrics: dict[str, str] = {}
    for path in arguments.results:
        _read(Results(path), arguments.intermediate, cells, metrics)
    print(_summary(cells, metrics))
    print()
    print(_by_language(cells))


def _read(results: Results, arms: list[str] | None, cells: dict[str, dict[str, Cell]], metrics: dict[str, str]) -> None:
    study = results.study()
    if study is None:
        raise SystemExit(f"{results.folder.url}: no study.json; give a folder that `raystilts run` wrote")
    folder, limit = data_folder(study), study.evaluation.max_test_samples
    scores = results.scores()
    scores = scores[scores["is_final"] & scores["is_main"] & (scores["split"] == "test")]
    several = scores["intermediate"].nunique() > 1
    columns = (scores[name].tolist() for name in ("target", "intermediate", "language", "metric", "value", "examples"))
    for target, arm, language, metric, value, examples in sorted(zip(*columns, strict=True)):
        if arms and arm not in arms:
            continue
        task = get_task(target)
        name = f"{target} after {arm}" if several and arm != "none" else target
        rows = task.type.sample(task.load_test(language, folder), limit)
        cells.setdefault(name, {})[language] = Cell(value, floor(task, rows, language), examples)
        metrics[name] = metric


def floor(task: Task, rows: pa.Table, language: str) -> float:
    """The main score of the best guess that does not look (see the module's docstring)."""
    if isinstance(task.type, Mining):
        return _mined_at_random(task.type, rows, language)
    if task.type.head == "embedding":
        return 1 / float(rows.num_rows)
    guesses = task.type.constant_predictions(rows)
    if isinstance(task.type, SpanQA):
        fixed = [task.type.score(guess, rows, language)[task.main_score] for guess in _span_guesses(rows)]
        drawn = [task.type.score(_random_spans(rows, i), rows, language)[task.main_score] for i in range(DRAWS)]
        return max(*fixed, float(np.mean(drawn)))
    return max((float(task.type.score(guess, rows, language)[task.main_score]) for guess in guesses), default=0.0)


def _span_guesses(rows: pa.Table) -> list[list[str]]:
    """The first sentence and the whole of every passage."""
    passages = column(rows, "context")
    firsts = [match.group().strip() if (match := _SENTENCE.match(text)) else text for text in passages]
    return [firsts, passages]


def _random_spans(rows: pa.Table, seed: int) -> list[str]:
    """A stretch of every passage at a random place, as long as its gold answer."""
    rng = np.random.default_rng([seed, rows.num_rows])
    spans = []
    for text, answer in zip(column(rows, "context"), column(rows, "answers"), strict=True):
        size = min(len(answer["text"][0]), len(text))
        start = int(rng.integers(len(text) - size + 1))
        spans.append(text[start : start + size])
    return spans


def _mined_at_random(kind: Mining, rows: pa.Table, language: str) -> float:
    sides = column(rows, "side")
    queries, number = sides.count("source"), sides.count("source") + sides.count("target")
    vectors = np.random.default_rng(0).normal(size=(number, 64)).astype(np.float32)
    nothing = Ragged(np.zeros(number, dtype=np.int64), np.arange(number + 1, dtype=np.int64))
    features = Features(
        input_ids=nothing, example=np.arange(number, dtype=np.int64), num_examples=number, num_queries=queries
    )
    return kind.score(kind.predict(vectors, features, rows), rows, language)["f1"]


def _summary(cells: dict[str, dict[str, Cell]], metrics: dict[str, str]) -> str:
    lines = ["| target | score | languages | mean | mean floor | lowest | above their floor |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in cells.items():
        mean, floors = (float(np.mean(v)) for v in zip(*((c.score, c.floor) for c in row.values()), strict=True))
        worst = min(row, key=lambda code: row[code].score - row[code].floor)
        low = f"{worst} {100 * row[worst].score:.1f} (floor {100 * row[worst].floor:.1f})"
        above = sum(cell.above for cell in row.values())
        lines.append(f"| {name} | {metrics[name]} | {len(row)} | {100 * mean:.1f} | {100 * floors:.1f} | {low} | "
                     f"{above} of {len(row)} |")  # fmt: skip
    return "\n".join(lines)


def _by_language(cells: dict[str, dict[str, Cell]]) -> str:
    """A language a row, a target a column: score, and its floor in brackets."""
    lines = [f"| language | {' | '.join(cells)} |", "|---" * (len(cells) + 1) + "|"]
    for code in sorted({code for row in cells.values() for code in row}):
        values = [_text(row[code]) if code in row else "" for row in cells.values()]
        lines.append(f"| {code} {language_name(code)} | {' | '.join(values)} |")
    return "\n".join(lines)


def _text(cell: Cell) -> str:
    return f"{100 * cell.score:.1f}{'' if cell.above else '*'} ({100 * cell.floor:.1f})"


if __name__ == "__main__":
    main()
