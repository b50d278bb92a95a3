"""docs/reference/tasks.md and docs/howto/own_task.md cannot drift from the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from raystilts.study.intermediate import MIXTURES
from raystilts.tasks.check import declared
from raystilts.tasks.registry import all_tasks, load_task_file
from raystilts.tasks.source import Source

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "tasks.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("task_table", ROOT / "scripts" / "task_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_task_has_its_row() -> None:
    rows = re.findall(r"^\| `([\w.@+-]+)` \|", PAGE, flags=re.MULTILINE)
    assert [name for name in rows if name in all_tasks()] == list(all_tasks())
    assert all(f"`{name}`" in PAGE for name in MIXTURES)


def test_the_table_is_what_the_registry_gives(script: ModuleType, tmp_path: Path) -> None:
    """Without any data: all but the numbers of rows."""
    written = PAGE.partition(script.BEGIN)[2].partition(script.END)[0].strip().splitlines()
    made = script.table(tmp_path).splitlines()
    without = [[cell for i, cell in enumerate(line.split(" | ")) if i != 3] for line in written[2:]]
    assert without == [[cell for i, cell in enumerate(line.split(" | ")) if i != 3] for line in made[2:]]
    assert script.replaced(PAGE, "x").count(script.BEGIN) == 1


def test_the_rows_are_those_of_the_folder(script: ModuleType, data_dir: Path) -> None:
    if not (data_dir / "index.json").is_file():
        pytest.skip("the page counts the rows of the folder of samples, which has an index.json")
    assert script.replaced(PAGE, script.table(data_dir)) == PAGE


def test_the_example_is_a_task_of_at_most_forty_lines(tmp_path: Path) -> None:
    from raystilts.tasks import registry

    page = (ROOT / "docs" / "howto" / "own_task.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    [example] = [block for block in blocks if "TASK = Task(" in block]
    assert len(example.splitlines()) <= 40
    path = tmp_path / "reviews.py"
    path.write_text(example)
    before = dict(registry._TASKS)
    try:
        assert [task.name for task in load_task_file(path)] == ["reviews"]
    finally:
        registry._TASKS.clear()
        registry._TASKS.update(before)


def test_every_data_set_on_the_hub_says_what_it_was_checked_against() -> None:
    table = PAGE.partition("## Sources on the hub")[2]
    told = set(re.findall(r"^\| `([\w.:-]+/[\w.*-]+)` \|", table, flags=re.MULTILINE))
    used = {
        re.sub("(?<=^github:UniversalDependencies/UD_).*", "*", str(source.of(language).path))
        for task in all_tasks().values()
        for _, source, language in declared(task)
        if isinstance(source, Source) and source.of(language).path
    }
    assert told == used | {"wikimedia/wikipedia"}
