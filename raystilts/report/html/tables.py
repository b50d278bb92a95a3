"""Tables that scroll by themselves where they are wider than the page."""

from __future__ import annotations

from collections.abc import Sequence

from raystilts.report.html.markup import Attribute, Markup, tag


def table(caption: str, head: Markup, body: Sequence[Markup], **attributes: Attribute) -> Markup:
    """A table of data.

    Args:
        caption: What it shows; it stays in view when the table scrolls.
        head: The row of column headers.
        body: The rows, each with its own header.
        attributes: Of the table.
    """
    parts = (tag("caption", tag("span", caption)), tag("thead", head), tag("tbody", body))
    return tag(
        "div", tag("table", parts, **attributes), class_="scroll", tabindex="0", role="region", aria_label=caption
    )
