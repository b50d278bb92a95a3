"""Commands that keep order among studies: ls, stop, clean."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raystilts.cli.common import AsJson, ResultsFolder, app, messages, output, say
from raystilts.errors import StorageError, UserError

if TYPE_CHECKING:
    from raystilts.scheduling.cleaning import Cleaning
    from raystilts.scheduling.storage import Storage, StoredStudy


@app.command(name="ls")
def list_studies(
    storage: Annotated[str, typer.Argument(help="A storage_path: the folder of the results folders.")] = (
        "~/raystilts_results"
    ),
    as_json: AsJson = False,
) -> None:
    """List the studies below a storage_path: what is done, what runs where, and what they take.

    Example: raystilts ls /data/results
    """
    from raystilts.scheduling.storage import read_storage

    found = read_storage(storage)
    studies = [_describe(one, found) for one in found.studies.values()]
    if as_json:
        print(json.dumps({"storage": found.url, "studies": studies, "bytes": found.total}, indent=1))
        return
    if not studies:
        raise UserError(f"{storage}: no study was run here; name a storage_path: the folder of results folders")
    _print_table(studies)
    say(f"{found.url}: {_amount(found.total)}; shared weights counted once")


def _describe(study: StoredStudy, storage: Storage) -> dict[str, Any]:
    """One study for programs."""
    from raystilts.report.completeness import completeness
    from raystilts.results.results import Results

    answer = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with a folder is said where it is asked
        with suppress(UserError, StorageError):
            answer = completeness(Results(study.folder.url), study.rows)
        finished = {row.stage for row in study.rows if row.status == "finished"}
        sizes = storage.bytes_of(study)
    owner, changed = study.owner, study.changed
    return {
        "name": study.name,
        "finished_stages": len(finished),
        "done": None if answer is None else answer.done,
        "planned": None if answer is None else answer.asked,
        "unit": None if answer is None else answer.unit,
        "state": study.state,
        "host": None if owner is None else owner.host,
        "pid": None if owner is None else owner.pid,
        "changed": None if changed is None else changed.isoformat(timespec="seconds"),
        "bytes": sizes,
    }


_HEAD = ("study", "done", "state", "last change", "tables", "intermediates", "targets", "unfinished")
#: Columns of words, which come before those of sizes.
_WORDS = 4


def _print_table(studies: list[dict[str, Any]]) -> None:
    """A line a study however long it is: a name that is broken cannot be copied."""
    from datetime import datetime

    rows: list[Sequence[str]] = [_HEAD]
    for one in studies:
        done = f"{one['finished_stages']} stages" if one["planned"] is None else f"{one['done']} of {one['planned']}"
        done += "" if one["unit"] is None else f" {one['unit']}s"
        state = one["state"] if one["pid"] is None else f"running ({one['host']}, {one['pid']})"
        changed = "" if one["changed"] is None else datetime.fromisoformat(one["changed"]).astimezone()
        last = f"{changed:%Y-%m-%d %H:%M}" if changed else ""
        sizes = [_amount(size) if size else "-" for size in one["bytes"].values()]
        rows.append((one["name"], done, state, last, *sizes))
    columns = []
    for index, column in enumerate(zip(*rows, strict=True)):
        width = max(map(len, column))
        columns.append([text.ljust(width) if index < _WORDS else text.rjust(width) for text in column])
    for row in zip(*columns, strict=True):
        say("  ".join(row))


def _amount(size: int) -> str:
    """Bytes for people."""
    for limit, unit in ((10**9, "GB"), (10**6, "MB")):
        if size >= limit:
            return f"{size / limit:.1f} {unit}"
    return f"{max(1, round(size / 1000))} kB"


@app.command()
def stop(results: ResultsFolder) -> None:
    """End the run of a study as Ctrl-C does: what has finished is kept, and the same command goes on.

    From any machine that reaches the results folder. Asked a second time it waits for nothing, as a second Ctrl-C.

    Example: raystilts stop ~/raystilts_results/quickstart
    """
    from raystilts.scheduling.lock import stop_driver

    owner = stop_driver(results)
    output().print(f"{results}: {owner} is stopping", soft_wrap=True)


@app.command()
def clean(
    results: ResultsFolder,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without a question.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the weights that no study below the same storage_path needs, and delete them after a question.

    What any study there keeps or may go on with stays, and so do all tables.

    Example: raystilts clean ~/raystilts_results/quickstart
    """
    from raystilts.scheduling.cleaning import find_spare, remove

    found = find_spare(results)
    if as_json:
        print(json.dumps({"spare": [asdict(one) for one in found.spare], "bytes": found.size}, indent=1))
    else:
        _print_spare(found)
    if not found.spare:
        return
    if not yes and (as_json or not sys.stdin.isatty()):
        messages().print("nothing was deleted; --yes deletes")
        return
    if yes or typer.confirm("Delete them?"):
        gone = remove(found)
        messages().print(f"{len(gone.spare)} deleted, {_amount(gone.size)}")


def _print_spare(found: Cleaning) -> None:
    for one in found.spare:
        say(f"{_amount(one.size):>9}  {one.kind}  {one.name}  {one.what}".rstrip())
    for name in found.held_back:
        messages().print(
            f"note: trainings in progress stay: {name} does not say which it goes on with (a search, or run by an "
            "older version; run it again)", soft_wrap=True,
        )  # fmt: skip
    number = len(found.spare)
    things = "1 thing" if number == 1 else f"{number} things"
    say(f"{things} that no study needs, {_amount(found.size)}" if number else "there is nothing that no study needs")
