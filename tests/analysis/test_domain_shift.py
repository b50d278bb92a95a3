from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raystilts.analysis.alignment_effect import effects
from raystilts.analysis.domain_shift import (
    DomainAnswer,
    Embedded,
    Shift,
    answer_rows,
    answer_text,
    associations,
    plot_shifts,
    shift,
    study_offsets,
    study_shifts,
)
from raystilts.planning.encoders import describe_encoder
from raystilts.results.stratum import Arm, Final, Place, build_stratum
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study
from raystilts.tasks.encoding import Ragged
from raystilts.training.embeddings import language_offsets
from raystilts.training.encoder import pretrained


def test_the_offset_of_a_language_is_its_mean_difference_from_english() -> None:
    means = {
        ("one", "en"): np.array([0.0, 0.0]), ("one", "de"): np.array([1.0, 2.0]),
        ("two", "en"): np.array([5.0, 5.0]), ("two", "de"): np.array([8.0, 7.0]),
        ("three", "de"): np.array([100.0, 100.0]), ("three", "sw"): np.array([3.0, 3.0]),
    }  # fmt: skip
    found = language_offsets(means)
    assert found["de"].tolist() == [2.0, 2.0]
    assert found["en"].tolist() == [0.0, 0.0]
    assert "sw" not in found


def test_language_is_not_taken_for_domain() -> None:
    rng = np.random.default_rng(0)
    points = {name: rng.normal(size=(150, 4)) for name in ("one", "two_en", "two_de")}
    other = {"en": points["two_en"], "de": points["two_de"] + [9, 0, 0, 0]}  # German lies elsewhere
    ids = Ragged.from_rows([[0, 7, 8, 2]], np.int32)
    sets = {"one": Embedded({"en": points["one"]}, ids), "two": Embedded(other, ids)}
    found = shift(("one", "two"), sets["one"], sets["two"], study_offsets(sets), (0, 2), 99)
    assert abs(found.a_distance) < 0.4
    assert abs(found.mmd) < 0.01
    assert found.mmd_p is not None
    assert found.mmd_p > 0.05
    assert (found.subwords, found.languages, found.target_texts) == (0, ("en", "de"), 300)
    raw = {code: np.zeros(4) for code in ("en", "de")}
    assert shift(("one", "two"), sets["one"], sets["two"], raw, (0, 2), 99).mmd > 0.1
    german = Embedded({"de": other["de"]}, None)
    assert shift(("one", "two"), sets["one"], german, study_offsets(sets), (0, 2), 99).mmd_p is None


def a_shift(source: int, target: str, distance: float, gain: float | None) -> Shift:
    return Shift(f"task{source}", target, 10, 10, ("en",), distance, distance, 0.5, distance, None, gain)


def test_relations_are_refused_below_eight_intermediates_and_found_above() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 2))
    shifts = [a_shift(i, t, values[i, j], -values[i, j]) for i in range(9) for j, t in enumerate("ab")]
    found = {one.distance: one for one in associations(shifts)}
    assert found["mmd"].relation is not None
    assert found["mmd"].relation.rho == pytest.approx(-1)
    assert found["mmd"].p_holm == pytest.approx(3 * found["mmd"].relation.p)  # three distances; no sub-words
    assert found["subwords"].relation is None
    few = [one for one in shifts if one.intermediate not in ("task7", "task8")]
    assert all(one.relation is None for one in associations(few))
    text = answer_text(DomainAnswer(tuple(few), tuple(associations(few)), (), ("tatoeba",)))
    assert "not answered. 7 intermediates have both" in text
    assert max(map(len, text.splitlines())) <= 80


def test_effects_are_paired_over_seeds(tmp_path: Path) -> None:
    arms = ["none", "cldr_names", {"task": "cldr_names", "align": {"to": "cldr_dates", "loss": "mmd"}}]
    own = [Intermediate.model_validate(arm) for arm in arms]
    scores = {"cldr_names": (0.5, 0.6, 0.4), "cldr_names+mmd-cldr_dates": (0.53, 0.64, 0.45), "none": (0.1, 0.1, 0.1)}
    finals = [
        Final(Arm(name, None if name == "none" else 1.0, "{}"), seed, value, None)
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]
    stratum = build_stratum(Place("cldr_dates", 1.0, "test", None, ("en",), "f1"), finals, [])
    [found] = effects(own, [stratum], 1.0)
    assert (found.arm, found.plain, found.seeds) == ("cldr_names+mmd-cldr_dates", "cldr_names", 3)
    assert found.difference == pytest.approx(0.04)
    half = 4.302653 * 0.01 / np.sqrt(3)
    assert found.low == pytest.approx(0.04 - half)
    assert found.high == pytest.approx(0.04 + half)
    answer = DomainAnswer((a_shift(0, "cldr_dates", 1.0, 0.1),), tuple(associations([])), (found,), ())
    text = answer_text(answer)
    assert "gain in points over none." in " ".join(text.split())
    renamed = answer_text(replace(answer, baseline="qnli"))
    assert "gain in points over qnli." in " ".join(renamed.split())
    assert "cldr_dates (its domain)" in text
    assert max(map(len, text.splitlines())) <= 80
    plot_shifts(replace(answer, shifts=(a_shift(0, "cldr_dates", 1.0, None),)), tmp_path / "x.png")
    assert (tmp_path / "x.csv").read_text().startswith("intermediate,target,texts,target_texts,languages,a_distance")
    assert answer_rows(answer)["alignment"][0]["seeds"] == 3


def test_a_study_on_the_tiny_encoder(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    study = Study.model_validate({
        "name": "x", "encoder": {"model_name_or_path": str(tiny_encoder)}, "seeds": [0],
        "intermediates": ["none", "cldr_names", "cldr_dates"],
        "targets": [{"task": "cldr_dates", "languages": ["en", "de"]}, {"task": "cldr_match", "languages": ["de"]}],
    })  # fmt: skip
    loaded = pretrained(describe_encoder(study.encoder))
    found, left_out = study_shifts(study, loaded, None, 60, 99)
    by_pair = {(one.intermediate, one.target): one for one in found}
    # German has a zero point from cldr_dates, so that cldr_match has one too.
    assert left_out == ()
    assert set(by_pair) == {(i, t) for i in ("cldr_names", "cldr_dates") for t in ("cldr_dates", "cldr_match")}
    assert by_pair["cldr_names", "cldr_dates"].a_distance > 1
    assert by_pair["cldr_names", "cldr_dates"].mmd > by_pair["cldr_dates", "cldr_dates"].mmd
    assert by_pair["cldr_names", "cldr_match"].subwords is None
