"""What every layout of result files has: files it is known by, and rows that are read from them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raystilts.errors import UserError
from raystilts.importing.columns import NAMES
from raystilts.importing.kinds import seed_of
from raystilts.importing.reading import FILE

Record = dict[str, Any]


@dataclass(slots=True)
class Found:
    """What one layout read below a root.

    Attributes:
        records: A row a score: target, metric, value and whatever else is known, each with its file under `FILE`.
        files: The files that were read.
        said: What was concluded.
        items: Scores of single examples.
        told: What columns hold, our name to theirs.
    """

    root: Path
    records: list[Record] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    items: list[Record] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)

    def add(self, path: Path, record: Record) -> None:
        """Adds a score, with the file that it is from."""
        self.records.append({**record, FILE: relative(self.root, path)})

    def leave_out(self, why: str, path: Path) -> None:
        """Says that a file or folder holds nothing of use."""
        self.said.append(f"{why}, left out: {relative(self.root, path)}")


@dataclass(frozen=True, slots=True)
class Layout:
    """One tool's folders.

    Attributes:
        name: As users know it.
        is_mark: Whether a file is one that only this tool writes.
        read: Reads the files that `is_mark` accepts; gets what is to be filled, those files, and all files of the tree.
    """

    name: str
    is_mark: Callable[[Path], bool]
    read: Callable[[Found, Sequence[Path], Sequence[Path]], None]


def load_json(path: Path) -> Any:
    """A JSON file (NaN and Infinity allowed); None where it is none, such as half a file of a killed run."""
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (ValueError, OSError, UnicodeDecodeError):
        return None


def json_lines(path: Path) -> Iterator[Any]:
    """The objects of a file of JSON lines; a last line that was cut off is left out."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError:
                    return


def relative(root: Path, path: Path) -> str:
    """A path below the root, or the file's name where the root is the file."""
    return path.relative_to(root).as_posix() if path != root else path.name


def of_folder(root: Path, folder: Path, pattern: str | None) -> Record:
    """What the names of folders tell: by the pattern, else `name=value` and `seed1`; and each under folder_1, ...

    Raises:
        UserError: The pattern names something that is unknown.
    """
    parts = folder.relative_to(root).parts if folder != root else ()
    found: Record = {f"folder_{i}": part for i, part in enumerate(parts, 1)}
    if pattern is not None:
        match = compiled(pattern).search("/" + "/".join(parts))
        return found | (match.groupdict() if match else {})
    for part in parts:
        name, equals, value = part.partition("=")
        if equals and name in NAMES:
            found[name] = value
        elif re.fullmatch(r"(seed|run)[ _-]?\d+", part, re.IGNORECASE):
            found["seed"] = seed_of(part)
    return found


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern such as ``{intermediate}/{target}/seed{seed}`` for the end of a path.

    Raises:
        UserError: It names something that is unknown, or twice.
    """
    pieces = re.split(r"\{(\w*)\}", pattern.strip("/"))
    names = [name for name in pieces[1::2] if name]
    for name in names:
        if name not in NAMES or names.count(name) > 1:
            known = ", ".join(name for name in NAMES if name != "value")
            raise UserError(
                f"--path {pattern}: {{{name}}} is unknown or stands twice; known: {known}, {{}} for anything"
            )
    text = re.escape(pieces[0])
    for place in range(1, len(pieces), 2):
        name = pieces[place]
        text += (f"(?P<{name}>[^/]+?)" if name else "[^/]+?") + re.escape(pieces[place + 1])
    return re.compile(f"/{text}$")
