"""Finding out before any training whether a study's trackers can be used, and what workers need to know of them."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from raystilts.errors import UserError
from raystilts.study.schema import Study, TrackerName
from raystilts.tracking.cell import reason_of, tracker_module

#: Seconds for a tracker's server to answer before the first stage.
PATIENCE = 30.0


def check_installed(study: Study) -> None:
    """Looks for the packages of the trackers, without importing them.

    Raises:
        UserError: one is not installed.
    """
    missing = [name for name in study.report_to if importlib.util.find_spec(name) is None]
    if missing:
        names, extras = ", ".join(missing), ",".join(missing)
        raise UserError(
            f"report_to: {names}: not installed here; run: pip install 'raystilts[{extras}]', or leave it out"
        )


@dataclass(frozen=True, slots=True)
class Trackers:
    """The trackers of a run that can be used.

    Attributes:
        settings: What workers need to know of them.
    """

    names: tuple[TrackerName, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


def prepare(study: Study, results: str, warn: Callable[[str], None]) -> Trackers:
    """The trackers of a study that answer.

    Args:
        results: The results folder, a path or a URI.
        warn: Called with a line for each tracker that does not answer; the run goes on without it.

    Raises:
        UserError: one is set up wrongly.
    """
    settings: dict[str, str] = {}
    working: list[TrackerName] = []
    for name in study.report_to:
        try:
            settings |= _within(PATIENCE, partial(tracker_module(name).prepare, study.name, results))
        except UserError:
            raise
        except Exception as error:
            warn(f"warning: report_to: {name} gets no runs of this study: {reason_of(error)}")
        else:
            working.append(name)
    return Trackers(tuple(working), settings)


def _within(seconds: float, work: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What some work returns or raises; a `TimeoutError` where it takes longer."""
    found: list[dict[str, str]] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return found[0]
