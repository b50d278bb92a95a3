"""Kept weights, and trainings in progress.

A kept training is a folder named by its train key, that `from_pretrained` opens; of an adapter it holds that alone. A
training in progress is a snapshot of trained weights, optimiser and place. Both are written to a temporary name and
renamed. On an object store, which cannot rename, the last file written says that a folder is whole, and this machine
has copies of what it works with.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import RemoteFolder, open_folder
from raystilts.planning.encoders import tensor_shapes
from raystilts.planning.keys import digest
from raystilts.training.cache import cache_folder

if TYPE_CHECKING:  # a driver that finds nothing to try or train needs no torch
    from torch import Tensor, nn

    from raystilts.training.encoder import Pretrained
    from raystilts.training.model import Model

#: The last file of a checkpoint, and so the sign that it is whole; it holds the training's metadata.
MARKER = "stage.json"
#: Seconds after which an unfinished folder belongs to a writer that was killed.
LEFTOVER_SECONDS = 3600.0
#: Names of weights and snapshots; whatever else lies among them is somebody else's.
TRAIN_KEY = re.compile(r"[0-9a-f]{32}")
#: Names under which such a folder is written, replaced or removed. A filer's `.snapshot` is none.
_TEMPORARY = re.compile(rf"\.{TRAIN_KEY.pattern}\..+")
#: How often a folder that others write at the same time is tried.
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints below one folder; they appear whole or not at all."""

    folder: Path

    def has(self, train_key: str) -> bool:
        """Whether a training's weights are kept, and whole: where a file was cut short the stage is to run again."""
        return _is_whole(self.folder / train_key)

    def find(self, train_key: str) -> Path | None:
        """The folder of a finished training on this machine, or None."""
        return self.folder / train_key if self.has(train_key) else None

    @contextmanager
    def held(self, train_key: str) -> Iterator[Path | None]:
        """The folder of a finished training for the length of the block, whoever removes or replaces it meanwhile.

        Its files have other names then, by hard links; where there are none it is the folder itself.
        """
        for _ in range(_TRIES):
            found = self.find(train_key)
            if found is None:
                break
            links, folder = _beside(found, "held"), _number_of(found)
            try:
                held = links if _link_all(found, links) else found
                # One removed and published again meanwhile is another folder, whose files may not all have been listed.
                if folder is not None and (held / MARKER).is_file() and _number_of(found) == folder:
                    yield held
                    return
            finally:
                shutil.rmtree(links, ignore_errors=True)
        yield None

    def location(self, train_key: str) -> str:
        """Where a training's weights are kept, for tables."""
        return str(self.folder / train_key)

    def snapshot(self, train_key: str) -> Path:
        """Where a training in progress is kept on this machine."""
        return self.folder / "in_progress" / train_key

    def fetch_snapshot(self, train_key: str) -> None:
        """Brings a training in progress to this machine, where it is kept elsewhere."""

    def snapshot_step(self, train_key: str) -> int:
        """The updates that a training in progress on this machine has done, -1 where there is none."""
        return _step(self.snapshot(train_key))

    def push_snapshot(self, train_key: str) -> None:
        """Brings a training in progress to where it is kept."""

    def drop_snapshot(self, train_key: str) -> None:
        """Forgets a training in progress: it has finished, or will not go on."""
        shutil.rmtree(self.snapshot(train_key), ignore_errors=True)

    def save(self, train_key: str, model: Model, loaded: Pretrained, metadata: dict[str, Any]) -> Path:
        """Writes encoder, tokenizer, heads and the training's metadata; of an encoder trained in part, that part."""
        from safetensors.torch import save_file

        from raystilts.training.adapters import save_changes

        path = self.folder / train_key
        temporary = self.folder / f".{train_key}.{uuid.uuid4().hex}"
        (temporary / "heads").mkdir(parents=True)
        try:
            if model.changes is not None:
                save_changes(temporary, model.changes, loaded.info)
            else:
                # By the model's own names: those that it was loaded with (LayerNorm.gamma) need not open again.
                model.encoder.save_pretrained(temporary, save_original_format=False)  # type: ignore[operator]
                loaded.words.save(temporary)
            heads = {name: tensor.detach().cpu().contiguous() for name, tensor in model.heads.state_dict().items()}
            save_file(heads, temporary / "heads" / "model.safetensors", metadata={"format": "pt"})
            (temporary / MARKER).write_text(json.dumps(metadata), encoding="utf-8")
            publish_folder(temporary, path, keep_whole=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return path

    def load_heads(self, path: Path, heads: nn.ModuleList) -> None:
        """Loads the heads that were trained with a checkpoint."""
        from raystilts.training.encoder import load_weights

        heads.load_state_dict(load_weights(path / "heads"))

    def metadata(self, path: Path) -> dict[str, Any]:
        """What `save` was given."""
        found: dict[str, Any] = json.loads((path / MARKER).read_text(encoding="utf-8"))
        return found

    def remove(self, train_key: str) -> None:
        """Forgets a checkpoint: first its name, then its bytes."""
        hidden = self.folder / f".{train_key}.{uuid.uuid4().hex}"
        with suppress(FileNotFoundError):  # it was not there, or another process has removed it
            (self.folder / train_key).rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)

    def clean_up(self) -> None:
        """Removes what killed writers left unfinished, and no hidden folder of anybody else."""
        for place in (self.folder, self.folder / "in_progress"):
            for path in filter(is_temporary, place.glob(".*") if place.is_dir() else ()):
                with suppress(FileNotFoundError):  # its writer has just finished
                    if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                        shutil.rmtree(path, ignore_errors=True)


def is_temporary(path: PurePath) -> bool:
    """Whether a folder among weights or snapshots has a name that only writers of such folders give."""
    return _TEMPORARY.fullmatch(path.name) is not None


def _is_whole(folder: Path) -> bool:
    """Whether a checkpoint has its marker, and all its weights are as long as their headers say."""
    for _ in range(_TRIES):
        try:
            before = (folder / MARKER).stat().st_ino
            for path in folder.rglob("*.safetensors"):
                tensor_shapes(path)
            if (folder / MARKER).stat().st_ino == before:
                return True
        except FileNotFoundError:
            if not (folder / MARKER).is_file():
                return False
        except UserError:
            # Cut short, unless another process has just taken this one away or put another in its place.
            with suppress(FileNotFoundError):
                if (folder / MARKER).stat().st_ino == before:
                    return False
    return False


@dataclass(slots=True)
class Snapshot:
    """Everything that a training needs to go on bit for bit.

    Attributes:
        step: Updates done.
        state: Numbers and texts: scores so far, counts, best step.
        tensors: Named tensors: trained weights, optimiser moments, best weights.
    """

    step: int
    state: dict[str, Any]
    tensors: dict[str, Tensor]


def save_folder(folder: Path, tensors: Mapping[str, Tensor], documents: Mapping[str, Any]) -> None:
    """Writes tensors and JSON documents as a folder that appears whole or not at all."""
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(folder, "tmp")
    temporary.mkdir()
    try:
        if tensors:
            flat = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
            save_file(flat, temporary / "model.safetensors", metadata={"format": "pt"})
        for name, content in documents.items():
            (temporary / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
        publish_folder(temporary, folder)
    finally:
        # A disk that is full must not be left with half a snapshot on it.
        shutil.rmtree(temporary, ignore_errors=True)


def publish_folder(temporary: Path, folder: Path, *, keep_whole: bool = False) -> None:
    """Gives a finished temporary folder its name, in place of what stood there, whoever else does so meanwhile.

    Args:
        keep_whole: Whether a checkpoint that stands there and is whole stays: the first of several that are alike.
    """
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    replaced: list[Path] = []
    for _ in range(_TRIES):
        try:
            temporary.rename(folder)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if keep_whole and _is_whole(folder):
            break
        old = _beside(folder, "old")
        with suppress(FileNotFoundError):  # another writer has taken it away
            folder.rename(old)
            replaced.append(old)
    else:
        raise StorageError(f"{folder}: others keep writing there; run the same command again")
    for old in replaced:
        shutil.rmtree(old, ignore_errors=True)


def _number_of(folder: Path) -> int | None:
    """What the file system knows a folder by, whatever its name; None where it is gone."""
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


def _link_all(folder: Path, links: Path) -> bool:
    """Gives all files of a folder a second name, as far as they are still there; False where there are no links."""
    try:
        files = [one for one in folder.rglob("*") if one.is_file()]
        for one in sorted(files, key=lambda file: file.name == MARKER):  # so that it says that all are there
            name = links / one.relative_to(folder)
            name.parent.mkdir(parents=True, exist_ok=True)
            os.link(one, name)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _beside(folder: Path, kind: str) -> Path:
    """A hidden name beside a folder that nobody else takes, on whichever machine."""
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.{kind}")


def save_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Writes a snapshot in place of the last one."""
    save_folder(folder, snapshot.tensors, {"state.json": {"step": snapshot.step, **snapshot.state}})


def load_snapshot(folder: Path) -> Snapshot | None:
    """The last snapshot, or None where there is none (or only a broken one: the stage then starts over)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for _ in range(3):
        # Killed just between the two renames of `publish_folder`, or between them now.
        place = folder if folder.exists() else next(folder.parent.glob(f".{folder.name}.*.old"), None)
        if place is None:
            return None
        try:
            text = (place / "state.json").read_text(encoding="utf-8")
            tensors = load_file(place / "model.safetensors")
            if text == (place / "state.json").read_text(encoding="utf-8"):  # nobody has replaced it meanwhile
                state = json.loads(text)
                return Snapshot(state.pop("step"), state, tensors)
        except (OSError, RuntimeError, ValueError, SafetensorError):
            continue
    return None


#: Names the folder with the current snapshot of a training; written after the snapshot itself.
_CURRENT = "current.json"
#: Seconds after which a copy that nothing has used may go from this machine's disk.
IDLE_SECONDS = 3600.0


@dataclass(frozen=True)
class RemoteCheckpoints(Checkpoints):
    """Checkpoints below a URI. An object store cannot rename: what is whole has its marker, which is written last.

    Attributes:
        folder: The copies on this machine.
        remote: The folder on the object store.
    """

    remote: RemoteFolder

    def has(self, train_key: str) -> bool:
        """Whether a training's weights are kept."""
        return self.remote.has(f"{train_key}/{MARKER}")

    def find(self, train_key: str) -> Path | None:
        """The copy of a finished training on this machine, made now if need be; None where there is none."""
        copy = self.folder / train_key
        if not super().has(train_key):
            if not self.has(train_key):
                return None
            self._drop_idle()
            self._download(train_key, copy)
        with suppress(FileNotFoundError):  # it was removed meanwhile, here or there
            os.utime(copy)
        return copy if (copy / MARKER).is_file() else None

    def location(self, train_key: str) -> str:
        """Where a training's weights are kept, for tables."""
        return f"{self.remote.url}/{train_key}"

    def save(self, train_key: str, model: Model, loaded: Pretrained, metadata: dict[str, Any]) -> Path:
        """Writes a copy here, then to the object store, the marker last."""
        copy = super().save(train_key, model, loaded, metadata)
        self._upload(copy, train_key, MARKER)
        return copy

    def remove(self, train_key: str) -> None:
        """Forgets a checkpoint: first its marker, then its bytes, then the copy here."""
        self.remote.delete(f"{train_key}/{MARKER}")
        self._delete_below(train_key)
        super().remove(train_key)

    def fetch_snapshot(self, train_key: str) -> None:
        """Brings the last snapshot here, unless one that is as far is here."""
        current = self._current(train_key)
        if current is None or _step(self.snapshot(train_key)) >= current["step"]:
            return
        self._download(str(current["folder"]), self.snapshot(train_key))

    def push_snapshot(self, train_key: str) -> None:
        """Brings the snapshot here to the object store; the one before goes when this one is whole."""
        path, before = self.snapshot(train_key), self._current(train_key)
        step = _step(path)
        folder = f"in_progress/{train_key}/{step}-{uuid.uuid4().hex[:8]}"
        self._upload(path, folder, "state.json")
        current = json.dumps({"step": step, "folder": folder}).encode()
        self.remote.write(f"in_progress/{train_key}/{_CURRENT}", current, overwrite=True)
        if before is not None:
            self._delete_below(str(before["folder"]))

    def drop_snapshot(self, train_key: str) -> None:
        """Forgets a training in progress."""
        super().drop_snapshot(train_key)
        self.remote.delete(f"in_progress/{train_key}/{_CURRENT}")
        self._delete_below(f"in_progress/{train_key}")

    def _current(self, train_key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self.remote.read(f"in_progress/{train_key}/{_CURRENT}"))
        except FileNotFoundError:
            return None
        return found

    def _upload(self, path: Path, folder: str, last: str) -> None:
        """Writes a local folder to the object store, one file after all others."""
        files = [one for one in path.rglob("*") if one.is_file()]
        for one in sorted(files, key=lambda file: (file.name == last, file)):
            self.remote.upload(one, f"{folder}/{one.relative_to(path).as_posix()}")

    def _download(self, folder: str, path: Path) -> None:
        """Copies a folder of the object store to this machine, where it appears whole."""
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            for name in self.remote.below(folder):
                self.remote.download(name, temporary / name.removeprefix(f"{folder}/"))
            publish_folder(temporary, path)
        except FileNotFoundError:  # removed while it was read
            return
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _delete_below(self, folder: str) -> None:
        for name in self.remote.below(folder):
            self.remote.delete(name)

    def _drop_idle(self) -> None:
        """Makes room for a new copy: those that nothing has used for a while can be fetched again."""
        for place in (self.folder, self.folder / "in_progress"):
            for copy in place.iterdir() if place.is_dir() else ():
                if copy.name != "in_progress" and time.time() - copy.stat().st_mtime > IDLE_SECONDS:
                    shutil.rmtree(copy, ignore_errors=True)


def _step(snapshot: Path) -> int:
    """The step of a snapshot on this machine, -1 where there is none."""
    try:
        return int(json.loads((snapshot / "state.json").read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError):
        return -1


def open_checkpoints(folder: str | Path) -> Checkpoints:
    """The checkpoints below a local folder or a URI (`s3://bucket/folder`, whatever fsspec knows).

    Raises:
        UserError: the URI's scheme is unknown or its package is not installed.
    """
    place = open_folder(folder)
    if not isinstance(place, RemoteFolder):
        assert place.path is not None
        return Checkpoints(place.path)
    return RemoteCheckpoints(cache_folder() / "checkpoints" / digest(place.url), place)
