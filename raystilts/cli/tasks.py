"""Commands on tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raystilts.cli.common import AsJson, Commands, app, output
from raystilts.errors import UserError

if TYPE_CHECKING:
    from raystilts.tasks.check import TaskReport
    from raystilts.tasks.task import Task

tasks_app = Commands(no_args_is_help=True, help="The tasks that studies can name.")
app.add_typer(tasks_app, name="tasks")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Data folder; default RAYSTILTS_DATA_DIR, else the hub.")
]


@tasks_app.command("list")
def tasks_list(as_json: AsJson = False) -> None:
    """All tasks, with their type, score and languages."""
    from rich.table import Table

    from raystilts.tasks.registry import all_tasks

    if as_json:
        print(json.dumps([{"name": t.name, "type": t.type.kind, "main_score": t.main_score,
                           "languages": t.languages} for t in all_tasks().values()], indent=1))  # fmt: skip
        return
    table = Table("task", "type", "score", "languages", "trains", box=None, pad_edge=False)
    for task in sorted(all_tasks().values(), key=lambda t: t.name):
        trains = "yes" if task.train is not None else "no"
        table.add_row(task.name, task.type.kind, task.main_score, str(len(task.languages)), trains)
    output().print(table)


@tasks_app.command("show")
def tasks_show(name: str, data_dir: DataDir = None) -> None:
    """One task: its data, languages, licence, citation, what its score was checked against, what is not here.

    Example: raystilts tasks show xquad
    """
    from raystilts.tasks.registry import get_task

    task = get_task(name)
    out = output()
    for key, value in (*_facts(task), *_data(task, _folder(data_dir))):
        out.print(f"{key:12} {value}", soft_wrap=True)


def _facts(task: Task) -> Iterator[tuple[str, str]]:
    from raystilts.tasks.types.regression import Regression

    labels = getattr(task.type, "labels", ())
    names = ", ".join(labels[:20]) + (f", ... ({len(labels)})" if len(labels) > 20 else "")
    if isinstance(task.type, Regression):
        names = f"a number from {task.type.low:g} to {task.type.high:g}"
    yield from {
        "task": task.name, "description": task.description, "type": task.type.kind, "score": task.main_score,
        "labels": names or "none", "languages": " ".join(task.languages),
        "dev in": " ".join(task.dev_languages) or "none", "licence": task.licence, "citation": task.citation,
        "url": task.url, "compared": task.scores_compared,
    }.items()  # fmt: skip


def _data(task: Task, data_dir: Path | None) -> Iterator[tuple[str, str]]:
    """Where each split comes from, and what of it is not here."""
    from raystilts.tasks.check import declared
    from raystilts.tasks.loading import is_here
    from raystilts.tasks.online import site_of
    from raystilts.tasks.source import Generated
    from raystilts.tasks.task import EVERY_LANGUAGE

    absent: dict[str, list[str]] = {}
    told = set()
    for split, source, language in declared(task):
        if not is_here(source, language, data_dir):
            absent.setdefault(split, []).append(language)
        if split not in told:
            told.add(split)
            if isinstance(source, Generated):
                yield split, f"made by {source.generator}, version {source.version}"
                continue
            place = language if language == EVERY_LANGUAGE else "<language>"
            hub = site_of(source).description if source.path else "no hub copy"
            rows = f", {source.rows:,} rows at full size" if source.rows else ""
            instead = f" (else {', '.join(source.fallback_splits)})" if source.fallback_splits else ""
            yield split, f"{hub}; folder {source.dataset}/{place}/{source.split}.parquet{instead}{rows}"
    for name, languages in absent.items():
        yield "not here", f"{name}: {' '.join(languages)}"


def _folder(data_dir: Path | None) -> Path | None:
    """The data folder, if there is one to be used; a wrong name is told and not taken for an empty folder."""
    from raystilts.tasks.folder import missing_dir
    from raystilts.tasks.loading import resolve_data_dir

    folder = resolve_data_dir(data_dir)
    missing = None if folder is None else missing_dir(folder)
    if missing is not None:
        named = "--data-dir" if data_dir is not None else "RAYSTILTS_DATA_DIR"
        raise UserError(f"{named}: {missing}: no such folder; expected <dataset>/<language>/<split>.parquet below it")
    return folder


@tasks_app.command("check")
def tasks_check(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME|FILE]", help="A task, or a Python file of tasks.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every registered task.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read every split of a task in every language, and say exactly what is wrong. Exit code 1 if anything is.

    Exit code 2 if the task of a file lacks a part that a study needs, while the rest of its data is there.

    Example: raystilts tasks check my_task.py
    """
    from raystilts.tasks.check import check_task, refusal

    reports, folder, refused = [], _folder(data_dir), ""
    for task in _named(name, every):
        reports.append(check_task(task, folder))
        # Not of the catalogue: of many of its tasks only some languages are here, which is all that a study asks for.
        lacking = refusal(task, folder) if name is not None and _is_file(name) else ""
        refused = refused or lacking
        if not as_json:
            _print_report(reports[-1], incomplete=bool(lacking))
    if as_json:
        print(json.dumps([_as_json(report) for report in reports], indent=1, ensure_ascii=False))
    if refused:
        raise UserError(refused)
    nothing = name is not None and not any(report.here for report in reports)
    if nothing or any(report.faults for report in reports):
        raise typer.Exit(1)


def _as_json(report: TaskReport) -> dict[str, object]:
    """A report for programs: of notes only those that there are."""
    parts = [{k: v for k, v in asdict(part).items() if k != "notes" or v} for part in report.parts]
    return {"task": report.task, "parts": parts}


def _is_file(name: str) -> bool:
    return name.endswith(".py")


def _named(name: str | None, every: bool) -> list[Task]:
    """The tasks of the command line."""
    from raystilts.tasks.registry import all_tasks, get_task, load_task_file

    if every == (name is not None):
        raise UserError("tasks check: give one task or file, or --all")
    if name is None:
        return list(all_tasks().values())
    return load_task_file(name) if _is_file(name) else [get_task(name)]


def _print_report(report: TaskReport, *, incomplete: bool) -> None:
    out = output()
    rows = sum(part.rows for part in report.parts)
    absent = [f"{part.split} {part.language}" for part in report.parts if part.absent]
    faults = "1 fault" if len(report.faults) == 1 else f"{len(report.faults)} faults"
    good = "incomplete" if incomplete else "ok" if report.here else "no data here"
    verdict = faults if report.faults else good
    out.print(f"{report.task:16} {verdict:12} {rows:>9,} rows, {len(report.here)} of {len(report.parts)} parts")
    for fault in report.faults:
        out.print(f"  {fault}", soft_wrap=True)
    for note in report.notes:
        out.print(f"  note: {note}", soft_wrap=True)
    if absent:
        shown = ", ".join(absent[:8]) + (f" and {len(absent) - 8} more" if len(absent) > 8 else "")
        out.print(f"  not here: {shown}", soft_wrap=True)
