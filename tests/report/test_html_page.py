from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from results.examples import study, write_results
from results.rows import run_row, score_rows

from raystilts.importing.table import import_table
from raystilts.report.html.gather import gather
from raystilts.report.html.overview import _words
from raystilts.report.html.page import page
from raystilts.results.answers import ArmAnswer, arm_label
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results
from raystilts.study.schema import Study

from .pages import HOSTILE, Tree, write_everything


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_everything(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return page(gather(Results(folder)))


@pytest.fixture(scope="module")
def tree(html: str) -> Tree:
    return Tree(html)


def points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def name(arm: ArmAnswer) -> str:
    return arm_label(arm.intermediate, arm.intermediate_fraction)


def test_every_element_ends_where_it_should(tree: Tree) -> None:
    assert tree.problems == []
    ids = [attributes["id"] for _, attributes in tree.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    links = {str(attributes["href"]) for tag, attributes in tree.elements if tag == "a"}
    assert links <= {f"#{one}" for one in ids}


def test_nothing_is_loaded(html: str, tree: Tree) -> None:
    tags = {tag for tag, _ in tree.elements}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in tree.elements:
        assert not attributes.keys() & {"src", "srcset", "data", "xlink:href", "action"}, tag
    assert "url(" not in html
    assert "@import" not in html
    assert not re.findall(r"https?://", html)
    [policy] = [a["content"] for t, a in tree.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'")


def test_gains_are_those_of_answers(folder: Path, tree: Tree) -> None:
    table = tree.table("Gain over none in points, with")
    checked = 0
    for answer in Results(folder).answers():
        for arm in answer.arms:
            cell = table[name(arm)][answer.target]
            if arm.gain is None:
                assert f"{100 * (arm.mean or 0):.1f}" in cell
                continue
            assert arm.gain_low is not None
            assert arm.gain_high is not None
            sure = arm.gain_low > 0 or arm.gain_high < 0
            gain = points(arm.gain) + "*" * sure
            assert cell.lstrip("●").split() == [
                f"({gain})" if arm.overlap else gain, f"±{50 * (arm.gain_high - arm.gain_low):.1f}"
            ]  # fmt: skip
            assert cell.startswith("●") == arm.in_best_set
            checked += 1
    assert checked == 9


def test_probabilities_are_those_of_answers(folder: Path, tree: Tree) -> None:
    table = tree.table("Probability of being the best")
    for answer in Results(folder).answers():
        for arm in answer.arms:
            said = table[name(arm)][answer.target].lstrip("●").split()
            assert said[-1] == f"{100 * (arm.mean or 0):.1f}"
            if not arm.competes:
                assert len(said) == 1
            elif 0.005 <= (arm.p_best or 0) <= 0.995:
                assert said[0] == f"{arm.p_best:.2f}"
            else:
                assert said[0] == ("<0.01" if (arm.p_best or 0) < 0.5 else ">0.99")


def test_every_language_has_its_gains(folder: Path, tree: Tree) -> None:
    table = tree.table("Gain over none in points on xnli by language")
    for language in ("en", "de"):
        [answer] = [one for one in Results(folder).answers(language=language) if one.target == "xnli"]
        for arm in answer.arms:
            if arm.gain is not None:
                assert points(arm.gain) in table[name(arm)][language]


def test_one_arm_in_full(folder: Path, tree: Tree) -> None:
    [answer] = Results(folder).answers("xnli")
    rows = tree.table("Arms for xnli")
    for arm in answer.arms:
        row = rows[name(arm)]
        assert row["mean"] == f"{100 * (arm.mean or 0):.1f}"
        assert row["seeds"] == str(arm.seeds)
        if arm.gain is not None and arm.gain_low is not None and arm.gain_high is not None:
            assert row["95 % interval"] == f"{points(arm.gain_low)} to {points(arm.gain_high)}"
    assert rows["mnli"]["marks"] == "overlap"
    assert rows["squad"]["marks"] == "best set, 1 failed"
    assert rows[HOSTILE]["marks"].endswith("1 stopped at 1/2")


def test_names_and_errors_are_escaped(html: str, tree: Tree) -> None:
    assert HOSTILE in tree.text
    assert not [1 for tag, attributes in tree.elements if "onclick" in attributes]
    assert "<script>alert(1)</script>" in tree.text
    assert [tag for tag, _ in tree.elements].count("script") == 1
    assert "<b onclick" not in html


def test_words(tree: Tree) -> None:
    assert "On which intermediate task should encoder be trained first, before each of 2 targets?" in tree.text
    assert "squad is best." in tree.text
    assert "chosen and scored on the same test data, so P(best) is exploratory" in tree.text
    assert "1 of 4 runs stopped at 1/2" in tree.text
    assert "mnli trains on this target's own training data" in tree.text


def test_the_study_can_be_run_again(folder: Path, tree: Tree) -> None:
    start = tree.text.index("name: small")
    fields = yaml.safe_load(tree.text[start : tree.text.index("Made by raystilts")])
    assert Study.model_validate(fields) == study()
    assert f"raystilts report {folder} -o report.html" in tree.text


def test_drawings_and_tables_say_what_they_are(tree: Tree) -> None:
    tags = [tag for tag, _ in tree.elements]
    images = [attributes for tag, attributes in tree.elements if tag == "svg"]
    told = [one for one in images if one.get("role") == "img"]
    assert len(told) == tags.count("desc") > 0
    assert all("aria-hidden" in one for one in images if one not in told)
    assert tags.count("caption") == tags.count("table")
    assert all("scope" in a or a.get("class") == "plot" for t, a in tree.elements if t == "th")
    assert dict(tree.elements)["html"] == {"lang": "en"}


def test_without_none_the_order_is_left(tmp_path: Path) -> None:
    write_results(tmp_path)
    for file in (*tmp_path.glob("runs/xnli_none*"), *tmp_path.glob("scores/xnli_none*")):
        file.unlink()
    (tmp_path / "study.json").unlink()
    tree = Tree(page(gather(Results(tmp_path))))
    assert tree.problems == []
    assert "Gains over none are not known" in tree.text
    assert "came without a study file" in tree.text
    assert "0.0" not in tree.table("Probability of being")["squad"]["xnli"]
    assert not [caption for caption in tree.tables if caption.startswith("Gain")]


def test_without_times_there_is_no_cost(tmp_path: Path) -> None:
    for arm in ("none", "a", "b"):
        for seed in (0, 1):
            run = run_row(f"{arm}.{seed}", intermediate=arm, seed=seed, seconds=0.0, target="theirs")
            write_attempt(tmp_path, run, score_rows(run, {"en": 0.5 + 0.01 * seed + 0.1 * (arm == "a")}))
    tree = Tree(page(gather(Results(tmp_path))))
    assert "do not say how long runs took" in tree.text
    assert "Cost" not in [one for one in tree.text.split() if one == "Cost"]
    assert not [caption for caption in tree.tables if "by language" in caption or "each language" in caption]


def test_over_all_targets(folder: Path, tree: Tree) -> None:
    found = Results(folder).overall()
    rows = tree.table("Arms that compete in each of udpos and xnli")
    competing = [arm for arm in found.arms if arm.competes]
    assert list(rows) == [arm.label for arm in competing]
    for arm in competing:
        assert rows[arm.label]["mean rank"] == f"{arm.mean_rank:.1f}"
        if arm.intermediate != "none":
            assert rows[arm.label]["gain, scaled"] == f"{arm.scaled_gain:+.2f}".replace("-", "−")
    assert found.by_rank[0] in tree.text


def _table(path: Path, arms: dict[str, tuple[float, float]]) -> Path:
    """A table of runs on two targets."""
    rows = [f"{arm},{target},{seed},{score + 0.01 * seed * (1 + place):.3f}"
            for arm, scores in arms.items() for place, (target, score) in enumerate(zip("xy", scores, strict=True))
            for seed in range(4)]  # fmt: skip
    path.write_text("\n".join(["intermediate,target,seed,accuracy", *rows, ""]))
    return path


def test_an_imported_table_without_a_baseline(tmp_path: Path) -> None:
    arms = {"a": (0.5, 0.6), "b": (0.8, 0.9), "c": (0.7, 0.7)}
    import_table(_table(tmp_path / "theirs.csv", arms), tmp_path / "results")
    tree = Tree(page(gather(Results(tmp_path / "results"))))
    assert tree.problems == []
    assert "by score in units of each target the answer is the same" in tree.text
    assert "by gain in units" not in tree.text
    rows = tree.table("Arms that compete in each of x and y")
    assert list(rows["b"])[-1] == "P(highest score, scaled)"
    assert "gain, scaled" not in rows["b"]
    assert "Scores of runs made elsewhere were imported from theirs.csv: an encoder was" in tree.text
    assert "We fine-tuned" not in tree.text
    assert "Degenerate runs" not in tree.text
    assert "Runs that the imported table calls failed" in tree.text
    assert "24 runs imported." in tree.text
    assert "scored on test data." in tree.text
    assert "Run between" not in tree.text
    assert re.search(r"Imported files last changed\s*\d{4}-\d\d-\d\d \d\d:\d\d UTC", tree.text)


def test_an_imported_table_with_a_baseline(tmp_path: Path) -> None:
    arms = {"none": (0.5, 0.6), "b": (0.8, 0.9), "c": (0.7, 0.7)}
    import_table(_table(tmp_path / "theirs.csv", arms), tmp_path / "results")
    tree = Tree(page(gather(Results(tmp_path / "results"))))
    assert "by gain in units of each target the answer is the same" in tree.text
    assert "gains measured on test data." in tree.text
    assert "gain, scaled" in tree.table("Arms that compete in each of x and y")["b"]


def test_two_criteria_that_lead_elsewhere_are_both_told(tmp_path: Path) -> None:
    import_table(_table(tmp_path / "t.csv", {"a": (0.5, 0.6), "b": (0.8, 0.9)}), tmp_path / "results")
    found = Results(tmp_path / "results").overall()
    assert "the answer is the same" in _words(replace(found, by_rank=("a", "b"), by_gain=("a", "b")))
    told = _words(replace(found, by_rank=("a", "b"), by_gain=("b", "a")))
    assert told.endswith("By score in units of each target: b and a are not told apart.")


def test_arms_with_several_settings_have_names_of_their_own(tmp_path: Path) -> None:
    for rate in ("1e-05", "2e-05"):
        for seed in (0, 1):
            run = run_row(f"a.{rate}.{seed}", intermediate="a", intermediate_fraction=1.0, seed=seed,
                          hyperparameters=f'{{"learning_rate": {rate}, "epochs": 3}}')  # fmt: skip
            write_attempt(tmp_path, run, score_rows(run, {"en": 0.5 + 0.1 * (rate == "2e-05") + 0.01 * seed}))
    rows = Tree(page(gather(Results(tmp_path)))).table("Arms for xnli")
    assert rows.keys() == {"a (learning_rate=1e-05)", "a (learning_rate=2e-05)"}
    assert rows["a (learning_rate=2e-05)"]["mean"] == "60.5"
