"""The command line: thin; everything it does is a function of the Python API."""

from __future__ import annotations

import gc
import sys

from raystilts.cli import (  # noqa: F401 (each adds its commands)
    analyze,
    analyze_domain,
    analyze_gains,
    analyze_languages,
    analyze_size,
    answers,
    benchmark,
    compact,
    import_,
    next_runs,
    predict,
    report,
    run,
    search,
    tasks,
)
from raystilts.cli.common import app
from raystilts.errors import StorageError, UserError


def main() -> None:
    """Runs the command line; a user's mistake is one or two lines and exit code 2."""
    # A question makes many objects and drops few: looking for garbage as often as usual takes a tenth of its time.
    gc.set_threshold(100_000)
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"raystilts: {error}", file=sys.stderr)
        sys.exit(2)
    except StorageError as error:
        print(f"raystilts: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
