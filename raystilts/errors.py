"""Errors that a user can act on: they print as one or two lines, never as a traceback."""

from __future__ import annotations

import difflib
import itertools
import reprlib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message says what was given, what is allowed and what to do next. The command line prints it without a
    traceback and exits with code 2.
    """


class StorageError(RuntimeError):
    """The results folder cannot be read or written (permissions, a full disk, a second driver)."""


class ClusterError(RuntimeError):
    """The Ray cluster has gone while a run was at work."""


class Stopped(KeyboardInterrupt):
    """A signal has asked the run to end. What has finished is kept; the same command goes on.

    Attributes:
        signum: The signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def first_line(error: BaseException, limit: int = 200) -> str:
    """What a library's error says, in one line of at most `limit` characters; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:limit] if lines else type(error).__name__


#: Characters of names that a message lists.
_LISTED = 120
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxdict = 3, 8, 8, 8
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100


def cut(text: str, limit: int = 100) -> str:
    """A text of at most `limit` characters: of a longer one, its beginning and its end."""
    if len(text) <= limit:
        return text
    end = limit // 4
    return f"{text[: limit - end - 5]} ... {text[-end:]}"


def shown(value: object, limit: int = 100) -> str:
    """A value as a message shows it, in at most `limit` characters however large it is."""
    return cut(_SHORT.repr(value), limit)


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """A suffix for an error about an unknown name: close matches first, else the allowed names.

    Args:
        given: The unknown name; in which case it is written does not matter.
        allowed: Every name that would have been understood.
    """
    names = sorted(set(allowed))
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)
    found = difflib.get_close_matches(cut(given).casefold(), folded, n=3, cutoff=0.6)
    close = [name for one in found for name in folded[one]][:3]
    if close:
        return f"did you mean {' or '.join(repr(name) for name in close)}?"
    lengths = itertools.accumulate(len(name) + 2 for name in names[:20])
    listed = [name for name, length in zip(names, lengths, strict=False) if length <= _LISTED] or names[:1]
    return f"known: {', '.join(listed)}" + (", ..." if len(names) > len(listed) else "")
