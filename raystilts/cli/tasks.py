"""Commands on tasks."""

from __future__ import annotations

import json

import typer

from raystilts.cli.common import AsJson, app, output

tasks_app = typer.Typer(no_args_is_help=True, help="The tasks that studies can name.")
app.add_typer(tasks_app, name="tasks")


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
    output().print(table, highlight=False)


@tasks_app.command("show")
def tasks_show(name: str) -> None:
    """One task: its data, languages, licence, citation, and what its score was checked against."""
    from raystilts.tasks.registry import get_task

    task = get_task(name)
    out = output()
    for key, value in {
        "task": task.name, "description": task.description, "type": task.type.kind, "score": task.main_score,
        "languages": " ".join(task.languages), "dev in": " ".join(task.dev_languages) or "none",
        "licence": task.licence, "citation": task.citation, "url": task.url, "scores": task.scores_compared,
    }.items():  # fmt: skip
        out.print(f"{key:12} {value}", highlight=False, markup=False)
