"""The command that shares results as a data set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from raystilts.cli.common import EncoderName, ResultsFolder, app, open_results, output
from raystilts.errors import UserError, first_line

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@app.command()
def share(
    results: ResultsFolder,
    to: Annotated[
        str,
        typer.Option(
            help="A folder to write (./NAME), or a data set on the hub (OWNER/NAME, no folder OWNER being here)."
        ),
    ],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see a new data set on the hub.")] = False,
    encoder: EncoderName = None,
) -> None:
    """Share tables and answers as a data set with a card, which datasets.load_dataset opens.

    Names of machines and folders, error messages and checkpoints are left out. On the hub it goes to a private data
    set unless --public is given; log in before: hf auth login.

    Example: raystilts share ~/raystilts_results/quickstart --to ./quickstart-results
    """
    from raystilts.report.share import shared

    on_hub = _is_hub_id(to)
    if public and not on_hub:
        raise UserError(f"--public is for the hub, and --to {to} is a folder; leave it out, or give OWNER/NAME")
    folder = None if on_hub else _empty_folder(to)
    found = shared(open_results(results, encoder))
    if folder is None:
        where = _upload(to, found.files, public=public)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in found.files.items():
            (folder / name).write_bytes(data)
        where = to
    counted = ", ".join(f"{name} {rows:,}" for name, rows in found.rows.items())
    output().print(f"{where}: rows of {counted}", soft_wrap=True)


def _is_hub_id(to: str) -> bool:
    """Whether it is OWNER/NAME, and neither a folder that is there nor a new one in a folder that is."""
    return _HUB_ID.fullmatch(to) is not None and not Path(to).exists() and not Path(to).parent.is_dir()


def _empty_folder(to: str) -> Path:
    from raystilts.study.base import expanded

    folder = expanded(to, "--to")
    if folder.is_file():
        raise UserError(f"--to {to}: is a file; give a folder that is empty, or not there yet")
    # A card that was written before may be written again.
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "finals.parquet").is_file():
        raise UserError(f"--to {to}: is a folder with other files; give one that is empty, or not there yet")
    return folder


def _upload(name: str, files: Mapping[str, bytes], *, public: bool) -> str:
    """One commit to a data set on the hub, which is made if it is not there."""
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    try:
        api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
        if not public and not api.dataset_info(name).private:
            raise UserError(f"--to {name}: everybody sees this data set; --public writes into it, or give another name")
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        done = api.create_commit(name, operations, commit_message="Results by raystilts", repo_type="dataset")
    except UserError:
        raise
    except Exception as error:  # of the client's own kinds, and those of the connection
        raise UserError(
            f"--to {name}: the hub did not take it ({first_line(error)}); log in with a token that may write: "
            "hf auth login, or give a folder: --to ./NAME"
        ) from None
    return str(done.repo_url)
