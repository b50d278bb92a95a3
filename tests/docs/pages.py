"""The pages of the documents, and the commands, study files and Python in them.

A block of commands has a mark in the line before it, which no reader sees:

    <!-- run -->             a test runs it, in a folder where RESULTS, my_task.py and so on are there
    <!-- run: WHERE -->      something else runs it
    <!-- needs: WHAT -->     it needs what tests do not have; its commands and options are looked at and not run
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
SHELLS = ("console", "sh", "bash")
MARK = re.compile(r"<!-- (run|needs)(?:: (.+))? -->")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(raystilts [a-z][^`]*)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_OPERATORS = re.compile(r"[|&;<>]+")


@dataclass(frozen=True)
class Block:
    """What stands between two fences.

    Attributes:
        place: Page and line.
        mark: The line before it.
    """

    place: str
    info: str
    text: str
    mark: str


def name(page: Path) -> str:
    """A page as a message names it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *infos: str) -> list[Block]:
    """The fenced blocks of a page that are of one of these kinds."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip("\n").splitlines()
        if match[1] in infos:
            place = f"{name(page)}:{len(before) + 1}"
            found.append(Block(place, match[1], match[2], before[-1] if before else ""))
    return found


def lines_of(block: Block) -> list[str]:
    """The command lines of a block, those that go on over several lines as one."""
    found: list[str] = []
    open_line = ""
    for line in block.text.splitlines():
        if not open_line:
            if block.info == "console" and not line.startswith("$ "):
                continue  # what a command prints
            line = line.removeprefix("$ ")
            if not line.strip() or line.startswith("#"):
                continue
        open_line += line.removesuffix("\\") if line.endswith("\\") else line
        if line.endswith("\\") or not _closed(open_line):
            open_line += " "
            continue
        found.append(open_line)
        open_line = ""
    assert not open_line, f"{block.place}: {open_line!r} has no end"
    return found


def _closed(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return True


def commands(line: str) -> Iterator[list[str]]:
    """The single commands of a line: words without assignments before them, and without what is redirected."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    target = False
    for word in lexer:
        if _OPERATORS.fullmatch(word):
            target = ">" in word or "<" in word
            if not target:
                yield words
                words = []
        elif not target and (words or not _ASSIGNMENT.fullmatch(word)):
            words.append(word)
    yield words


def inline(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Commands of raystilts in running text, with their place; brackets around what may be left out are dropped."""
    text = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), 1):
        for match in _INLINE.finditer(line):
            yield f"{name(page)}:{number}", re.sub(r"[\[\]'\"{}]", " ", match[1]).split()
