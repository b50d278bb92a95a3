"""What is wrong with nodes, as one table of faults and remedies."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a node, and what to do about it."""

    what: str
    found: str
    remedy: str


def fault_table(wrong: Iterable[tuple[str, Sequence[Fault]]]) -> str:
    """One table of what is wrong with which node; those with the same fault share its row.

    Args:
        wrong: Nodes, by name, with their faults.
    """
    same: dict[Fault, list[str]] = {}
    for name, found in wrong:
        for fault in found:
            same.setdefault(fault, []).append(name)
    table = Table(box=None, pad_edge=False, show_edge=False)
    for title, share in (("node", 2), ("what", 1), ("found", 5), ("remedy", 5)):
        table.add_column(title, ratio=share, overflow="fold")
    for fault, where in same.items():
        shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
        table.add_row(shown, fault.what, fault.found, fault.remedy)
    text = io.StringIO()
    Console(file=text, width=118, color_system=None, highlight=False).print(table)
    return "\n".join(f"  {line.rstrip()}" for line in text.getvalue().splitlines())
