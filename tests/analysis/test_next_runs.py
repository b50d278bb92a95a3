from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from results.rows import run_row, score_rows

from raystilts.analysis.next_runs import Need, StageTimes, duration, grid_study, next_runs, study_text, write_studies
from raystilts.errors import UserError
from raystilts.planning.resolve import load_study
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results
from raystilts.study.schema import Study

#: Dev and test score of each arm on each target, whether it is close to the best there or far behind.
SCORES = {
    "cldr_units": {"none": 0.50, "snli": 0.60, "squad": 0.617, "mnli": 0.40},  # two are close
    "cldr_dates": {"none": 0.50, "snli": 0.90, "squad": 0.60, "mnli": 0.40},  # decided
    "cldr_names": {"none": 0.50, "snli": 0.60, "squad": 0.60, "mnli": 0.40},  # a tie
}
SECONDS = {"none": 10.0, "snli": 20.0, "squad": 30.0, "mnli": 40.0}
PATTERN = np.array([[1, -1, 0], [-1, 0, 1], [0, 1, -1], [1, 0, -1]]) * 0.01


def write_folder(folder: Path, seeds: int = 3) -> Results:
    results = folder / "open"
    for i, (arm, seconds) in enumerate(SECONDS.items()):
        fraction = None if arm == "none" else 1.0
        for seed in range(seeds):
            if arm != "none":
                stage = run_row(f"{arm}.{seed}", kind="intermediate", intermediate=arm, intermediate_fraction=1.0,
                                target=None, target_fraction=None, seed=seed, seconds=100.0)  # fmt: skip
                write_attempt(results, stage, [])
            for target, scores in SCORES.items():
                run = run_row(f"{target}.{arm}.{seed}", intermediate=arm, intermediate_fraction=fraction, seed=seed,
                              target=target, seconds=seconds)  # fmt: skip
                value = scores[arm] + PATTERN[i, seed]
                rows = score_rows(run, {"en": value}) + score_rows(run, {"en": value}, split="dev")
                write_attempt(results, run, rows)
    study = Study.model_validate({
        "name": "open",
        "intermediates": ["none", "snli", "squad", "mnli"],
        "targets": [{"task": target, "languages": ["en"]} for target in SCORES],
        "seeds": list(range(seeds)),
        "schedule": {"asha": {}},
        "hyperparameters": {"tasks": {"mnli": {"learning_rate": 1e-5}}},
    })  # fmt: skip
    (results / "study.json").write_text(study.model_dump_json())
    return Results(results)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return write_folder(tmp_path)


def test_only_what_settles_an_open_target_is_asked_for(results: Results) -> None:
    found = next_runs(results)
    assert found.settled == ("cldr_dates",)
    [(tie, reason)] = found.hopeless
    assert tie == "cldr_names"
    assert "16 more seeds would decide with probability" in reason
    [need] = found.needs
    assert (need.target, sorted(need.arms)) == ("cldr_units", ["snli", "squad"])
    assert need.seeds == tuple(range(3, 3 + len(need.seeds)))
    assert need.probability is not None
    assert need.probability >= 0.8
    [grid] = found.grids
    # two intermediates, their targets and the baseline, a seed
    assert grid.runs == 5 * len(need.seeds)
    assert grid.seconds == len(need.seeds) * (100 + 100 + 20 + 30 + 10)


def test_a_higher_probability_needs_more_seeds(results: Results) -> None:
    few, many = (next_runs(results, probability=p, max_seeds=64).needs[0] for p in (0.3, 0.9))
    assert len(few.seeds) < len(many.seeds)


def test_the_file_is_a_study_of_the_same_results(results: Results, tmp_path: Path) -> None:
    found = next_runs(results)
    [path] = write_studies(found, tmp_path / "next.yaml", results.folder.url)
    study = load_study(path)
    assert study == grid_study(found, found.grids[0], results.folder.url)
    assert (study.name, study.storage_path) == ("open", str(tmp_path))
    assert [arm.label for arm in study.intermediates] == ["none", "snli", "squad"]
    assert [target.task for target in study.targets] == ["cldr_units"]
    assert (study.seeds, study.schedule) == (found.needs[0].seeds, "full")
    old = results.study()
    assert old is not None
    assert study.targets[0].languages == ("en",)
    assert old.hyperparameters.tasks.keys() == {"mnli"}
    assert not study.hyperparameters.tasks, "it trains no mnli"
    text = study_text(found, found.grids[0], study)
    assert text.startswith("# What would settle cldr_units: ")
    assert max(len(line) for line in text.splitlines() if line.startswith("#")) <= 82


def test_one_seed_asks_for_a_second_of_every_arm(tmp_path: Path) -> None:
    found = next_runs(write_folder(tmp_path, seeds=1))
    assert [(need.seeds, need.probability) for need in found.needs] == [((1,), None)] * 3
    [grid] = found.grids
    assert set(grid.arms) == {"snli", "squad", "mnli"}
    assert set(grid.targets) == set(SCORES)
    # the intermediates once, then every arm and none on each target
    assert grid.seconds == 300 + 3 * (10 + 20 + 30 + 40)


def test_what_is_there_or_asked_for_already_costs_nothing() -> None:
    runs = pd.DataFrame(
        [("squad", 1.0, None, None, 0, "finished", 100.0, 1.0), ("squad", 1.0, None, None, 3, "finished", 120.0, 0.5),
         ("squad", 1.0, "xnli", 1.0, 0, "finished", 10.0, 1.0), ("snli", 0.5, "xnli", 1.0, 0, "finished", 99.0, 1.0),
         ("none", None, "xnli", 1.0, 0, "stopped", 1.0, 1.0)],
        columns=["intermediate", "intermediate_fraction", "target", "target_fraction", "seed", "status", "seconds",
                 "device_share"],
    )  # fmt: skip
    times = StageTimes.of(runs, 1.0)
    first, second = Need("xnli", 1.0, ("squad",), (3, 4), None), Need("pawsx", 1.0, ("squad",), (4,), None)
    # seed 3's intermediate is there; medians: squad 80 (100 and 60), its xnli 10, and 10 for none too
    assert times.seconds_of([first]) == (80 + 2 * 10 + 2 * 10, 5)
    both = times.seconds_of([first, second])
    # of a target that was never run, the median of all targets' and intermediates' stages
    assert both == (120 + 2 * 60, 7)
    assert times.after([first]).seconds_of([second]) == (120, 2)
    assert times.used_seeds("xnli", 1.0, ["squad"]) == {0}
    retrieval = Need("tatoeba", None, ("squad",), (3,), None)
    assert times.seconds_of([retrieval])[1] == 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"probability": 1.0}, "--probability 1"), ({"max_seeds": 0}, "--max-seeds 0: must be at least 1")],
)
def test_bad_input(results: Results, asked: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        next_runs(results, **asked)  # type: ignore[arg-type]


def test_tables_without_a_study_cannot_be_run_again(results: Results, tmp_path: Path) -> None:
    (tmp_path / "open" / "study.json").unlink()
    with pytest.raises(UserError, match=r"holds no study\.json"):
        next_runs(results)


@pytest.mark.parametrize(("seconds", "words"), [(39.4, "39 s"), (90.0, "1.5 min"), (7200.0, "2.0 h")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_merge_is_asked_for_with_its_members(results: Results) -> None:
    """`snli` as a merge of two far worse arms: more seeds of it need more seeds of these."""
    path = Path(results.folder.url) / "study.json"
    study = Study.model_validate_json(path.read_text())
    arms = ["none", {"merge": ["mnli", "squad"], "name": "snli", "method": "ties"}, "squad", "mnli"]
    changed = Study.model_validate(study.model_dump(mode="json") | {"intermediates": arms})
    path.write_text(changed.model_dump_json())
    found = next_runs(results)
    needs = [need for need in found.needs if "snli" in need.arms]
    assert needs
    assert all({"mnli", "squad"} <= set(need.arms) for need in needs)
    grid = next(grid for grid in found.grids if "snli" in grid.arms)
    text = study_text(found, grid, grid_study(found, grid, "out/open"))
    assert "- merge:\n  - mnli\n  - squad\n  method: ties\n  name: snli\n" in text
    assert {"mnli", "squad", "snli"} <= {arm.label for arm in grid_study(found, grid, "out/open").intermediates}
