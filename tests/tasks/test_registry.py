from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.tasks import registry
from raystilts.tasks.registry import all_tasks, get_task, load_task_file, register

FILE = """
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TASK = Task(
    name="{name}", type=SequenceClassification(text="text", labels=("no", "yes")),
    train=Source(dataset="mine", split="train"), main_score="accuracy",
    description="d", licence="l", citation="c", url="u",
)
"""


@pytest.fixture(autouse=True)
def _restore() -> object:
    """Leaves the registry as it was."""
    all_tasks()
    before = dict(registry._TASKS)
    yield
    registry._TASKS.clear()
    registry._TASKS.update(before)


def test_unknown_name_suggests() -> None:
    with pytest.raises(UserError, match="task 'xnil' is unknown; did you mean 'xnli'"):
        get_task("xnil")


@pytest.mark.parametrize(("name", "languages"), [("squad@de", ("de",)), ("mnli@sw+hi", ("sw", "hi"))])
def test_other_training_language(name: str, languages: tuple[str, ...]) -> None:
    task = get_task(name)
    assert task.name == name
    assert task.train_languages == languages


@pytest.mark.parametrize("name", ["mnli@", "mnli@sw+"])
def test_no_language_after_the_sign(name: str) -> None:
    with pytest.raises(UserError, match="no language after '@'; write mnli@de"):
        get_task(name)


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(name="mine"))
    assert [task.name for task in load_task_file(path)] == ["mine"]
    assert get_task("mine").type.num_labels == 2
    load_task_file(path)
    assert "mine" in all_tasks()


def test_names_are_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(name="mnli"))
    with pytest.raises(UserError, match="task 'mnli' is already registered with another definition"):
        load_task_file(path)
    register(get_task("mnli"))
    with pytest.raises(UserError, match="'@' stands for another training language"):
        register(get_task("mnli@de"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("TASK = 3", r"expected TASK = Task\(...\)"),
        ("x = 1", r"expected TASK = Task\(...\)"),
        ("TASKS = []", r"expected TASK = Task\(...\)"),
        ("1 / 0", "fails: ZeroDivisionError: division by zero"),
    ],
)
def test_files_without_a_task(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        load_task_file(path)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a Python file"):
        load_task_file(tmp_path / "none.py")


def test_the_same_every_time() -> None:
    assert list(all_tasks()) == sorted(all_tasks())
    assert all_tasks() == all_tasks()


def test_an_installed_package_offers_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_tasks.py").write_text(FILE.format(name="theirs"))
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\ntheirs = their_tasks\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._scan_entry_points()
    assert get_task("theirs").name == "theirs"
    (tmp_path / "their_tasks.py").unlink()
    (info / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\ntheirs = no_such_module\n")
    with pytest.raises(UserError, match=r"entry point 'theirs' \(no_such_module\) cannot be loaded"):
        registry._scan_entry_points()


@pytest.mark.parametrize("name", ["all", "none", "anli_plus"])
def test_words_of_study_files_are_no_names_of_tasks(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(name=name))
    with pytest.raises(UserError, match=f"task '{name}': the word has a meaning of its own in study files"):
        load_task_file(path)
