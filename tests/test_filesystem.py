from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pyarrow.fs
import pytest
from fsspec.implementations.arrow import ArrowFSWrapper

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import Folder, LocalFolder, RemoteFolder, open_folder


def _arrow(path: Path) -> Folder:
    (path / "runs").mkdir()
    return RemoteFolder("arrow", ArrowFSWrapper(pyarrow.fs.LocalFileSystem()), str(path))


_FOLDERS: dict[str, Callable[[Path], Folder]] = {
    "local": open_folder,
    "uri": lambda path: open_folder(path.as_uri()),
    "memory": lambda path: open_folder(f"memory://{secrets.token_hex(4)}/results"),
    "arrow": _arrow,
}


@pytest.fixture(params=sorted(_FOLDERS))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return _FOLDERS[request.param](tmp_path)


def test_write_read_list_delete(folder: Folder) -> None:
    assert folder.names("runs") == []
    assert folder.write("runs/b-1.parquet", b"b")
    assert folder.write("runs/a-1.parquet", b"a")
    assert folder.exists()
    assert folder.names("runs") == ["a-1.parquet", "b-1.parquet"]
    assert folder.names("runs", "b-") == ["b-1.parquet"]
    assert folder.read("runs/b-1.parquet") == b"b"
    assert 0 <= folder.age("runs/a-1.parquet") + 5 < 60
    folder.delete("runs/b-1.parquet")
    folder.delete("runs/b-1.parquet")
    assert folder.names("runs") == ["a-1.parquet"]
    with pytest.raises(FileNotFoundError):
        folder.read("runs/b-1.parquet")


def test_files_are_created_once(folder: Folder) -> None:
    assert folder.write("runs/a-1.parquet", b"first")
    assert not folder.write("runs/a-1.parquet", b"second")
    assert folder.read("runs/a-1.parquet") == b"first"
    assert folder.write("runs/a-1.parquet", b"third", overwrite=True)
    assert folder.read("runs/a-1.parquet") == b"third"
    assert folder.leftovers("runs") == []


def test_missing_folder_does_not_exist(tmp_path: Path) -> None:
    assert not open_folder(tmp_path / "none").exists()
    assert not open_folder("memory://never-written").exists()


def test_temporary_files_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".a-1.parquet.1-2.tmp").write_bytes(b"half")
    folder = open_folder(tmp_path)
    assert folder.names("runs") == []
    assert folder.leftovers("runs") == [".a-1.parquet.1-2.tmp"]


def test_home_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_folder("results").path == tmp_path / "results"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_folder("~/results").path == tmp_path / "results"


def test_file_in_the_way_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StorageError, match="Cannot write"):
        open_folder(tmp_path / "results").write("runs/a-1.parquet", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_a_storage_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permissions"):
        LocalFolder(tmp_path).write("runs/a-1.parquet", b"")


def test_unknown_scheme_is_a_user_error() -> None:
    with pytest.raises(UserError, match="scheme is unknown"):
        open_folder("s4://bucket/results")
