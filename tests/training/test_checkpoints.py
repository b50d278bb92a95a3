from __future__ import annotations

import math
import os
import time
import uuid
from pathlib import Path

import pytest
import torch

from raystilts.errors import StorageError
from raystilts.filesystem import RemoteFolder
from raystilts.tasks.registry import get_task
from raystilts.training import checkpoints
from raystilts.training.checkpoints import (
    LEFTOVER_SECONDS,
    MARKER,
    Checkpoints,
    RemoteCheckpoints,
    Snapshot,
    load_snapshot,
    open_checkpoints,
    save_snapshot,
)
from raystilts.training.encoder import Pretrained
from raystilts.training.model import Model, build_head


def snapshot(step: int) -> Snapshot:
    return Snapshot(
        step, {"losses": [0.1, math.pi], "best_score": -math.inf}, {"model.a": torch.full((2,), float(step))}
    )


def test_round_trip_and_replacement(tmp_path: Path) -> None:
    folder = tmp_path / "in_progress" / "key"
    for step in (3, 4):
        save_snapshot(folder, snapshot(step))
    found = load_snapshot(folder)
    assert found is not None
    assert (found.step, found.state) == (4, snapshot(4).state)
    assert torch.equal(found.tensors["model.a"], torch.tensor([4.0, 4.0]))
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


def test_killed_between_two_renames(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    save_snapshot(folder, snapshot(3))
    folder.replace(tmp_path / ".key.7.old")
    found = load_snapshot(folder)
    assert found is not None
    assert found.step == 3


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    save_snapshot(folder, snapshot(3))
    broken = snapshot(4)
    broken.state["losses"] = object()
    with pytest.raises(TypeError):
        save_snapshot(folder, broken)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    found = load_snapshot(folder)
    assert found is not None
    assert found.step == 3


def test_only_what_our_own_killed_writers_left_is_cleaned_up(tmp_path: Path) -> None:
    key = "0123456789abcdef" * 2
    ours = [f".{key}.{uuid.uuid4().hex}{kind}" for kind in ("", ".tmp", ".old", ".held")]
    theirs = [".snapshot", ".nfs000000000012", ".Trash-1000", f".{key}", ".in_progress.0.old"]
    old = time.time() - LEFTOVER_SECONDS - 60
    for place in (tmp_path, tmp_path / "in_progress"):
        for name in (*ours, *theirs, f".{key}.new"):
            (place / name).mkdir(parents=True)
            (place / name / "state.json").write_text("{}")
            if not name.endswith(".new"):
                os.utime(place / name, (old, old))
    Checkpoints(tmp_path).clean_up()
    left = {*theirs, f".{key}.new"}
    assert {path.name for path in tmp_path.iterdir()} == left | {"in_progress"}
    assert {path.name for path in (tmp_path / "in_progress").iterdir()} == left


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert load_snapshot(tmp_path / "nothing") is None


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
@pytest.mark.parametrize("keep", [0, 10])
def test_a_broken_one_counts_as_none(tmp_path: Path, name: str, keep: int) -> None:
    folder = tmp_path / "key"
    save_snapshot(folder, snapshot(3))
    path = folder / name
    path.write_bytes(path.read_bytes()[:keep])
    assert load_snapshot(folder) is None


@pytest.fixture
def url() -> str:
    """A folder on fsspec's object store in memory."""
    return f"memory://{uuid.uuid4().hex}/checkpoints"


def on_another_machine(url: str, tmp_path: Path) -> RemoteCheckpoints:
    """The same checkpoints, seen from a machine that has no copies yet."""
    found = open_checkpoints(url)
    assert isinstance(found, RemoteCheckpoints)
    return RemoteCheckpoints(tmp_path / uuid.uuid4().hex, found.remote)


def model(tiny: Pretrained) -> Model:
    return Model(tiny.model, [build_head(get_task("cldr_names"), tiny, "first", 0)])


def test_a_path_is_no_uri(tmp_path: Path, url: str) -> None:
    assert open_checkpoints(tmp_path) == Checkpoints(tmp_path)
    assert open_checkpoints(f"file://{tmp_path}") == Checkpoints(tmp_path)
    assert isinstance(open_checkpoints(url), RemoteCheckpoints)


def test_what_one_machine_saves_another_finds(tiny: Pretrained, url: str, tmp_path: Path) -> None:
    here, there = (on_another_machine(url, tmp_path) for _ in range(2))
    assert (here.has("key"), here.find("key")) == (False, None)
    one = model(tiny)
    here.save("key", one, tiny, {"steps": 3})
    assert there.has("key")
    assert there.location("key") == f"{url}/key"
    found = there.find("key")
    assert found is not None
    assert there.metadata(found) == {"steps": 3}
    tiny.restore(found, torch.device("cpu"))
    heads = model(tiny).heads
    torch.nn.init.zeros_(heads[0].out.weight)  # type: ignore[union-attr, arg-type]
    there.load_heads(found, heads)
    assert all(torch.equal(a, b) for a, b in zip(heads.parameters(), one.heads.parameters(), strict=True))
    assert there.find("key") == found
    here.remove("key")
    assert not there.has("key")
    assert here.find("key") is None
    assert not there.remote.below("key")


def test_half_an_upload_is_no_checkpoint(
    tiny: Pretrained, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever file is not written any more, the marker is not there either."""
    upload, files = RemoteFolder.upload, 0
    while True:
        here, left = on_another_machine(url, tmp_path), files

        def breaks(self: RemoteFolder, path: Path, name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise StorageError("no connection")
            upload(self, path, name)

        monkeypatch.setattr(RemoteFolder, "upload", breaks)
        try:
            here.save("key", model(tiny), tiny, {})
        except StorageError:
            assert not here.has("key")
            assert on_another_machine(url, tmp_path).find("key") is None
            files += 1
            continue
        break
    assert files > 4
    assert MARKER in {name.rpartition("/")[2] for name in here.remote.below("key")}
    assert on_another_machine(url, tmp_path).find("key") is not None


def test_a_training_in_progress_moves_between_machines(url: str, tmp_path: Path) -> None:
    here, there = (on_another_machine(url, tmp_path) for _ in range(2))
    there.fetch_snapshot("key")
    assert load_snapshot(there.snapshot("key")) is None
    for step in (3, 5):
        save_snapshot(here.snapshot("key"), snapshot(step))
        here.push_snapshot("key")
    there.fetch_snapshot("key")
    found = load_snapshot(there.snapshot("key"))
    assert found is not None
    assert (found.step, found.state) == (5, snapshot(5).state)
    assert torch.equal(found.tensors["model.a"], torch.full((2,), 5.0))
    assert len(there.remote.below("in_progress/key")) == 3, "the one before is gone"
    save_snapshot(there.snapshot("key"), snapshot(7))
    there.fetch_snapshot("key")
    further = load_snapshot(there.snapshot("key"))
    assert further is not None
    assert further.step == 7, "what is further here stays"
    here.drop_snapshot("key")
    assert not there.remote.below("in_progress/key")


def test_copies_that_nothing_uses_make_room(
    tiny: Pretrained, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = (on_another_machine(url, tmp_path) for _ in range(2))
    for key in ("a", "b"):
        here.save(key, model(tiny), tiny, {})
    there.find("a")
    monkeypatch.setattr(checkpoints, "IDLE_SECONDS", -1.0)
    there.find("b")
    assert [path.name for path in there.folder.iterdir()] == ["b"]
    assert there.find("a") is not None
