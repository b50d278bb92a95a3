"""A site that has files of a pinned commit: what is asked of it, with patience, and words for its refusals."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from raystilts.errors import UserError, first_line
from raystilts.tasks.source import Source

#: Seconds that are waited in all when a site says that too much was asked.
PATIENCE_S = 600.0

#: Seconds between two tries where nobody says how long to wait.
PAUSE_S = 10.0

#: What clients call it when nothing comes; `huggingface_hub` has changed its client (httpx, httpx2), not these names.
_STALL, _UNREACHED = "ReadTimeout", "ConnectTimeout"

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Site(ABC):
    """Where the files of a source are.

    Attributes:
        source: With a `path`.
        name: What a message calls the site.
    """

    source: Source
    name: ClassVar[str]

    @property
    @abstractmethod
    def page(self) -> str:
        """Where people find the data set."""

    @property
    @abstractmethod
    def description(self) -> str:
        """The data set, what of it is read, and its revision."""

    @abstractmethod
    def files(self, language: str, ask: bool = True) -> tuple[str, list[str]] | None:
        """The commit and its files of a language, in order; None where that is not known without asking.

        Raises:
            UserError: If there are none, or what is filled in makes no path.
        """

    def identity(self, language: str) -> list[str]:
        """What identifies a language's rows beside data set, revision, configuration and split."""
        return []

    @abstractmethod
    def is_kept(self, commit: str, name: str) -> bool:
        """Whether a file was fetched before."""

    @abstractmethod
    def fetched(self, commit: str, name: str) -> Path:
        """A file: kept from an earlier run, else fetched; raises what the hub's client does where that is refused."""


def patiently(ask: Callable[[], _Found]) -> _Found:
    """What a site answers.

    Too many requests (429) are waited for as long as it says, and a stall is tried again, `PATIENCE_S` in all.
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
                raise
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


def told(error: Exception, site: Site, missing: str) -> str:
    """What went wrong, and what to do: one sentence a kind of trouble.

    Args:
        missing: What is asked for, in words.
    """
    from huggingface_hub import errors

    source, hub, where = site.source, site.name, site.page
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
        return f"{source.path} at {source.revision}: no {missing}; moved, private or withdrawn: see {where}."
    if status == 429:
        return f"{source.path}: too many requests, and {hub} still refuses after {PATIENCE_S:.0f} s; try later."
    if status is not None and status >= 500:
        return f"{source.path}: {hub} is out of order ({status}); try again later."
    if type(error).__name__ == _STALL:
        return f"{source.path}: {hub} does not answer, asked again for {PATIENCE_S:.0f} s; try later."
    if type(error).__name__ == _UNREACHED:
        return f"{source.path}: {hub} cannot be reached (no answer in time); check the network and its proxy."
    return f"{source.path}: cannot be read from {hub}: {first_line(error).rstrip('.')}."
