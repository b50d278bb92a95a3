"""Tokenised data on disk, made once a machine and memory-mapped by every stage and process on it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from raystilts.study.keys import digest
from raystilts.tasks.features import Features, Ragged

_ARRAYS = ("example", "labels")
_RAGGED = ("input_ids", "token_type_ids", "token_labels", "char_spans")


def cache_folder() -> Path:
    """`RAYSTILTS_CACHE_DIR`, else `~/.cache/raystilts`."""
    return Path(os.environ.get("RAYSTILTS_CACHE_DIR", "~/.cache/raystilts")).expanduser()


def cached_features(key: list[object], make: Callable[[], Features]) -> Features:
    """The features named by `key`, from disk or made and kept.

    A cache that cannot be written (a full or read-only disk) costs time, never a result.
    """
    folder = cache_folder() / "features" / digest(key)
    found = _read(folder)
    if found is not None:
        return found
    features = make()
    try:
        _write(folder, features)
    except OSError:
        return features
    return _read(folder) or features


def _write(folder: Path, features: Features) -> None:
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        for name in _ARRAYS:
            if (array := getattr(features, name)) is not None:
                np.save(temporary / f"{name}.npy", array)
        for name in _RAGGED:
            if (ragged := getattr(features, name)) is not None:
                np.save(temporary / f"{name}.values.npy", ragged.values)
                np.save(temporary / f"{name}.offsets.npy", ragged.offsets)
        counts = {"num_examples": features.num_examples, "num_queries": features.num_queries}
        (temporary / "counts.json").write_text(json.dumps(counts), encoding="utf-8")
        temporary.rename(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        if not folder.is_dir():  # otherwise another process was first
            raise


def _read(folder: Path) -> Features | None:
    try:
        counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        arrays = {n: _map(folder / f"{n}.npy") for n in _ARRAYS if (folder / f"{n}.npy").exists()}
        ragged = {
            n: Ragged(_map(folder / f"{n}.values.npy"), _map(folder / f"{n}.offsets.npy"))
            for n in _RAGGED
            if (folder / f"{n}.values.npy").exists()
        }
    except (OSError, ValueError):
        return None
    found: dict[str, Any] = {**counts, **arrays, **ragged}
    return Features(**found)


def _map(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # an array without elements cannot be mapped
        return np.load(path, allow_pickle=False)
