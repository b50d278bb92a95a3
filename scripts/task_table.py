"""Writes the table of tasks in docs/reference/tasks.md from the registry, and from a data folder what of it is here.

python scripts/task_table.py --data-dir DIR          # writes docs/reference/tasks.md
python scripts/task_table.py --data-dir DIR --check  # only says whether it is as it would be written
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from raystilts.tasks import folder
from raystilts.tasks.check import declared
from raystilts.tasks.loading import fingerprint, is_here
from raystilts.tasks.registry import all_tasks
from raystilts.tasks.source import Generated, Source
from raystilts.tasks.task import Task

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "tasks.md"
BEGIN, END = "<!-- table: scripts/task_table.py -->", "<!-- end of table -->"
HEAD = "| task | type | data | rows here: train, dev, test (languages) | score | checked against |"
RULE = "|---|---|---|---|---|---|"


def main() -> int:
    """Writes the page, or compares with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="data folder")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page differs")
    arguments = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    wanted = replaced(page, table(arguments.data_dir))
    if not arguments.check:
        PAGE.write_text(wanted, encoding="utf-8")
    elif wanted != page:
        print(f"{PAGE}: the table is not what the registry and {arguments.data_dir} give; run without --check")
        return 1
    return 0


def replaced(page: str, table: str) -> str:
    """The page with another table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def table(data_dir: Path) -> str:
    """A row for every registered task."""
    return "\n".join([HEAD, RULE, *(row(task, data_dir) for task in all_tasks().values())])


def row(task: Task, data_dir: Path) -> str:
    """What a reader wants to know of one task."""
    rows = ", ".join(_rows(task, split, data_dir) for split in ("train", "dev", "test"))
    kind = task.type.kind.replace("_", " ")
    cells = [f"`{task.name}`", kind, data(task), rows, task.main_score, task.scores_compared]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def data(task: Task) -> str:
    """Where the rows that make the task are from."""
    source = task.test or task.train
    if isinstance(source, Generated):
        return "made from Unicode CLDR"
    assert isinstance(source, Source)
    where = f"`{source.path}`" if source.path else "a folder only"
    if isinstance(task.train, Source) and task.train.dataset != source.dataset:
        where += f"; trains on `{task.train.dataset}`"
    return where


def _rows(task: Task, split: str, data_dir: Path) -> str:
    """Rows here, all languages together, and how many languages; 0 for what is declared and not here."""
    parts = [(source, language) for name, source, language in declared(task) if name == split]
    if not parts:
        return "none"
    here = [(source, language) for source, language in parts if is_here(source, language, data_dir)]
    count = sum(fingerprint(source, language, data_dir).rows for source, language in here)
    borrowed = any(_borrowed(source, language, data_dir) for source, language in here)
    return f"{count:,} ({len(here)}{'*' if borrowed else ''})"


def _borrowed(source: Source | Generated, language: str, data_dir: Path) -> bool:
    """Whether another split stands in for one that is not here."""
    if isinstance(source, Generated) or not source.fallback_splits:
        return False
    files = folder.split_files(data_dir, source, language)
    return [path.stem for path in files] != source.split.split("+")


if __name__ == "__main__":
    sys.exit(main())
