"""Every command in the documents: it exists, with its options and fields; the cheap ones are run."""

from __future__ import annotations

import csv
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from results.rows import run_row, score_rows

from raystilts.cli import main
from raystilts.cli.common import app
from raystilts.results.compaction import compact
from raystilts.results.ledger import write_attempt
from raystilts.study.base import read_yaml
from raystilts.study.schema import Study

from .pages import MARK, PAGES, ROOT, SHELLS, Block, blocks, commands, inline, lines_of, name

#: Programs that are not ours: nothing is known of their options.
OTHERS = ("pip", "ray", "aws", "sbatch", "srun", "kubectl", "ruff", "mypy", "export", "hf", "python3", ".",
          "cd", "pytest", "zensical")  # fmt: skip
REPOSITORY = re.compile(r"(search_spaces|examples|benchmarks|scripts|tests|findings)/[\w./-]+")
WITH_STUDY = ("run", "plan", "predict")

SHELL_BLOCKS = [block for page in PAGES for block in blocks(page, *SHELLS) if lines_of(block)]
RUN_BLOCKS = [block for block in SHELL_BLOCKS if block.mark == "<!-- run -->"]


def by_place(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=by_place)
def test_a_block_of_commands_says_whether_it_is_run(block: Block) -> None:
    if name(ROOT / "docs/reference/command_line.md") not in block.place:
        assert MARK.fullmatch(block.mark), f"{block.place}: write <!-- run --> or <!-- needs: WHAT --> before it"


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=by_place)
def test_commands_exist(block: Block) -> None:
    for line in lines_of(block):
        for words in commands(line):
            check(words, block.place)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_the_text_exist(page: Path) -> None:
    for place, words in inline(page):
        check_ours(words, place)


def check(words: list[str], place: str) -> None:
    """Fails where a command is not there, or has no such option or field."""
    if not words:
        return
    for word in words:
        if found := REPOSITORY.fullmatch(word):
            assert (ROOT / found[0]).exists() or "*" in word or "ROOM" in word, f"{place}: there is no {word}"
    program = words[0].rsplit("/", 1)[-1]
    if program == "raystilts":
        check_ours(words, place)
    elif program == "python" and len(words) > 1 and words[1].endswith(".py"):
        check_script(words, place)
    elif program == "ray" and words[1:2] == ["exec"]:
        for inner in commands(words[-1].partition("-- ")[2]):
            check(inner, place)
    else:
        assert program in (*OTHERS, "python"), f"{place}: {program} is neither ours nor listed"


def check_ours(words: list[str], place: str) -> None:
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    path = "raystilts"
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        path += f" {rest[0]}"
        assert rest[0] in command.commands, f"{place}: there is no command {path}"
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    for i, word in enumerate(rest):
        if re.match(r"--?[a-zA-Z]", word):
            option = word.partition("=")[0].rstrip(",.")
            assert option in options, f"{place}: {path} has no option {option}"
            if option == "--set" and path.split()[-1] in WITH_STUDY:
                assert known_field(rest[i + 1].partition("=")[0].split(".")), f"{place}: no field {rest[i + 1]}"


def check_script(words: list[str], place: str) -> None:
    script = ROOT / words[1]
    assert script.is_file(), f"{place}: there is no {words[1]}"
    source = script.read_text(encoding="utf-8")
    for module in re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE):
        beside = script.parent / f"{module}.py"
        source += beside.read_text(encoding="utf-8") if beside.is_file() else ""
    for i, word in enumerate(words[2:], 2):
        if word.startswith("--"):
            option = word.partition("=")[0]
            assert f'"{option}"' in source, f"{place}: {words[1]} has no option {option}"
            if option == "--set":
                assert known_field(words[i + 1].partition("=")[0].split(".")), f"{place}: no field {words[i + 1]}"


def known_field(parts: list[str], model: type[BaseModel] = Study) -> bool:
    """Whether a study file has a field at this path."""
    if parts[0] not in model.model_fields:
        return False
    inner = list(models_in(model.model_fields[parts[0]].annotation))
    rest = parts[1:]
    if rest and "dict" in str(model.model_fields[parts[0]].annotation):
        rest = rest[1:]  # the name of a task, or a kind of stage
    return not rest or any(known_field(rest, one) for one in inner)


def models_in(annotation: Any) -> typing.Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for one in typing.get_args(annotation):
        yield from models_in(one)


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "yaml")], ids=by_place)
def test_study_files_are_valid(block: Block, tmp_path: Path) -> None:
    for text in documents(block.text):
        (tmp_path / "study.yaml").write_text(text)
        data = read_yaml(tmp_path / "study.yaml")
        assert isinstance(data, dict), block.place
        if "hyperparameters" in data:
            data["hyperparameters"].pop("from", None)
        least = {"name": "x", "intermediates": ["none"], "targets": ["xnli"], "seeds": [0, 1, 2, 3, 4, 5, 6, 7]}
        Study.model_validate(least | data)


def documents(text: str) -> list[str]:
    """The block, or each of its lines where it shows one field in several forms."""
    keys = re.findall(r"^(\w+):", text, re.MULTILINE)
    return [text] if len(set(keys)) == len(keys) else [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "python")], ids=by_place)
def test_python_compiles_and_its_imports_are_there(block: Block) -> None:
    if block.place.startswith("docs/reference/python_api.md"):
        return  # signatures
    compile(block.text, block.place, "exec")
    for line in block.text.splitlines():
        if re.match(r"(from|import) raystilts", line):
            exec(line, {})


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what the commands of the pages name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    results = tmp_path / "RESULTS"
    for target in ("xnli", "pawsx"):
        for i, arm in enumerate(("none", "snli", "squad")):
            for seed in (0, 1, 2):
                run = run_row(f"{target}.{arm}.{seed}", intermediate=arm, target=target, seed=seed,
                              intermediate_fraction=None if arm == "none" else 1.0)  # fmt: skip
                score = 0.5 + 0.02 * i + 0.01 * ((i + 1) * (seed + 1) % 3)
                values = {"en": score, "de": score - 0.1, "hi": score - 0.2, "ur": score - 0.25}
                rows = [row for split in ("dev", "test") for row in score_rows(run, values, split=split)]
                write_attempt(results, run, rows)
    study = {"name": "RESULTS", "intermediates": ["none", "snli", "squad"], "targets": ["xnli", "pawsx"],
             "seeds": [0, 1, 2]}  # fmt: skip
    (results / "study.json").write_text(Study.model_validate(study).model_dump_json())
    compact(results)
    write_tables(tmp_path)
    write_task(tmp_path)
    return tmp_path


def write_tables(folder: Path) -> None:
    """What `raystilts import` is shown with."""
    scores = [(arm, task, seed, 70 + 5 * (arm == "mnli") + seed) for arm in ("none", "mnli")
              for task in ("rte", "sst2") for seed in (1, 2, 3)]  # fmt: skip
    for file in ("table", "transfer"):
        with (folder / f"{file}.csv").open("w", newline="") as out:
            csv.writer(out).writerows([("intermediate", "target", "seed", "accuracy"), *scores])
    for file in ("en", "de"):
        with (folder / f"{file}.csv").open("w", newline="") as out:
            csv.writer(out).writerows([("intermediate", "target", "seed", "accuracy"), *scores])
    with (folder / "seed2.csv").open("w", newline="") as out:
        rows = [(arm, task, "en", score) for arm, task, seed, score in scores if seed == 2]
        csv.writer(out).writerows([("intermediate", "target", "language", "accuracy"), *rows])
    for arm, task, seed, score in scores:
        run = folder / "runs" / arm / task / f"seed{seed}"
        run.mkdir(parents=True)
        (run / "all_results.json").write_text(f'{{"eval_accuracy": {score / 100}}}')


def write_task(folder: Path) -> None:
    """The README's task, with its data as CSV."""
    (task,) = [block.text for block in blocks(ROOT / "README.md", "python") if "TASK = Task(" in block.text]
    (folder / "my_task.py").write_text(task)
    for language, splits in (("en", ("train", "validation", "test")), ("de", ("test",))):
        for split in splits:
            path = folder / "data" / "my_reviews" / language / f"{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as out:
                rows = [(f"{language} {split} review number {i}", 1 + i % 5) for i in range(20)]
                csv.writer(out).writerows([("review", "stars"), *rows])


@pytest.mark.filterwarnings("ignore::raystilts.results.reader.ResultsWarning")
@pytest.mark.parametrize("block", RUN_BLOCKS, ids=by_place)
def test_commands_run(
    block: Block, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in lines_of(block):
        (words,) = commands(line)
        assert words[0] == "raystilts", block.place
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert not end.value.code, f"{block.place}: {line}\n{said.err}"
        assert said.out or said.err
