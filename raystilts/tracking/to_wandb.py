"""A stage's run in Weights & Biases, online or offline (`WANDB_MODE`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from raystilts.errors import UserError
from raystilts.tracking.cell import Ending, Point, TrackedStage, by_step, environment_of, take_over

#: Settings that workers take over from the driver where they have none; keys and passwords are not among them.
SETTINGS = ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_BASE_URL", "WANDB_DIR", "WANDB_TAGS", "WANDB_NOTES")
_WITHOUT_KEY = ("offline", "dryrun", "disabled")


def prepare(project: str, results: str) -> dict[str, str]:
    """What workers need to know.

    Raises:
        UserError: nobody is logged in, and the mode is not an offline one.
    """
    if os.environ.get("WANDB_MODE", "online") not in _WITHOUT_KEY and _key() is None:
        raise UserError(
            "report_to: wandb: nobody is logged in to Weights & Biases here; run wandb login, or set WANDB_MODE=offline"
        )
    return environment_of(SETTINGS)


def _key() -> str | None:
    import wandb

    found: str | None = wandb.api.api_key
    return found


class Run:
    """A run whose id is the stage's, so that a stage that goes on goes on there."""

    def __init__(self, stage: TrackedStage) -> None:
        import wandb

        take_over(SETTINGS, stage.settings)
        folder = os.environ.get("WANDB_DIR") or stage.folder
        self.run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", stage.project),
            id=stage.key,
            name=stage.name,
            group=stage.group,
            job_type=stage.kind,
            config=dict(stage.config),
            dir=None if folder is None else str(folder),
            resume="allow",
            reinit="create_new",
            # A stage is no script: its worker's output, code and host say nothing of it.
            settings=wandb.Settings(silent=True, console="off", save_code=False, disable_git=True),
        )
        # Steps of our own: a stage that goes on after a kill reports some updates again.
        self.run.define_metric("update")
        self.run.define_metric("*", step_metric="update")

    def log(self, points: Sequence[Point]) -> None:
        """Takes further points."""
        for step, values in by_step(points):
            self.run.log({"update": step, **values})

    def end(self, ending: Ending) -> None:
        """Takes the last numbers, and closes the run."""
        self.run.summary.update(dict(ending.summary))
        self.run.finish(exit_code=int(ending.status == "failed"))
