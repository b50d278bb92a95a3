from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.planning.checks import check_tasks, named_tasks
from raystilts.study.schema import Study
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
        ("1 / 0", "line 1, fails: ZeroDivisionError: division by zero"),
        ("\nraise ValueError('a\\nb\\nc\\nd')", "line 2, fails: ValueError: a$"),
        ("raise ValueError('x' * 10**5)", "line 1, fails: ValueError: x+$"),
        ("import sys\nsys.exit(0)", "line 2, ends the program .SystemExit.; take that out"),
        ("def (", "line 1, fails: SyntaxError"),
        ("TASK = 'x' * 10**6", r"expected TASK = Task\(...\)"),
        ("from raystilts.tasks.task import Task\nTASK = Task()", r"line 2,: Task: name: Field required \[and 6 more\]"),
    ],
)
def test_files_without_a_task(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as error:
        load_task_file(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value).replace(str(path), "")) < 300


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name="{name}"', 'name="a b"', "Task: name: String should match pattern .* .given: 'a b'."),
        ('name="{name}"', 'name="<b>"', "Task: name: String should match pattern"),
        ('name="{name}"', 'name=""', "Task: name: String should match pattern"),
        ('labels=("no", "yes")', 'labels=("no",)', "SequenceClassification: labels: "),
        (
            'main_score="accuracy"',
            'main_score="acuracy"',
            "main_score: 'acuracy' is no score of its type; did you mean",
        ),
        (
            'main_score="accuracy"',
            'main_score="macro_f1"',
            r"main_score: 'macro_f1' is no score of its type; give the type averages=\('macro_f1',\), and it is one",
        ),
        ('main_score="accuracy"', 'main_score="macro_f2"', "main_score: 'macro_f2' .*; did you mean 'macro_f1'"),
        ('main_score="accuracy"', 'mainscore="accuracy"', "Task: "),
    ],
)
def test_wrong_fields_are_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "mine.py"
    assert old in FILE
    path.write_text(FILE.replace(old, new).replace("{name}", "mine"))
    with pytest.raises(UserError, match=said) as error:
        load_task_file(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["~nosuchuser/mine.py", "a\0b.py", "x" * 1000 + ".py"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(UserError, match="is not a Python file"):
        load_task_file(path)


@pytest.mark.parametrize(
    ("missing", "arm", "said"),
    [
        ("train", False, r"targets\.0: 'mine' cannot be a target; give the task train"),
        ("test", False, r"targets\.0: 'mine' cannot be a target; give the task languages and test"),
        ("languages", False, r"targets\.0: 'mine' cannot be a target; give the task languages and test"),
        ("train", True, r"intermediates\.0: 'mine' has no training data; .*give the task train"),
    ],
)
def test_a_study_asks_for_what_a_task_lacks(missing: str, arm: bool, said: str) -> None:
    whole = get_task("sib200").model_copy(update={"name": "mine"})
    register(whole.model_copy(update={missing: () if missing == "languages" else None}))
    given = {"name": "s", "seeds": [0], "intermediates": ["mine" if arm else "none"], "targets": ["mine"]}
    study = Study.model_validate(given)
    with pytest.raises(UserError, match=said):
        check_tasks(study, named_tasks(study))


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


def test_a_field_that_tasks_do_not_have_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = FILE.format(name="older").replace("main_score=", "chance=0.5, main_score=")
    (tmp_path / "older_tasks.py").write_text(written)
    with pytest.raises(UserError, match=r"Task: chance: no such field"):
        load_task_file(tmp_path / "older_tasks.py")
    info = tmp_path / "older-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: older\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\nolder = older_tasks\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"\(older_tasks\) cannot be loaded: chance: no such field"):
        registry._scan_entry_points()


@pytest.mark.parametrize("name", ["all", "none", "anli_plus"])
def test_words_of_study_files_are_no_names_of_tasks(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(name=name))
    with pytest.raises(UserError, match=f"task '{name}': the word has a meaning of its own in study files"):
        load_task_file(path)
