"""A stage's run in Trackio, on this machine's disk or a Space (`TRACKIO_SPACE_ID`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from raystilts.tracking.cell import Ending, Point, TrackedStage

#: Settings that workers take over from the driver where they have none.
SETTINGS = ("TRACKIO_DIR", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


def prepare() -> dict[str, str]:
    """What workers need to know."""
    return {name: os.environ[name] for name in SETTINGS if name in os.environ}


class TrackioRun:
    """A run by the name of the stage, with the start of its key: a stage that goes on goes on there."""

    def __init__(self, stage: TrackedStage) -> None:
        for name, value in stage.settings.items():
            if name in SETTINGS:
                os.environ.setdefault(name, value)
        import trackio

        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123
            self.run: Any = trackio.init(
                project=stage.project,
                name=stage.name,
                group=stage.group,
                config=dict(stage.config),
                resume="allow",
                embed=False,
                auto_log_cpu=False,
            )

    def log(self, points: Sequence[Point]) -> None:
        """Takes further points."""
        by_step: dict[int, dict[str, float]] = {}
        for tag, step, value in points:
            by_step.setdefault(step, {})[tag] = value
        for step in sorted(by_step):
            self.run.log(by_step[step], step=step)

    def end(self, ending: Ending) -> None:
        """Takes the last numbers, and closes the run."""
        if ending.summary:
            self.run.log(dict(ending.summary), step=int(ending.summary.get("best_step", 0)))
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123
            self.run.finish()
