"""Kept weights: a folder a training, named by its train key, that `from_pretrained` opens."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from raystilts.training.encoder import Pretrained, load_weights
from raystilts.training.model import Model
from raystilts.training.snapshot import publish_folder

#: The last file of a checkpoint, and so the sign that it is whole; it holds the facts of the training.
MARKER = "stage.json"
#: Seconds after which an unfinished folder belongs to a writer that was killed.
LEFTOVER_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints below one folder; they appear whole or not at all."""

    folder: Path

    def has(self, train_key: str) -> bool:
        """Whether a training's weights are kept."""
        return (self.folder / train_key / MARKER).is_file()

    def find(self, train_key: str) -> Path | None:
        """The folder of a finished training on this machine, or None."""
        return self.folder / train_key if self.has(train_key) else None

    def place(self, train_key: str) -> str:
        """Where a training's weights are kept, for tables."""
        return str(self.folder / train_key)

    def snapshot(self, train_key: str) -> Path:
        """Where a training in progress is kept on this machine."""
        return self.folder / "in_progress" / train_key

    def fetch_snapshot(self, train_key: str) -> None:
        """Brings a training in progress to this machine, where it is kept elsewhere."""

    def push_snapshot(self, train_key: str) -> None:
        """Brings a training in progress to where it is kept."""

    def drop_snapshot(self, train_key: str) -> None:
        """Forgets a training in progress: it has finished, or will not go on."""
        shutil.rmtree(self.snapshot(train_key), ignore_errors=True)

    def save(self, train_key: str, model: Model, loaded: Pretrained, facts: dict[str, Any]) -> Path:
        """Writes encoder, tokenizer, heads and the facts of the training."""
        from safetensors.torch import save_file

        path = self.folder / train_key
        temporary = self.folder / f".{train_key}.{uuid.uuid4().hex}"
        (temporary / "heads").mkdir(parents=True)
        try:
            model.encoder.save_pretrained(temporary)  # type: ignore[operator]
            loaded.tokenizer.save_pretrained(temporary)
            heads = {name: tensor.detach().cpu().contiguous() for name, tensor in model.heads.state_dict().items()}
            save_file(heads, temporary / "heads" / "model.safetensors", metadata={"format": "pt"})
            (temporary / MARKER).write_text(json.dumps(facts), encoding="utf-8")
            publish_folder(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return path

    def load_heads(self, path: Path, heads: nn.ModuleList) -> None:
        """Loads the heads that were trained with a checkpoint."""
        heads.load_state_dict(load_weights(path / "heads"))

    def facts(self, path: Path) -> dict[str, Any]:
        """What `save` was given."""
        found: dict[str, Any] = json.loads((path / MARKER).read_text(encoding="utf-8"))
        return found

    def remove(self, train_key: str) -> None:
        """Forgets a checkpoint: first its name, then its bytes."""
        path = self.folder / train_key
        if path.exists():
            hidden = self.folder / f".{train_key}.{uuid.uuid4().hex}"
            path.replace(hidden)
            shutil.rmtree(hidden, ignore_errors=True)

    def clean_up(self) -> None:
        """Removes what killed writers left unfinished."""
        for place in (self.folder, self.folder / "in_progress"):
            for path in place.glob(".*") if place.is_dir() else ():
                if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
