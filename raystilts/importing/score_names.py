"""Names of columns that say several things at once: `test_acc_de`, `eval/xnli_de/accuracy`, `rte_f1`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from raystilts.importing.kinds import direction, is_language, is_summary, split_name, words

_SPLIT_NAMES = ("train", "dev", "test")
#: Words before a metric that say which of a run's values it is: `best_acc` has no target.
_WHICH_VALUE = ("best", "final", "last", "first", "max", "min", "top", "highest", "early_stopped")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the name of a column of scores says.

    Attributes:
        target: None where it names none; likewise `language`.
        metric: With the split in it, as `test_acc`.
    """

    target: str | None
    metric: str
    language: str | None = None


def parts_of(names: Sequence[str], with_target: bool) -> dict[str, Parts]:
    """The parts of each name; {} unless all of them have some (averages aside).

    Args:
        with_target: Whether they may name targets.
    """
    own = [name for name in names if not is_summary(name)]
    languages = _languages(own)
    found: dict[str, Parts] = {}
    for name in own:
        rest, language = languages.get(name, (name, None))
        parts = _target_and_metric(rest) if with_target else None
        if parts is None and language is not None and direction(rest) in ("higher", "lower"):
            parts = Parts(None, rest)
        if parts is None:
            return {}
        found[name] = replace(parts, language=language)
    return found


def _languages(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Each name without the language in it, and that; {} unless all have one in the same place, and not all the same.

    Words such as `is`, `no` and `to` are codes too: one name alone proves nothing.
    """
    for pattern in (r"(?P<rest>.+)[_ -](?P<code>[^_ /-]+)", r"(?P<code>[^_ /-]+)[_ -](?P<rest>.+)",
                    r"(?P<head>.+)[_-](?P<code>[^_/-]+)(?P<tail>/[^/]+)", r"(?P<rest>.+)/(?P<code>[^_/]+)",
                    r"(?P<head>.+/)(?P<code>[^_/]+)/(?P<tail>[^/]+)", r"(?P<code>[^_/]+)/(?P<rest>.+)"):  # fmt: skip
        matches = [re.fullmatch(pattern, name) for name in names]
        codes = [match["code"] for match in matches if match and is_language(match["code"])]
        if names and len(codes) == len(names) and len(set(codes)) > 1:
            rests = [
                groups["rest"] if "rest" in (groups := match.groupdict()) else groups["head"] + groups["tail"]
                for match in matches
                if match
            ]
            return dict(zip(names, zip(rests, codes, strict=True), strict=True))
    return {}


def _target_and_metric(name: str) -> Parts | None:
    """Of `rte/accuracy`, `eval/rte/accuracy` or `rte_acc`; None where it is no target with a metric."""
    pieces = [piece for piece in re.split(r"[/.:]", name) if piece]
    split = next((piece for piece in pieces if split_name(piece) in _SPLIT_NAMES), None)
    pieces = [piece for piece in pieces if piece != split]
    if len(pieces) == 1 and len(words(pieces[0])) > 1:
        task, _, metric = pieces[0].rpartition("_")
        pieces = [task, metric] if task else pieces
    if len(pieces) < 2:
        return None
    task, metric = "/".join(pieces[:-1]), pieces[-1]
    # `test_acc` is a metric on a split, and says nothing of the target.
    if direction(metric) not in ("higher", "lower") or direction(task) or split_name(task) in _SPLIT_NAMES:
        return None
    if task.lower() in _WHICH_VALUE:
        return None
    if split is None:
        found = re.fullmatch(r"(eval|test|val|dev|validation)_(.+)", task)
        split, task = (found[1], found[2]) if found else (None, task)
    return Parts(task, f"{split}/{metric}" if split else metric)
