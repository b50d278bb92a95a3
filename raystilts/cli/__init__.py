"""The command line: thin; everything it does is a function of the Python API."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import sys
import warnings
from typing import Any

from raystilts.analysis.presentation import printable
from raystilts.cli import analyze, export, housekeeping, import_, results, run, search, share, tasks, watch  # noqa: F401 (each adds its commands)
from raystilts.cli.common import app
from raystilts.errors import StorageError, UserError

_as_usual = warnings.formatwarning


def _format_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
    """Our own warnings as notes, others as Python shows them, with their place; names in them may hold anything."""
    if category.__module__.startswith("raystilts."):
        return printable(f"note: {message}\n")
    return printable(_as_usual(message, category, *place, **more))


def main() -> None:
    """Runs the command line; a user's mistake is one or two lines and exit code 2."""
    # A question makes many objects and drops few: looking for garbage as often as usual takes a tenth of its time.
    gc.set_threshold(100_000)
    warnings.formatwarning = _format_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without these letters shows them as \\u....
            stream.reconfigure(errors="backslashreplace")
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"raystilts: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except StorageError as error:
        print(f"raystilts: {printable(str(error))}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno != errno.ENOSPC:  # a full disk under results or checkpoints is a `StorageError`
            raise
        where = error.filename or "the output, or a temporary file,"
        print(f"raystilts: {error.strerror}: {where} cannot be written", file=sys.stderr)
        sys.exit(1)


def script() -> None:
    """What the command `raystilts` runs: `main`, and then the quick end of a process that is all ours."""
    status: list[int] = []
    if atexit._ncallbacks() == 0:  # otherwise something is done later, at the ordinary end
        atexit.register(_leave, status)
    try:
        main()
    except SystemExit as end:
        status.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
    status.append(0)


def _leave(status: list[int]) -> None:
    """Ends the process after all else that is done at exit, for what is registered first is done last.

    All that is left to Python then is to look through its memory for garbage and free it: .1 to .2 seconds.
    """
    if not status:  # an error of ours, with its trace
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:  # None where the shell has closed it
                stream.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # which only says that nobody reads any more
            print(f"raystilts: {error.strerror}: the output cannot be written", file=sys.stderr)
        os._exit(status[0] or 1)
    os._exit(status[0])
