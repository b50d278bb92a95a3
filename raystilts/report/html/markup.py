"""HTML and SVG from Python values: everything is escaped unless it is markup already."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

#: Elements without content or end tag.
VOID = frozenset({"br", "hr", "meta", "link", "img", "input", "col", "wbr"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
Attribute: TypeAlias = str | int | float | bool | None


def escape(text: str) -> Markup:
    """Text as HTML, also inside attributes; characters that HTML forbids become the replacement character."""
    clean = "".join(c if c >= " " or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return Markup(html.escape(clean, quote=True))


def tag(name: str, *children: Child, **attributes: Attribute) -> Markup:
    """An element.

    Args:
        name: Its tag.
        children: Text (escaped), markup, lists of these; None is nothing.
        attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; True is an attribute without a value,
            None and False leave it out.
    """
    start = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{start}>")
    return Markup(f"<{start}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Children one after another, without an element around them."""
    return Markup("".join(_text(child) for child in children))


def breakable(name: str) -> Markup:
    """A name that a narrow column may break after its underscores and signs."""
    return Markup(re.sub(r"([_+@/.-])(?=\w)", r"\1<wbr>", escape(name)))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escape(child)
    if isinstance(child, int):
        return str(child)
    return "".join(_text(one) for one in child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = format(round(value, 1), "g") if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
