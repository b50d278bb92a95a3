"""Data from the Hugging Face hub or GitHub: files of a pinned commit, read here and without running anyone's code.

A commit's files never change, so what they are is asked once and kept: a start on a warm cache asks nothing, and works
without a network.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import yaml

from raystilts.errors import UserError, did_you_mean, first_line
from raystilts.tasks import files, github
from raystilts.tasks.converters import converter_identity, get_converter
from raystilts.tasks.languages import flores_code, iso3_code, language_name
from raystilts.tasks.source import CONVERTED, Source

#: Seconds that are waited in all when the hub says that too much was asked.
PATIENCE_S = 600.0

#: Seconds between two tries where nobody says how long to wait.
PAUSE_S = 10.0

#: What clients call it when nothing comes; `huggingface_hub` has changed its client (httpx, httpx2), not these names.
_STALL, _UNREACHED = "ReadTimeout", "ConnectTimeout"

#: Pages of data sets, for people.
_SETS = "https://huggingface.co/datasets"

_COMMIT = re.compile(r"[0-9a-f]{40}")

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a data set at one commit.

    Attributes:
        commit: The commit, whatever name it was asked by.
        names: Paths of all its files.
        configs: What its card says each configuration's splits are: patterns of paths, by configuration and split.
    """

    commit: str
    names: tuple[str, ...]
    configs: dict[str, dict[str, list[str]]]


def _fill(text: str, source: Source, language: str) -> str:
    return text.format(
        language=source.language_codes.get(language, language),
        iso3=source.language_codes.get(language, iso3_code(language)),
        flores=source.language_codes.get(language, flores_code(language)),
        language_name=language_name(language),
    )


def names(source: Source, language: str) -> tuple[str | None, str]:
    """Configuration and split on the hub."""
    name = None if source.name is None else _fill(source.name, source, language)
    return name, _fill(source.hub_split or source.split, source, language)


def identity(source: Source, language: str) -> list[str | None]:
    """What identifies rows that are not here: data set, revision, configuration and split, and how many are read.

    On GitHub also the files: nothing else says there which data of a repository is meant.
    """
    name, split = names(source, language)
    more = [] if source.hub_rows is None else [str(source.hub_rows)]
    more += [f"{column}={value}" for column, value in sorted(source.hub_where.items())]
    more += [] if source.hub_converter is None else [converter_identity(source.hub_converter)]
    more += [] if source.file_type is None else [source.file_type]
    more += _named_files(source, language) if source.on_github else []
    return [source.path, source.keyed_as or source.revision, name, split, *more]


def read(source: Source, language: str) -> tuple[list[pa.Table], list[str]]:
    """Downloads (or takes from the cache) one language's rows.

    Returns:
        A table a file, and what to call each in a message.

    Raises:
        UserError: If the hub cannot be reached, or has no such data.
    """
    if source.path is None:
        raise UserError(
            f"{source.dataset}: not on the hub in a form that can be read; set data_dir or RAYSTILTS_DATA_DIR to a "
            f"folder that holds {_files(source, language)}"
        )
    listing = _listing(source, language)
    tables, places, left = [], [], source.hub_rows
    for name in split_files(source, language, listing):
        path = _asked(source, language, lambda name=name: _download(source, listing.commit, name), name)  # type: ignore[misc]
        table = _table(source, Path(path), name, left)
        tables.append(table)
        places.append(f"{source.path}@{listing.commit[:7]}/{name}")
        if left is not None and (left := left - table.num_rows) <= 0:
            break
    return tables, places


def _table(source: Source, path: Path, name: str, limit: int | None) -> pa.Table:
    try:
        return files.read(path, f"{source.path}/{name}", limit=limit, file_type=source.file_type)
    except UserError as error:
        if not source.on_github:
            raise
        raise UserError(
            f"{str(error).rstrip('.')}. It is kept at {path}: if that is wrong, remove it and run again"
        ) from error


def as_in_a_folder(source: Source, rows: pa.Table, language: str) -> pa.Table:
    """What was read from the hub, as a folder holds it: the rows of the split alone, in the task's own columns.

    Raises:
        UserError: If a column is not there by which the split is told apart.
    """
    import pyarrow.compute as pc  # here: names of tasks are asked for without it

    splits = _fill(source.hub_split or source.split, source, language).split("+")
    for column, value in source.hub_where.items():
        if column not in rows.column_names:
            hint = did_you_mean(column, rows.column_names)
            raise UserError(f"{source.path}: column {column!r} is missing, by which {source.split} is told; {hint}")
        wanted = pa.array([value.replace("{split}", split) for split in splits])
        rows = rows.filter(pc.is_in(rows[column], wanted))
    return rows if source.hub_converter is None else get_converter(source.hub_converter)(rows, language)


def split_files(source: Source, language: str, listing: Listing) -> list[str]:
    """The files of a source in one language, in order.

    Raises:
        UserError: If the data set has no such configuration or split.
    """
    config, splits = names(source, language)
    found: list[str] = []
    if source.on_github:  # nobody lists what is there: the source names it
        return _named_files(source, language)
    for split in splits.split("+"):
        patterns = _patterns(source, language, config, split, listing)
        matching = [name for name in listing.names if any(_matches(name, pattern) for pattern in patterns)]
        if not matching:
            raise UserError(
                f"{source.path}{f' ({config})' if config else ''}: no split {split!r} at {listing.commit[:7]}; "
                f"{_what_there_is(config, listing)}. The source is out of date, or its `name` or `hub_split` is wrong"
            )
        found += sorted(matching)
    return found


def _named_files(source: Source, language: str) -> list[str]:
    """The files of a source on GitHub in one language, in order.

    Raises:
        UserError: If what is filled in, such as a language's own code, leads out of the repository.
    """
    _, splits = names(source, language)
    named = [str(source.hub_files).replace("{split}", split) for split in splits.split("+")]
    found = list(dict.fromkeys(_fill(name, source, language) for name in named))
    if outside := next((name for name in found if name.startswith("/") or ".." in re.split(r"[/\\]", name)), None):
        raise UserError(f"{source.path}: {outside!r} leaves the repository; look at hub_split and language_codes")
    return found


def _patterns(source: Source, language: str, config: str | None, split: str, listing: Listing) -> list[str]:
    """Where the files of a split are: as the source says, by the card, or as the hub lays Parquet files out."""
    if source.hub_files is not None:
        return [_fill(source.hub_files.replace("{split}", split), source, language)]
    if source.revision != CONVERTED and listing.configs:
        name = config or ("default" if "default" in listing.configs else next(iter(listing.configs)))
        if name not in listing.configs:
            hint = did_you_mean(name, listing.configs)
            raise UserError(f"{source.path}: no configuration {name!r} at {listing.commit[:7]}; {hint}")
        return listing.configs[name].get(split, [])
    folder = config or "default"
    return [f"{folder}/{split}/*.parquet", f"{folder}/*{split}.parquet", f"{folder}/{split}-*.parquet"]


def _what_there_is(config: str | None, listing: Listing) -> str:
    if config in listing.configs:
        return f"splits there: {', '.join(listing.configs[config])}"
    folders = sorted({name.split("/")[0] for name in listing.names if "/" in name})
    return did_you_mean(config or "default", folders)


def _matches(name: str, pattern: str) -> bool:
    """Whether a path matches a pattern in which * stays within a folder, and ** does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    kinds = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(kinds.get(part, re.escape(part)) for part in parts), name) is not None


def _files(source: Source, language: str) -> str:
    """The files of a folder that hold the same."""
    return ", ".join(f"{source.dataset}/{language}/{part}.parquet" for part in source.split.split("+"))


def is_cached(source: Source, language: str) -> bool:
    """Whether a language's files of the pinned revision are in the hub's cache on this machine."""
    from huggingface_hub import try_to_load_from_cache

    listing = None if source.path is None else _kept(source)
    if listing is None or source.path is None:
        return False
    try:
        wanted = split_files(source, language, listing)
    except UserError:
        return False
    if source.on_github:
        return all(github.is_kept(source.repository, source.revision, name) for name in wanted)
    return all(
        isinstance(try_to_load_from_cache(source.path, name, revision=listing.commit, repo_type="dataset"), str)
        for name in wanted
    )


def _listing(source: Source, language: str) -> Listing:
    """What a source's data set holds at its revision: kept from an earlier run, else asked of the hub."""
    found = _kept(source)
    if found is None:
        found = _asked(source, language, lambda: _ask(source))
        text = json.dumps({"commit": found.commit, "names": found.names, "configs": found.configs})
        github.keep(_listing_path(source), text.encode())
    if _COMMIT.fullmatch(source.revision) and found.commit != source.revision:
        raise UserError(f"{source.path}: asked for commit {source.revision} and got {found.commit}; a pin is a pin")
    return found


def _listing_path(source: Source) -> Path:
    """Beside the hub's own cache, so that clearing that clears this."""
    from huggingface_hub import constants

    name = f"{source.path}@{source.revision}".replace("/", "--")
    return Path(constants.HF_HUB_CACHE) / ".raystilts" / f"{name}.json"


def _kept(source: Source) -> Listing | None:
    if source.on_github:
        return Listing(source.revision, (), {})
    path = _listing_path(source)
    try:
        return _parsed(str(path), path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=256)
def _parsed(path: str, modified: int) -> Listing:
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    return Listing(found["commit"], tuple(found["names"]), found["configs"])


def _ask(source: Source) -> Listing:
    """Asks the hub for a data set's files and card: two requests, or one where it has no card."""
    from huggingface_hub import HfApi

    assert source.path is not None
    info = HfApi().dataset_info(source.path, revision=source.revision)
    listed = tuple(one.rfilename for one in info.siblings or ())
    configs = {}
    if source.revision != CONVERTED and "README.md" in listed:
        card = Path(_download(source, str(info.sha), "README.md")).read_text(encoding="utf-8", errors="replace")
        configs = card_configs(card)
    return Listing(str(info.sha), listed, configs)


def card_configs(card: str) -> dict[str, dict[str, list[str]]]:
    """Patterns of the files of each configuration and split, as the head of a data set's card declares them."""
    parts = re.split(r"^---\s*$", card, maxsplit=2, flags=re.MULTILINE)
    try:
        head = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    except yaml.YAMLError:
        return {}
    declared = head.get("configs") if isinstance(head, dict) else None
    found: dict[str, dict[str, list[str]]] = {}
    for one in declared or ():
        base = f"{one['data_dir'].strip('/')}/" if one.get("data_dir") else ""
        splits = found.setdefault(str(one.get("config_name", "default")), {})
        entries = one.get("data_files") or [{"split": "train", "path": "**"}]
        for entry in entries if isinstance(entries, list) else [entries]:
            entry = entry if isinstance(entry, dict) else {"split": "train", "path": entry}
            paths = entry.get("path", [])
            paths = paths if isinstance(paths, list) else [paths]
            splits[str(entry.get("split", "train"))] = [base + path for path in paths]
    return found


def _download(source: Source, commit: str, name: str) -> str:
    from huggingface_hub import hf_hub_download

    assert source.path is not None
    if source.on_github:
        return str(github.fetched(source.repository, commit, name))
    return str(hf_hub_download(source.path, name, repo_type="dataset", revision=commit))


def _asked(source: Source, language: str, ask: Callable[[], _Found], file: str | None = None) -> _Found:
    """What the hub answers; what it refuses is told with what to do.

    Too many requests (429) are waited for as long as the hub says, and a stall is tried again, `PATIENCE_S` in all.
    """
    waited = 0.0
    while True:
        began = time.monotonic()
        try:
            return ask()
        except UserError:
            raise
        except Exception as error:  # of the hub's client, the connection or the disk
            pause = _pause(error)
            waited += time.monotonic() - began
            if pause is None or waited + pause > PATIENCE_S:
                raise UserError(f"{_told(source, language, error, file)} Or {_instead(source, language)}") from error
            time.sleep(pause)
            waited += pause


def _pause(error: Exception) -> float | None:
    """How long the hub wants one to wait; None where waiting is of no use."""
    if type(error).__name__ == _STALL:  # connected, and then nothing; not a network that leads nowhere
        return PAUSE_S
    response = getattr(error, "response", None)
    if response is None or response.status_code != 429:
        return None
    told = re.search(r"\bt=(\d+)", response.headers.get("RateLimit", ""))
    after = response.headers.get("Retry-After", "")
    return float(told[1]) + 0.5 if told else float(after) if after.isdecimal() else PAUSE_S


def _told(source: Source, language: str, error: Exception, file: str | None) -> str:
    """What went wrong, and what to do: one sentence a kind of trouble."""
    from huggingface_hub import errors

    hub = "GitHub" if source.on_github else "the hub"
    where = f"https://github.com/{source.repository}" if source.on_github else f"{_SETS}/{source.path}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"{source.path}: access is restricted; accept the terms at {where} and log in with `hf auth login`."
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return f"{source.path} at {source.revision}: not in the cache here and no network; run once with one."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{source.path}: no commit {source.revision}; the data set was rewritten, look for a new one at {where}."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{source.path}: no such data set on the hub; renamed, private or withdrawn: look at {where}."
    if isinstance(error, errors.EntryNotFoundError):
        return f"{source.path} at {source.revision}: a listed file is missing; look at {where}."
    if status == 404:
        missing = f"no file {file or source.hub_files} (language {language!r})"
        return f"{source.path} at {source.revision}: {missing}; moved, private or withdrawn: see {where}."
    if status == 429:
        return f"{source.path}: too many requests, and {hub} still refuses after {PATIENCE_S:.0f} s; try later."
    if status is not None and status >= 500:
        return f"{source.path}: {hub} is out of order ({status}); try again later."
    if type(error).__name__ == _STALL:
        return f"{source.path}: {hub} does not answer, asked again for {PATIENCE_S:.0f} s; try later."
    if type(error).__name__ == _UNREACHED:
        return f"{source.path}: {hub} cannot be reached (no answer in time); check the network and its proxy."
    return f"{source.path}: cannot be read from {hub}: {first_line(error).rstrip('.')}."


def _instead(source: Source, language: str) -> str:
    return f"set data_dir or RAYSTILTS_DATA_DIR to a folder that holds {_files(source, language)}"
