from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.language_distances import _FAMILY, family_of
from raystilts.analysis.language_similarity import group_means, language_effects
from raystilts.tasks.languages import _ENTRIES

NAN = float("nan")


def test_complete_tables_are_means_of_centred_rows() -> None:
    table = np.random.default_rng(0).normal(size=(3, 7))
    assert language_effects(table) == pytest.approx((table - table.mean(axis=1, keepdims=True)).mean(axis=0))


def test_an_easy_task_is_not_taken_for_easy_languages() -> None:
    language = np.array([0.0, 1.0, 2.0, 3.0])
    table = np.stack([language, language + 10.0])
    table[0, :2] = NAN
    table[1, 3] = NAN
    found = language_effects(table)
    assert found - found[0] == pytest.approx(language)


def test_languages_that_share_no_task_with_the_rest_are_left_out() -> None:
    table = np.array([[0.0, 1.0, 2.0, NAN], [NAN, NAN, NAN, 5.0]])
    assert language_effects(table).tolist() == pytest.approx([-1.0, 0.0, 1.0, NAN], nan_ok=True)


def test_nothing_from_nothing() -> None:
    assert np.isnan(language_effects(np.full((2, 3), NAN))).all()


def test_means_of_groups() -> None:
    names, means = group_means([1.0, 3.0, 5.0, NAN], ["b", "a", "b", "c"])
    assert names == ["a", "b"]
    assert means.tolist() == [3.0, 3.0]


def test_every_language_of_a_task_has_a_family() -> None:
    assert set(_ENTRIES) == set(_FAMILY)
    assert family_of("de") == "Indo-European"
    assert family_of("xyz") == "xyz"
