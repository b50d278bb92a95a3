"""What is wrong with a question to a results folder, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from raystilts.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def check_one(column: str, found: Iterable[str], where: str) -> None:
    """Whether scores have one value of a column.

    Raises:
        UserError: they have several, and are not ranked together.
    """
    values = sorted(set(found))
    if len(values) > 1:
        more = " (--encoder), or compare them: raystilts best --compare encoders" if column == "encoder" else ""
        raise UserError(
            f"The scores of {where} have several values of `{column}`: {', '.join(values)}. They "
            f"cannot be compared; give one as `{column}`{more}."
        )


def nothing_to_answer(known: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Why there is nothing to answer from.

    Args:
        known: `Results.known`; and `Results.runs`.
    """
    if len(known):
        targets = ", ".join(sorted(set(known["target"]))[:5])
        languages = sorted({str(name) for names in known["languages"] for name in names})
        return (
            f"{targets}: no language is in every run, so that there is no mean over languages; name one: --language "
            f"{languages[0]} (there are {', '.join(languages)})"
        )
    ended = Counter(runs.loc[runs["kind"] != "intermediate", "status"])
    counts = ", ".join(f"{ended[word]} {word}" for word in ("failed", "stopped", "paused") if ended[word])
    if counts:
        return f"The results hold no finished target stage ({counts}); the column error of Results.runs() says why"
    return "The results hold no finished target stage yet; run the study first: raystilts run STUDY"
