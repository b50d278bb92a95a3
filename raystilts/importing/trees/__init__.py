"""Folders of result files, each recognised by the files that only its tool writes."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from raystilts.errors import UserError
from raystilts.importing.files import read_file
from raystilts.importing.reading import FILE, PLACES, Reading, of_records
from raystilts.importing.trees import jiant, key_value, lm_eval, mlflow, mteb, ray_tune, trainer, wandb
from raystilts.importing.trees.layout import Found, Layout, compiled, of_folder, relative

LAYOUTS = (
    mlflow.LAYOUT, wandb.LAYOUT, jiant.LAYOUT, ray_tune.LAYOUT, trainer.LAYOUT, lm_eval.LAYOUT, mteb.LAYOUT,
    key_value.LAYOUT,
)  # fmt: skip
_TABLES = (".csv", ".tsv", ".parquet", ".pq", ".xlsx", ".jsonl", ".ndjson", ".json")
_SKIPPED = ("__pycache__", "node_modules", "code", "artifacts")


def read_tree(path: Path, pattern: str | None, *, only_known: bool = False) -> Reading | None:
    """The rows of a folder (or of one file of a known layout).

    Args:
        pattern: What the names of folders are, such as ``{intermediate}/{target}/seed{seed}``.
        only_known: None where no layout is known, instead of tables of any kind.

    Raises:
        UserError: There is nothing to read in it.
    """
    if pattern is not None:
        compiled(pattern)
    root, every = path if path.is_dir() else path.parent, _files(path)
    for layout in LAYOUTS:
        marks = [file for file in every if layout.is_mark(file)]
        if marks:
            found = Found(root)
            layout.read(found, marks, every)
            return _reading(path, layout, found, pattern)
    if only_known:
        return None
    return _tables(path, root, every, pattern)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        found += [Path(folder) / name for name in sorted(files) if not name.startswith(".")]
    return found


def _reading(path: Path, layout: Layout, found: Found, pattern: str | None) -> Reading:
    root = found.root
    if not found.records:
        about = f" ({'; '.join(found.said[:2])})" if found.said else ""
        raise UserError(f"{path}: {layout.name}, but without a score{about}")
    places = {name: of_folder(root, (root / name).parent, pattern) for name in {r[FILE] for r in found.records}}
    # What the run itself says goes before the names of folders, a pattern before both.
    for place, record in enumerate(found.records):
        mine = places[record[FILE]]
        found.records[place] = {**record, **mine} if pattern else {**mine, **record}
    frame = of_records(found.records)
    items = _items(found, pattern)
    said = [f"{layout.name}: {len(found.files)} files", *_shown(list(dict.fromkeys(found.said)))]
    return Reading(frame, layout.name, list(dict.fromkeys(found.files)), said, found.told, items)


def _items(found: Found, pattern: str | None) -> pd.DataFrame | None:
    if not found.items:
        return None
    for item in found.items:
        if FILE in item:
            file = item.pop(FILE)
            about = of_folder(found.root, (found.root / file).parent, pattern)
            item |= {name: about.get(name) for name in ("intermediate", "target", "seed")}
    frame = pd.DataFrame.from_records(found.items)
    frame["seed"] = pd.to_numeric(frame["seed"], errors="coerce").astype("Int64")
    return frame


def _shown(said: list[str], most: int = 12) -> list[str]:
    return said if len(said) <= most else [*said[:most], f"and {len(said) - most} more"]


def _tables(path: Path, root: Path, every: list[Path], pattern: str | None) -> Reading:
    """Every table of a folder, one below the other."""
    files = [file for file in every if file.suffix.lower() in _TABLES]
    if not files:
        known = ", ".join(layout.name for layout in LAYOUTS)
        raise UserError(f"{path}: neither tables nor one of {known}")
    frames, said = [], [f"{len(files)} tables"]
    for file in files:
        frame = read_file(file).frame
        if isinstance(frame.columns, pd.MultiIndex):
            raise UserError(f"{file}: several lines of header; import such files one by one")
        frame[FILE] = relative(root, file)
        about = of_folder(root, file.with_suffix(""), pattern)
        frame = frame.assign(**{name: value for name, value in about.items() if name not in frame.columns})
        frames.append(frame)
    joined = pd.concat(frames, ignore_index=True)
    odd = [str(f[FILE].iloc[0]) for f in frames if set(f.columns) - set(PLACES) != set(frames[0].columns) - set(PLACES)]
    if odd and not pattern:
        said.append(f"tables with other columns than the first: {', '.join(odd[:5])}")
    return Reading(joined, "tables of a folder", files, said)
