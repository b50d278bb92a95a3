"""Several processes at one checkpoint and one snapshot: what is read is whole, and nobody fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from raystilts.training.checkpoints import (
    MARKER,
    Checkpoints,
    Snapshot,
    load_snapshot,
    publish_folder,
    save_snapshot,
)

SECONDS = 3.0


def write_snapshots(folder: str, number: int) -> int:
    """Writes snapshots of one key, in which step and weights agree."""
    done, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        step = 1000 * number + done
        save_snapshot(Path(folder), Snapshot(step, {}, {"a": torch.full((2000,), float(step))}))
        done += 1
    return done


def read_snapshots(folder: str, _: int) -> int:
    """Reads them; returns how many were there."""
    done, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = load_snapshot(Path(folder))
        if found is not None:
            assert torch.equal(found.tensors["a"], torch.full((2000,), float(found.step)))
            done += 1
    return done


def write_checkpoints(folder: str, number: int) -> int:
    """Publishes a checkpoint of one key, all with the same files."""
    done, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        temporary = Path(folder) / f".key.{number}-{done}"
        (temporary / "heads").mkdir(parents=True)
        for name in ("heads/model.safetensors", "model.safetensors", MARKER):
            (temporary / name).write_text(json.dumps({"steps": 4}))
        publish_folder(temporary, Path(folder) / "key", keep_whole=True)
        done += 1
    return done


def remove_checkpoints(folder: str, _: int) -> int:
    """Removes it again and again."""
    done, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        Checkpoints(Path(folder)).remove("key")
        done += 1
        time.sleep(0.002)
    return done


def read_checkpoints(folder: str, _: int) -> int:
    """Reads every file of it, some time after it was found; returns how often it was there."""
    done, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        with Checkpoints(Path(folder)).held("key") as found:
            if found is not None:
                time.sleep(0.003)
                for name in ("heads/model.safetensors", "model.safetensors", MARKER):
                    assert json.loads((found / name).read_text()) == {"steps": 4}
                done += 1
    return done


def at_once(folder: Path, *work: Callable[[str, int], int]) -> list[int]:
    """Runs functions side by side, each in a process of its own."""
    with ProcessPoolExecutor(len(work), mp_context=get_context("spawn")) as pool:
        list(pool.map(abs, range(len(work))))
        return [one.result() for one in [pool.submit(f, str(folder), i) for i, f in enumerate(work)]]


def test_snapshots_of_one_key(tmp_path: Path) -> None:
    counts = at_once(tmp_path / "key", write_snapshots, write_snapshots, write_snapshots, read_snapshots)
    assert min(counts) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_checkpoints_of_one_key(tmp_path: Path) -> None:
    counts = at_once(tmp_path, write_checkpoints, write_checkpoints, remove_checkpoints, read_checkpoints)
    assert min(counts) > 0
    assert {path.name for path in tmp_path.iterdir() if path.name != "key"} == {
        path.name for path in tmp_path.glob(".key.*-*")
    }, "what a writer brings where it is there already is the writer's to remove"
