"""MTEB: ``<model>/<revision>/<Task>.json`` with ``task_name`` and ``scores``, beside ``model_meta.json``."""

from __future__ import annotations

import functools
import itertools
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raystilts.importing.plain import is_number
from raystilts.importing.reading import FILE
from raystilts.importing.trees.layout import Found, Layout, Record, load_json


def _is_mark(path: Path) -> bool:
    if path.suffix != ".json" or path.name == "model_meta.json":
        return False
    with path.open(encoding="utf-8", errors="replace") as stream:
        head = stream.read(400)
    return '"dataset_revision"' in head and "{" in head and _is_result(load_json(path))


def _is_result(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("scores"), dict) and "mteb_version" in data


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    found.said.append("the main score of each task counts; models are the arms (intermediate)")
    speeds: set[str] = set()
    for path in marks:
        data = load_json(path)
        if not _is_result(data):
            found.leave_out("not readable", path)
            continue
        found.files.append(path)
        model = _model(found.root, path)
        for split, entries in data["scores"].items():
            for entry in entries if isinstance(entries, list) else []:
                if is_number(entry.get("main_score")):
                    if abs(entry["main_score"]) > 1.0:  # of a speed, not of quality: MTEB's scores are fractions
                        speeds.add(str(data.get("task_name") or path.stem))
                        continue
                    task, value = data.get("task_name") or path.stem, float(entry["main_score"])
                    score: Record = {"language": _language(entry), "metric": "main_score", "value": value}
                    found.add(path, {"intermediate": model, "target": task, "split": split, **score})
    if speeds:
        found.said.append(f"left out, no score from 0 to 1: {', '.join(sorted(speeds))}")
    revisions = {(Path(r[FILE]).parent.name, r["intermediate"]) for r in found.records}
    several = sorted({model for _, model in revisions if sum(m == model for _, m in revisions) > 1})
    if several:
        for record in found.records:
            if record["intermediate"] in several:
                record["intermediate"] += f"@{Path(record[FILE]).parent.name[:7]}"
        found.said.append(f"several revisions, an arm each: {', '.join(several[:5])}")


def _model(root: Path, path: Path) -> str:
    meta = load_json(path.parent / "model_meta.json")
    if isinstance(meta, dict) and meta.get("name"):
        return str(meta["name"])
    folder = path.parent.parent if path.parent != root and path.parent.parent != root.parent else path.parent
    return folder.name.replace("__", "/")


def _language(entry: Record) -> str:
    """The subset where there are several, else its language."""
    subset = str(entry.get("hf_subset") or "default")
    if subset != "default":
        return subset
    codes = [str(code) for code in entry.get("languages") or ["eng-Latn"]]
    return _two_letters().get(codes[0].split("-")[0], codes[0]) if len(codes) == 1 else "+".join(codes)


@functools.cache
def _two_letters() -> dict[str, str]:
    """ISO 639-3 codes to those that we use."""
    from raystilts.tasks.languages import iso3_code

    pairs = ["".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=2)]
    found = {iso3_code(code): code for code in pairs if iso3_code(code) != code}
    return found | {"ara": "ar", "cmn": "zh", "fas": "fa", "msa": "ms", "nob": "nb", "swa": "sw", "est": "et"}


LAYOUT = Layout("MTEB results", _is_mark, _read)
