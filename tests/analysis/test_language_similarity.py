from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raystilts.analysis.language_distances import _FAMILY, family_of, read_columns, subword_distances, uriel_distances
from raystilts.analysis.language_similarity import BASELINE, gather_gains, group_means, language_effects, relate
from raystilts.errors import UserError
from raystilts.tasks.languages import _ENTRIES

from .strata import never, stratum

CODES = ("en", "af", "ar", "bg", "bn", "de", "el", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "hu")
FAR = dict(zip(CODES[1:], np.linspace(0, 1, 15), strict=True))
ARMS = [("none", None), ("mnli", 0.1), ("mnli", 1.0), ("squad", 1.0)]


def table(seeds: int = 3, noise: float = 0.002) -> np.ndarray:
    """Gains of the large arms fall with the distance; the small one's rise."""
    rng = np.random.default_rng(0)
    base = rng.uniform(0.4, 0.8, (1, 1, 16)) + rng.normal(0, noise, (4, seeds, 16))
    far = np.array([0.0, *FAR.values()])
    return np.asarray(base + np.array([0, 0.1, -0.1, -0.1])[:, None, None] * far)


def apart(none_seeds: int) -> np.ndarray:
    """`none` with seeds of its own after the arms'."""
    scores = np.full((4, 3 + none_seeds, 16), np.nan)
    scores[:, :3] = table()
    scores[0] = np.nan
    scores[0, 3:] = table(none_seeds)[0]
    return scores


def test_gains_are_of_the_largest_arms_and_leave_english_out() -> None:
    found = gather_gains([stratum(ARMS, table(), CODES)], never)
    assert set(found.gains) == set(FAR)
    assert found.arms == ("mnli", "squad")
    order = sorted(found.gains, key=lambda code: -found.gains[code])
    assert order[0] == "af"
    assert order[-1] == "hu"
    assert sum(found.gains.values()) == pytest.approx(0, abs=1e-12)


def test_the_fraction_and_the_arm_can_be_chosen() -> None:
    one = stratum(ARMS, table(), CODES)
    small = gather_gains([one], never, fraction=0.1)
    assert small.arms == ("mnli",)
    assert small.gains["hu"] > small.gains["af"]
    assert gather_gains([one], never, intermediate="squad").arms == ("squad",)
    assert gather_gains([one], lambda arm, target: arm == "mnli").arms == ("squad",)


def test_distance_is_found_and_holm_counts_every_predictor() -> None:
    found = relate(gather_gains([stratum(ARMS, table(), CODES)], never), {"far": FAR, "few": {"de": 0.1}})
    [one] = found.relations
    assert one.predictor == "far"
    assert one.plain.rho < -0.95
    assert one.p_holm == one.plain.p
    assert found.left_out == {"few": 1}
    assert one.number_families == 4  # Indo-European, Afro-Asiatic, Uralic, Basque
    assert one.families is None  # too few to show anything


def test_shared_seeds_are_said_and_give_no_level() -> None:
    found = gather_gains([stratum(ARMS, table(), CODES)], never)
    assert found.level is None
    assert "baseline_seeds" in found.notes[0]


@pytest.mark.parametrize("none_seeds", [2, 5])
def test_seeds_of_its_own_are_split_between_gain_and_level(none_seeds: int) -> None:
    scores = apart(none_seeds)
    found = gather_gains([stratum(ARMS, scores, CODES)], never)
    assert found.notes == ()
    assert found.level is not None
    assert BASELINE in {one.predictor for one in relate(found, {"far": FAR}).relations}
    own = scores[0, 3:, 1:]
    level = own[1::2].mean(axis=0)
    assert [found.level[code] for code in CODES[1:]] == pytest.approx((level - level.mean()).tolist())
    gains = [scores[arm, :3, 1:].mean(axis=0) - own[::2].mean(axis=0) for arm in (2, 3)]
    expected = np.mean([gain - gain.mean() for gain in gains], axis=0)
    assert [found.gains[code] for code in CODES[1:]] == pytest.approx(expected.tolist())


def test_seeds_beyond_the_arms_are_the_level() -> None:
    scores = np.full((4, 5, 16), np.nan)
    scores[:, :3] = table()
    scores[0, 3:] = table(2)[0]
    found = gather_gains([stratum(ARMS, scores, CODES)], never)
    level = scores[0, 3:, 1:].mean(axis=0)
    assert found.level is not None
    assert [found.level[code] for code in CODES[1:]] == pytest.approx((level - level.mean()).tolist())


def test_the_control_is_held_constant() -> None:
    size = {code: value + 0.01 * (i % 3) for i, (code, value) in enumerate(FAR.items())}
    [one] = relate(gather_gains([stratum(ARMS, table(), CODES)], never), {"far": FAR}, size).relations
    assert one.partial is not None
    assert abs(one.partial.rho) < abs(one.plain.rho)


def test_few_languages_are_refused() -> None:
    few = stratum(ARMS, table()[:, :, :12], CODES[:12])
    with pytest.raises(UserError, match="11 languages have gains, but 12 are needed"):
        relate(gather_gains([few], never), {"far": FAR})
    with pytest.raises(UserError, match="no distance is known for 12"):
        relate(gather_gains([stratum(ARMS, table(), CODES)], never), {"few": {"de": 0.1}})


def test_nothing_without_a_baseline() -> None:
    scores = table()
    scores[0] = np.nan
    with pytest.raises(UserError, match="no gains"):
        gather_gains([stratum(ARMS, scores, CODES)], never)


def test_distances_of_urielplus() -> None:
    pytest.importorskip("urielplus")
    found = uriel_distances(["en", "de", "zh", "pcm", "xyz"])
    assert "en" not in found.values["syntactic"]
    assert found.values["syntactic"]["de"] < found.values["syntactic"]["zh"]
    assert found.values["genetic"]["zh"] == 1.0
    assert all("xyz" not in values for values in found.values.values())


def test_distances_over_few_features_are_left_out_and_said() -> None:
    pytest.importorskip("urielplus")
    found = uriel_distances(["de", "ms", "bem", "tn", "kk", "uz", "az", "lv", "yi"])
    # by the individual languages Malay (zsm) has 12 features and a distance of 0, Azerbaijani and Latvian none
    assert {one: found.codes[one] for one in ("ms", "az", "lv", "yi")} == {
        "ms": "msa", "az": "aze", "lv": "lav", "yi": "yid",
    }  # fmt: skip
    assert found.shared["syntactic"]["ms"] > 90
    assert found.values["syntactic"]["ms"] == pytest.approx(0.482, abs=0.02)
    assert found.shared["syntactic"]["bem"] == 12
    assert found.shared["syntactic"]["tn"] == 1
    assert not {"bem", "tn", "kk"} & found.values["syntactic"].keys()
    assert not {"kk", "uz"} & found.values["phonological"].keys()
    assert min(found.values["syntactic"].values()) > 0.0
    [said] = [note for note in found.notes() if note.startswith("syntactic")]
    assert "left out for fewer than 20: bem 12, kk 12, tn 1" in said


def test_a_language_called_nan_is_one(tmp_path: Path) -> None:
    path = tmp_path / "far.csv"
    path.write_text("language,far\nnan,0.5\nde,\nfr,nan\nNA,0.2\n")
    assert read_columns(path, "--distances") == {"far": {"nan": 0.5, "NA": 0.2}}


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "far.csv"
    pd.DataFrame({"language": ["de", "zh"], "far": [0.1, None], "name": ["a", "b"]}).to_csv(path, index=False)
    assert read_columns(path, "--distances") == {"far": {"de": 0.1}}
    path.write_text("code,far\nde,1\n")
    with pytest.raises(UserError, match="needs a column language"):
        read_columns(path, "--distances")
    with pytest.raises(UserError, match="no such file"):
        read_columns(tmp_path / "none.csv", "--distances")


def test_subwords_that_are_shared_make_languages_near(tmp_path: Path, tiny_tokenizer: Any) -> None:
    texts = {"en": "the cat in the house", "de": "the cat in a house", "ru": "кот в доме", "zh": "猫"}
    for language, text in texts.items():
        (tmp_path / language).mkdir()
        rows = [text] * (40 if language != "zh" else 1)
        pd.DataFrame({"text": rows}).to_parquet(tmp_path / language / "train.parquet")
    found = subword_distances(tiny_tokenizer, tmp_path, ["en", "de", "ru", "zh", "fi"], subwords=100)
    assert set(found) == {"de", "ru"}  # too little Chinese, no Finnish
    assert 0.0 < found["de"] < 0.3 < found["ru"] <= 1.0
    with pytest.raises(UserError, match="--text"):
        subword_distances(tiny_tokenizer, tmp_path / "nowhere", ["de"], subwords=100)


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
