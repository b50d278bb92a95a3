"""Zero-shot POS of XLM-R trained on English at growing sizes (published runs): what these analyses must find in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from raystilts.analysis.curves import SizeMeans, fit_power_law, hold_out, judge_curve
from raystilts.analysis.inference import spearman
from raystilts.analysis.language_distances import LEAST_SHARED, URIEL_DISTANCES, uriel_distances

SIZES = (630, 1250, 2500, 5000, 10_000, 20_000, 40_000)


@pytest.fixture(scope="module")
def published(data_dir: Path) -> Path:
    folder = data_dir.parent / "published"
    if not (folder / "xpos_udpos_scaling.parquet").is_file():
        pytest.skip("no published tables beside the data folder")
    return folder


@pytest.fixture(scope="module")
def scores(published: Path) -> pd.DataFrame:
    """Accuracy x 100 of training on English: a row a target, a column a size."""
    table = pd.read_parquet(published / "xpos_udpos_scaling.parquet")
    english = table[table["intermediate"] == "en"]
    return english.pivot(index="target", columns="fraction", values="value")[[str(size) for size in SIZES]]


@pytest.fixture(scope="module")
def distances(published: Path) -> pd.DataFrame:
    return pd.read_csv(published / "language_distances_from_english.csv", index_col="language")


def points(values: np.ndarray) -> SizeMeans:
    return SizeMeans(np.array(SIZES, dtype=float), values / 100, np.ones(len(values)), float("nan"), 0)


def test_correlation_with_distance(published: Path, scores: pd.DataFrame, distances: pd.DataFrame) -> None:
    reference = pd.read_csv(published / "reference_correlation_xpos_english.csv", index_col=0)
    for name, row in reference.iterrows():
        known = distances[str(name)].drop("en").dropna()
        known = known[known.index.isin(scores.index)]
        found = spearman(known, scores.loc[known.index, "10000"])
        assert found.number == row["n_languages"], name
        assert round(found.rho, 3) == pytest.approx(row["spearman_with_zero_shot_POS_accuracy"], abs=5.1e-4), name
        assert found.p == pytest.approx(row["p"], abs=0.006), name
        # Theirs are bootstrap intervals.
        assert found.low == pytest.approx(row["ci95_low"], abs=0.1), name
        assert found.high == pytest.approx(row["ci95_high"], abs=0.1), name
    syntactic = reference.loc["lang2vec112_syntactic"]
    assert (syntactic["n_languages"], syntactic["spearman_with_zero_shot_POS_accuracy"]) == (37, -0.767)


def test_distances_are_those_of_the_package(distances: pd.DataFrame) -> None:
    pytest.importorskip("urielplus")
    found = uriel_distances([str(code) for code in distances.index])
    same = [code for code in distances.index.drop("en") if found.codes[code] == distances["uriel_code"][code]]
    assert len(same) > 30  # the others are better described under another code
    for name in URIEL_DISTANCES:
        column = distances[f"urielplus132_{name}"].reindex(same)
        ours = pd.Series(found.values[name]).reindex(same)
        few = pd.Series(found.shared[name]).reindex(same) < LEAST_SHARED.get(name, 1)
        assert (ours.isna() == (column.isna() | few)).all(), name
        assert np.nanmax(np.abs(ours - column)) < 1e-4, name


def test_most_curves_are_not_monotone_and_are_refused(published: Path, scores: pd.DataFrame) -> None:
    reference = pd.read_csv(published / "reference_powerlaw_xpos_english.csv", index_col="target")
    rises = (np.diff(scores.to_numpy(), axis=1) >= 0).all(axis=1)
    assert (reference.loc[scores.index, "non_monotone"].to_numpy() == ~rises).all()
    assert round(float(np.mean(~rises)), 2) == 0.97
    judged = {str(name): judge_curve(points(row)) for name, row in zip(scores.index, scores.to_numpy(), strict=True)}
    shown = [name for name, one in judged.items() if one.refused is None]
    assert shown == ["en", "fi"]  # Finnish falls throughout


def test_english_itself_follows_a_power_law(published: Path, scores: pd.DataFrame) -> None:
    reference = pd.read_csv(published / "reference_powerlaw_xpos_english.csv", index_col="target").loc["en"]
    english = points(scores.loc["en"].to_numpy())
    fit = fit_power_law(english)
    assert fit.alpha.value == pytest.approx(reference["exponent"], rel=0.02)
    assert 100 - 100 * fit.asymptote.value == pytest.approx(reference["floor"], abs=0.03)
    held = hold_out(english)
    assert held is not None
    assert 100 * held.last_value == pytest.approx(reference["extrap_mae_last_value"], abs=1e-3)
    assert 100 * held.power_law < 0.06


def test_on_average_the_last_value_foresees_more_than_a_curve(scores: pd.DataFrame) -> None:
    held = [hold_out(points(row)) for row in scores.to_numpy()]
    last = 100 * float(np.mean([one.last_value for one in held if one is not None]))
    assert last == pytest.approx(2.508, abs=1e-3)
    assert last < 100 * float(np.mean([one.power_law for one in held if one is not None]))
