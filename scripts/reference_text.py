"""What the generated pages of the reference share: parts of docstrings, and types in words.

Docstrings here have a first line, more lines, and sections (`Attributes:`, `Args:`, `Returns:`, `Raises:`).
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel, BeforeValidator

SECTIONS = ("Attributes", "Args", "Returns", "Raises")
_NAMED = re.compile(r"(\*{0,2}\w[\w.]*): (.*)")
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null", Any: "any"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
#: Bounds that only keep overflows out say nothing to a reader.
_LARGE = 1e5


@dataclass
class Doc:
    """A docstring, read.

    Attributes:
        first: Its first line.
        more: The paragraphs before its sections.
        named: Entries of sections with names, by section and name.
        plain: The text of sections without names.
    """

    first: str = ""
    more: str = ""
    named: dict[str, dict[str, str]] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)


def read_doc(thing: Any) -> Doc:
    """The docstring of a class or a function."""
    text = inspect.cleandoc(thing.__doc__ or "")
    head, *parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", text, flags=re.MULTILINE)
    first, _, more = head.strip().partition("\n")
    doc = Doc(first=first, more=more.strip())
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        entries = _entries(inspect.cleandoc("\n" + body))
        if entries:
            doc.named[name] = entries
        else:
            doc.plain[name] = " ".join(body.split())
    return doc


def _entries(body: str) -> dict[str, str]:
    """`name: text` entries, whose further lines are indented."""
    found: dict[str, str] = {}
    name = ""
    for line in body.splitlines():
        match = _NAMED.fullmatch(line)
        if match:
            name = match[1]
            found[name] = match[2].strip()
        elif name:
            found[name] += " " + line.strip()
        else:
            return {}
    return {name: " ".join(text.split()) for name, text in found.items()}


def meanings(model: type) -> dict[str, str]:
    """What the fields of a class mean, those of the classes that it derives from included."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if one.__doc__ and one is not object:
            found |= read_doc(one).named.get("Attributes", {})
    return found


def words(annotation: Any, metadata: typing.Iterable[Any] = (), link: dict[type, str] | None = None) -> str:
    """A type in words.

    Args:
        annotation: The type.
        metadata: Bounds that pydantic has taken off it.
        link: Anchor of a class that has a section of its own.
    """
    link = link or {}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return words(arguments[0], [*arguments[1:], *metadata], link)
    if origin in (typing.Union, types.UnionType):
        options = [words(one, metadata, link) for one in arguments if one is not type(None)]
        return " or ".join(options + ["null"] * (type(None) in arguments))
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin is tuple:
        kinds = [one for one in arguments if one is not Ellipsis]
        return f"list of {_and([words(one, (), link) for one in kinds])}"
    if origin is dict:
        return f"mapping from {words(arguments[0], (), link)} to {words(arguments[1], (), link)}"
    if isinstance(annotation, type) and annotation in link:
        return f"[{annotation.__name__}](#{link[annotation]})"
    bounds = _bounds(metadata)
    if annotation in _PLAIN:
        return " ".join(part for part in (_PLAIN[annotation], bounds) if part)
    return str(getattr(annotation, "__name__", annotation))


def _and(kinds: list[str]) -> str:
    return ", ".join(kinds)


def _bounds(metadata: typing.Iterable[Any]) -> str:
    """Limits of a number, as far as they say something."""
    said = []
    for one in _flat(metadata):
        for name, word in _BOUNDS.items():
            value = getattr(one, name, None)
            if isinstance(value, int | float) and not isinstance(one, BeforeValidator) and abs(value) <= _LARGE:
                said.append(f"{word} {value:g}")
    return " and ".join(dict.fromkeys(said))


def _flat(metadata: typing.Iterable[Any]) -> typing.Iterator[Any]:
    """Constraints, those within pydantic's own fields included."""
    for one in metadata:
        inner = getattr(one, "metadata", None)
        if isinstance(one, annotated_types.BaseMetadata) or inner is None:
            yield one
        else:
            yield from inner


def default_of(field_info: Any) -> str:
    """A field's default as a study file would write it."""
    if field_info.is_required():
        return "required"
    value = field_info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see there"
    return written(value)


def written(value: Any) -> str:
    """A value as YAML has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return "`[" + ", ".join(written(one).strip("`") for one in value) + "]`"
    if isinstance(value, dict):
        return "`{}`" if not value else f"`{value}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def cell(text: str) -> str:
    """Text that stands in a cell of a table: on one line, with nothing that would be markup outside of code."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def table(head: tuple[str, ...], rows: typing.Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(cell(one) for one in row)} |" for row in rows]
