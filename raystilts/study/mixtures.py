"""Mixtures with a name of their own: those of the literature, and `all` of a study."""

from __future__ import annotations

from collections.abc import Sequence

#: By name in study files; the tasks that are mixed. ANLI+ is that of Phang et al. 2020 (arXiv 2005.13013).
MIXTURES: dict[str, tuple[str, ...]] = {"anli_plus": ("anli", "mnli", "snli")}

#: Stands for every task of the study's other intermediates.
ALL = "all"


def named_mixture(name: str) -> dict[str, object] | None:
    """The intermediate that a name stands for, or None where it names no mixture."""
    if name == ALL:
        return {"tasks": (ALL,), "name": ALL}
    return {"tasks": MIXTURES[name], "name": name} if name in MIXTURES else None


def all_tasks_of(others: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The tasks of a study's other intermediates, each once, in their order.

    A translation (`squad@de`) is left out where its task is there itself.

    Args:
        others: The tasks of each of the other intermediates.

    Raises:
        ValueError: There are fewer than two.
    """
    named = dict.fromkeys(name for tasks in others for name in tasks if name != ALL)
    found = tuple(name for name in named if "@" not in name or name.partition("@")[0] not in named)
    if len(found) < 2:
        raise ValueError(f"{ALL!r} mixes the other intermediates' tasks, which are {list(found)}; name two or more")
    return found
