"""A results folder with everything that the page has to show, and a reader of HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from results.examples import write_results
from results.rows import run_row, score_rows

from raystilts.report.html.markup import VOID
from raystilts.results.ledger import write_attempt

#: An arm whose name would be markup if it were not escaped.
HOSTILE = '<b onclick="x()">&amp;'


def write_everything(folder: Path) -> Path:
    """Two targets, one without dev data; fractions; a hostile name; stopped and failed runs; learning curves."""
    write_results(folder, "xnli")
    write_results(folder, "udpos", dev=False)
    for seed in (0, 1, 2):
        run = run_row(f"hostile.{seed}", intermediate=HOSTILE, intermediate_fraction=1.0, seed=seed)
        scores = score_rows(run, {"en": 0.60 + 0.01 * seed, "de": 0.40})
        for step in (5, 10):
            values = {"en": 0.3 + 0.02 * step + 0.01 * seed}
            scores += score_rows(run, values, split="dev", step=step, share=step / 10, is_final=step == 10)
        write_attempt(folder, run, scores)
    stopped = run_row("stopped.3", intermediate=HOSTILE, intermediate_fraction=1.0, seed=3, status="stopped",
                      rung=0.5, steps_done=5, seconds=4.0)  # fmt: skip
    early = [row for step in (2, 5)
             for row in score_rows(stopped, {"en": 0.1 * step}, split="dev", step=step, share=step / 10,
                                   is_final=False)]  # fmt: skip
    write_attempt(folder, stopped, early)
    failed = run_row("failed.4", intermediate="squad", intermediate_fraction=1.0, seed=4, status="failed",
                     stop_reason="error", error="<script>alert(1)</script>")  # fmt: skip
    write_attempt(folder, failed, [])
    return folder


class Tree(HTMLParser):
    """Reads a page: whether its elements nest, its attributes, the text of its tables.

    Attributes:
        problems: End tags that do not fit.
        elements: Every start tag with its attributes.
        tables: Rows of cell texts, by caption; small print within a cell comes after a space.
        text: All text outside of style and script.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(page)
        self.close()
        self.problems += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "small" and self._rows and self._rows[-1]:
            self._rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}>")
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if "style" in self._open or "script" in self._open:
            return
        self.text += data
        if "caption" in self._open:
            self._caption += data
        elif "td" in self._open or "th" in self._open:
            self._rows[-1][-1] += data

    def table(self, start: str) -> dict[str, dict[str, str]]:
        """The table whose caption starts so: row name to column name to text."""
        [rows] = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        head, *body = rows
        return {row[0].lstrip("●"): dict(zip(head[1:], row[1:], strict=True)) for row in body}
