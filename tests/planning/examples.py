"""Studies on the embedded encoder and generated data, so that planning needs neither a network nor a folder."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from raystilts.study.schema import Study

ARMS = ("none", "cldr_names", "cldr_units", "cldr_span", "cldr_dates")
TARGETS = ("cldr_dates", "cldr_same", "cldr_choice", "cldr_match")
FRACTIONS = (0.1, 0.25, 1.0)


def study(**changes: Any) -> Study:
    """Two arms and `none`, two targets of which one is retrieval, two seeds; with changes on top."""
    fields: dict[str, Any] = {
        "name": "small",
        "intermediates": ["none", "cldr_names", "cldr_units"],
        "targets": [
            {"task": "cldr_dates", "languages": ["en", "de"]},
            {"task": "cldr_match", "languages": ["de"]},
        ],
        "seeds": [0, 1],
    }
    return Study.model_validate(fields | changes)


def subsets(values: tuple[Any, ...]) -> st.SearchStrategy[list[Any]]:
    """Some of the values, in any order."""
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Studies of a few arms and targets."""
    seeds = subsets((0, 1, 2, 7))
    return study(
        intermediates=draw(subsets(ARMS)),
        targets=draw(subsets(TARGETS)),
        intermediate_fractions=draw(subsets(FRACTIONS)),
        target_fractions=draw(subsets(FRACTIONS)),
        seeds=draw(seeds),
        baseline_seeds=draw(st.none() | seeds),
    )
