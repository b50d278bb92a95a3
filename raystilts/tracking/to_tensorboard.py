"""A stage's run as TensorBoard events below `<results>/tensorboard/`."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raystilts.filesystem import Folder, open_folder
from raystilts.tracking.cell import Config, Ending, Point, TrackedStage


def prepare(project: str, results: str) -> dict[str, str]:
    """Workers need to know nothing."""
    return {}


class Run:
    """Events in `<results>/tensorboard/<name>`: a file a report, and one of everything in their place at the end.

    So files are whole on an object store too, and a later segment takes the place of those before.
    """

    def __init__(self, stage: TrackedStage) -> None:
        self.stage, self.folder, self.place = stage, open_folder(stage.results), f"tensorboard/{stage.name}"

    def log(self, points: Sequence[Point]) -> None:
        """Takes further points."""
        _write(self.folder, self.place, points, {})

    def end(self, ending: Ending) -> None:
        """Puts one file of all points in place of those of the reports."""
        if ending.status not in ("finished", "paused"):
            return  # what the reports wrote is all that is known
        before = self.folder.names(self.place)
        finals = [Point(tag, 0, value) for tag, value in ending.summary.items() if tag.startswith("final/")]
        _write(self.folder, self.place, [*ending.points, *finals], self.stage.config)
        for name in before:
            self.folder.delete(f"{self.place}/{name}")


def _write(folder: Folder, place: str, points: Sequence[Point], config: Config) -> None:
    """Writes one file of events.

    Raises:
        StorageError: the folder cannot be written.
    """
    summaries: Any = importlib.import_module("torch.utils.tensorboard")
    with tempfile.TemporaryDirectory(prefix="raystilts-events-") as scratch:
        writer = summaries.SummaryWriter(scratch)
        for tag, step, value in points:
            writer.add_scalar(tag, value, step)
        if config:
            writer.add_text("cell", f"```json\n{json.dumps(dict(config), indent=1)}\n```")
        writer.close()
        [events] = Path(scratch).iterdir()
        folder.write(f"{place}/{events.name}", events.read_bytes())
