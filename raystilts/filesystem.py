"""Folders on a local disk or an object store, with writes that are whole or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from raystilts.errors import StorageError, UserError, cut, first_line, shown

_GLOB = set("*?[]{}")
_CONNECTIONS = 16
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
    def local(self, names: list[str]) -> list[str]:
        """Paths on this machine under which DuckDB can read files, in their order.

        Raises:
            FileNotFoundError: One is not there (on a local disk this is found out later).
        """

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

    def local(self, names: list[str]) -> list[str]:
        root = str(self.path)
        if _GLOB & set(root):
            root = self._plain_root
        return [f"{root}/{name}" for name in names]

    @cached_property
    def _plain_root(self) -> str:
        """A link without characters that DuckDB would take for a pattern."""
        self._links = tempfile.TemporaryDirectory(prefix="raystilts-", ignore_cleanup_errors=True)
        link = Path(self._links.name) / "results"
        link.symlink_to(self.path, target_is_directory=True)
        return str(link)

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
            with self._reaching("write", name):
                self._fs.pipe_file(path, data, mode="overwrite" if overwrite else "create")
        except FileExistsError:
            return False
        return True

    @contextlib.contextmanager
    def _reaching(self, verb: str, name: str) -> Iterator[None]:
        """Turns what clients of object stores raise, each its own exceptions, into a `StorageError`."""
        try:
            yield
        except (FileNotFoundError, FileExistsError) as error:
            if verb == "write" and isinstance(error, FileNotFoundError):  # there is no such bucket
                raise _cannot(verb, f"{self.url}/{name}", error) from error
            raise
        except OSError as error:
            raise _cannot(verb, f"{self.url}/{name}", error) from error
        except Exception as error:
            raise StorageError(
                f"Cannot {verb} {self.url}/{name}: {first_line(error, 300)}. Check the connection, the endpoint and "
                "the credentials, and run the same command again."
            ) from error

    def read(self, name: str) -> bytes:
        with self._reaching("read", name):
            data: bytes = self._fs.cat_file(f"{self._root}/{name}")
        return data

    def local(self, names: list[str]) -> list[str]:
        # Files never change once they are written: each is fetched once.
        copies = {name: self._copies / name for name in names}
        missing = [name for name, copy in copies.items() if not copy.exists()]
        for folder in {copies[name].parent for name in missing}:
            folder.mkdir(parents=True, exist_ok=True)

        def fetch(name: str) -> None:
            half = copies[name].with_suffix(f".{secrets.token_hex(4)}")
            half.write_bytes(self.read(name))
            half.replace(copies[name])

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(fetch, missing))
        return [str(copy) for copy in copies.values()]

    @cached_property
    def _copies(self) -> Path:
        self._temporary = tempfile.TemporaryDirectory(prefix="raystilts-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)

    def names(self, folder: str, prefix: str = "") -> list[str]:
        # Listings are cached by fsspec, and other machines write here.
        self._fs.invalidate_cache()
        try:
            with self._reaching("list", folder):
                found: list[str] = self._fs.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        last = sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)
        return [n for n in last if not n.startswith(".") and n.startswith(prefix)]

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._reaching("delete", name):
            self._fs.rm_file(f"{self._root}/{name}")

    def age(self, name: str) -> float:
        self._fs.invalidate_cache()
        with self._reaching("look at", name):
            written: float = self._fs.modified(f"{self._root}/{name}").timestamp()
        return time.time() - written

    def exists(self) -> bool:
        self._fs.invalidate_cache()
        with self._reaching("look at", ""):
            return bool(self._fs.exists(self._root))

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        self._fs.invalidate_cache()
        with self._reaching("look at", name):
            return bool(self._fs.exists(f"{self._root}/{name}"))

    def upload(self, path: Path, name: str) -> None:
        """Writes a local file of any size; it replaces what stood there.

        Raises:
            StorageError: No permission, no space, no connection.
        """
        with self._reaching("write", name):
            self._fs.put_file(str(path), f"{self._root}/{name}")

    def download(self, name: str, path: Path) -> None:
        """Reads a file of any size into a local one; raises FileNotFoundError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._reaching("read", name):
            self._fs.get_file(f"{self._root}/{name}", str(path))

    def below(self, folder: str) -> dict[str, Any]:
        """What the store says of all files in a folder and the folders in it, by their sorted names."""
        self._fs.invalidate_cache()
        start = len(self._root) + 1
        try:
            with self._reaching("list", folder):
                found = self._fs.find(f"{self._root}/{folder}".rstrip("/"), detail=True)
        except FileNotFoundError:
            return {}
        return {path[start:]: found[path] for path in sorted(found)}


#: Schemes whose first part names a bucket or container.
_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "r2", "oss"}


#: Bytes of a path on Linux, with room for what is written below it.
LONGEST_PATH = 3800


def absolute_path(path: str | Path) -> Path:
    """A local path from the root, with `~` as the user's home folder.

    Raises:
        UserError: There is no home folder, or this cannot be a path.
    """
    try:
        found = Path(path).expanduser().absolute()
        if "\0" in str(path):
            raise UserError(
                f"{shown(str(path))}: it holds a NUL, which no path can; give a folder such as /data/results"
            )
        if len(os.fsencode(found)) > LONGEST_PATH or any(len(os.fsencode(one)) > 255 for one in found.parts):
            raise UserError(f"{cut(str(path))}: the path is too long; give a shorter one, such as /data/results")
        return found
    except RuntimeError:
        raise UserError(
            f"{path}: this user has no home folder (HOME is not set); set HOME, or give a path from the root, such as "
            "/data/results"
        ) from None


def normal_place(place: str) -> str:
    """A folder by path or URI, as an absolute path or a URI without a slash at its end.

    Raises:
        UserError: A URI without a folder or bucket, or with a host where none can be; or there is no home folder.
    """
    scheme, found, rest = place.partition("://")
    if not found:
        return str(absolute_path(place))
    parts = urlsplit(place)
    if scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.strip("/"):
            raise UserError(f"{place}: a file URI is file:// and a path from the root: file:///data/results")
        return unquote(parts.path).rstrip("/")
    if not rest.strip("/") or (scheme in _BUCKETS and not parts.netloc):
        raise UserError(f"{place}: it names no bucket; give one, such as {scheme}://bucket/folder")
    return place.rstrip("/")


def check_scheme(url: str) -> None:
    """Whether the scheme of a URI is known to fsspec, without opening it.

    Raises:
        UserError: It is not.
    """
    import fsspec

    scheme = url.partition("://")[0]
    if scheme not in fsspec.available_protocols():
        raise UserError(
            f"{url}: its scheme is unknown ({scheme}); give a local path or a URI such as s3://bucket/folder"
        )


def open_folder(path: str | Path | Folder) -> Folder:
    """A folder by local path or URI (``file://``, ``s3://``, ``gs://``, whatever fsspec knows).

    Raises:
        UserError: The scheme is unknown or its package is not installed.
    """
    if isinstance(path, Folder):
        return path
    if isinstance(path, Path) or "://" not in path:
        return LocalFolder(absolute_path(path))
    place = normal_place(path)
    if path.startswith("file://"):
        return LocalFolder(Path(place))
    filesystem, root = _open_remote(place)
    return RemoteFolder(place, filesystem, root)


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


def write_text(path: Path, text: str) -> None:
    """Writes a text file of any place; what stood there stays where the new one cannot be written whole.

    Raises:
        StorageError: No permission, no space.
    """
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_text(text, encoding="utf-8")
        return
    LocalFolder(path.resolve().parent).write(path.resolve().name, text.encode(), overwrite=True)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or the share of it that this user may fill, is full.

    Libraries that write files themselves (safetensors, Arrow) say so in words only.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(sign in str(error) for sign in ("No space left on device", "Disk quota exceeded"))


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
    if is_disk_full(error):
        return StorageError(
            f"Cannot {verb} {name}: no space left. Free some and run the same command again: what has finished is "
            "kept, what was interrupted goes on."
        )
    return StorageError(
        f"Cannot {verb} {name}: {error.strerror or error}. Check the permissions and the free "
        "space, or choose another results folder."
    )
