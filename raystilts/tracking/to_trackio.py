"""A stage's run in Trackio, on this machine's disk or a Space (`TRACKIO_SPACE_ID`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from raystilts.tracking.cell import Ending, Point, TrackedStage, by_step, environment_of, take_over

#: Settings that workers take over from the driver where they have none.
SETTINGS = ("TRACKIO_DIR", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


def prepare(project: str, results: str) -> dict[str, str]:
    """What workers need to know."""
    return environment_of(SETTINGS)


class Run:
    """A run by the name of the stage, with the start of its key: a stage that goes on goes on there."""

    def __init__(self, stage: TrackedStage) -> None:
        take_over(SETTINGS, stage.settings)
        import trackio

        with redirect_stdout(io.StringIO()):
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
        for step, values in by_step(points):
            self.run.log(values, step=step)

    def end(self, ending: Ending) -> None:
        """Takes the last numbers, and closes the run."""
        if ending.summary:
            self.run.log(dict(ending.summary), step=int(ending.summary.get("best_step", 0)))
        with redirect_stdout(io.StringIO()):
            self.run.finish()
