"""Folders on a local disk or an object store, with writes that are whole or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from raystilts.errors import StorageError, UserError

#: Hard links are how a local file is created only if absent; these say there are none here.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


class Folder(ABC):
    """A folder of immutable files; names are relative, such as ``runs/ab12-1.parquet``.

    Attributes:
        url: The folder as the user wrote it, for messages.
        path: Where it is on this machine's disk; None on an object store.
    """

    url: str
    path: Path | None = None

    @abstractmethod
    def write(self, name: str, data: bytes, *, overwrite: bool = False) -> bool:
        """Writes a file atomically: a reader sees all of it or nothing.

        Returns:
            False, with nothing written, if it exists and `overwrite` is not set.

        Raises:
            StorageError: No permission, no space, no connection.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes of a file; raises FileNotFoundError."""

    @abstractmethod
    def names(self, folder: str, prefix: str = "") -> list[str]:
        """Sorted names of the files in a folder, without hidden ones; [] if it does not exist."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Deletes a file; none there is fine."""

    @abstractmethod
    def age(self, name: str) -> float:
        """Seconds since a file was written; raises FileNotFoundError."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether the folder itself exists (on an object store: holds anything)."""

    def leftovers(self, folder: str) -> list[str]:
        """Temporary files that killed writers left behind."""
        return []


class LocalFolder(Folder):
    """A folder on a disk, also a shared one (NFS, Lustre)."""

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.url = str(path)

    def write(self, name: str, data: bytes, *, overwrite: bool = False) -> bool:
        final = self.path / name
        temporary = final.with_name(f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_synced(temporary, data)
                done = _publish(temporary, final, overwrite)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(final.parent)
        except OSError as error:
            raise _cannot("write", str(final), error) from error
        return done

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def names(self, folder: str, prefix: str = "") -> list[str]:
        found = self._listing(folder)
        return sorted(n for n in found if not n.startswith(".") and n.startswith(prefix))

    def leftovers(self, folder: str) -> list[str]:
        found = self._listing(folder)
        return sorted(n for n in found if n.startswith(".") and n.endswith(".tmp"))

    def _listing(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.path / folder) as entries:
                return [entry.name for entry in entries]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _cannot("list", str(self.path / folder), error) from error

    def delete(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def age(self, name: str) -> float:
        return time.time() - (self.path / name).stat().st_mtime

    def exists(self) -> bool:
        return self.path.is_dir()


class RemoteFolder(Folder):
    """A folder on an object store, through fsspec: a put is atomic, and conditional where offered.

    Amazon S3 (s3fs) and Google Cloud Storage (gcsfs) refuse a second put of the same name
    (``If-None-Match: *``); elsewhere existence is checked just before.
    """

    def __init__(self, url: str, filesystem: Any, root: str) -> None:
        self.url = url
        self._fs = filesystem
        self._root = root.rstrip("/")

    def write(self, name: str, data: bytes, *, overwrite: bool = False) -> bool:
        path = f"{self._root}/{name}"
        try:
            if overwrite:
                self._fs.pipe_file(path, data)
            else:
                self._fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            raise _cannot("write", f"{self.url}/{name}", error) from error
        return True

    def read(self, name: str) -> bytes:
        data: bytes = self._fs.cat_file(f"{self._root}/{name}")
        return data

    def names(self, folder: str, prefix: str = "") -> list[str]:
        # Listings are cached by fsspec, and other machines write here.
        self._fs.invalidate_cache()
        try:
            found: list[str] = self._fs.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _cannot("list", f"{self.url}/{folder}", error) from error
        last = sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)
        return [n for n in last if not n.startswith(".") and n.startswith(prefix)]

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(f"{self._root}/{name}")

    def age(self, name: str) -> float:
        written: float = self._fs.modified(f"{self._root}/{name}").timestamp()
        return time.time() - written

    def exists(self) -> bool:
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._root))


def open_folder(path: str | Path | Folder) -> Folder:
    """A folder by local path or URI (``file://``, ``s3://``, ``gs://``, whatever fsspec knows).

    Raises:
        UserError: The scheme is unknown or its package is not installed.
    """
    if isinstance(path, Folder):
        return path
    if isinstance(path, Path) or "://" not in path:
        return LocalFolder(Path(path).expanduser().absolute())
    if path.startswith("file://"):
        return LocalFolder(Path(unquote(urlsplit(path).path)))
    filesystem, root = _open_remote(path)
    return RemoteFolder(path.rstrip("/"), filesystem, root)


def _open_remote(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        return _open_with_pyarrow(url, error)
    except ValueError as error:
        raise UserError(
            f"The results folder is {url!r}, but its scheme is unknown ({error}). "
            "Give a local path or a URI such as s3://bucket/folder."
        ) from error
    return filesystem, str(root)


def _open_with_pyarrow(url: str, missing: ImportError) -> tuple[Any, str]:
    """pyarrow has S3 and Google Cloud Storage built in, without conditional puts."""
    import pyarrow as pa
    import pyarrow.fs
    from fsspec.implementations.arrow import ArrowFSWrapper

    try:
        filesystem, root = pyarrow.fs.FileSystem.from_uri(url)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"The results folder is {url!r}, but it cannot be opened: {missing}. "
            "Install that package or give a local path."
        ) from error
    return ArrowFSWrapper(filesystem), str(root)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _publish(temporary: Path, final: Path, overwrite: bool) -> bool:
    """Gives a complete temporary file its name; False if that is taken."""
    if overwrite:
        temporary.replace(final)
        return True
    try:
        os.link(temporary, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if final.exists():
            return False
        temporary.replace(final)
    return True


def _sync_folder(path: Path) -> None:
    """Without this a crash of the machine may forget the new name, though not the data."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot(verb: str, name: str, error: OSError) -> StorageError:
    return StorageError(
        f"Cannot {verb} {name}: {error.strerror or error}. Check the permissions and the free "
        "space, or choose another results folder."
    )
