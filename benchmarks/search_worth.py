"""Is a hyperparameter search worth its price? Three measurements on real data.

  python benchmarks/search_worth.py table --data-dir DIR --out FOLDER
      trains every combination of a finite space once, for three tasks (goes on where it was stopped)
  python benchmarks/search_worth.py replay --out FOLDER
      TPE against random search, with and without ASHA, on the recorded curves; nothing is trained
  python benchmarks/search_worth.py heldout --results SEARCH
      trains with the chosen values and with the study's own, on seeds that the search has not seen
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from raystilts.planning.stages import plan
from raystilts.results.results import Results
from raystilts.scheduling.run import run
from raystilts.scheduling.run_search import run_search
from raystilts.scheduling.trial_board import TrialBoard
from raystilts.study.schema import Study
from raystilts.tuning.trials import Unit, trial_stages, units

Curves = Mapping[Unit, Mapping[str, Mapping[float, float]]]
SPACE: dict[str, Any] = {
    "learning_rate": {"choice": [3e-5, 1e-4, 3e-4, 1e-3, 3e-3]},
    "head_learning_rate": {"choice": [1e-3, 5e-3, 2e-2]},
    "per_device_train_batch_size": {"choice": [8, 32]},
}
SHARES = (0.25, 0.5, 1.0)


def table_study(arguments: argparse.Namespace, **search: Any) -> Study:
    """Every combination of `SPACE`, for an intermediate and two targets."""
    return Study.model_validate(
        {
            "name": "tuning_table",
            "intermediates": ["none", "panx"],
            "targets": [{"task": "sib200", "languages": ["en"]}, {"task": "udpos", "languages": ["en"]}],
            "seeds": [0],
            "hyperparameters": {
                "num_train_epochs": 1,
                "tasks": {"panx": {"max_train_samples": 320}, "udpos": {"max_train_samples": 256}},
            },
            "evaluation": {"eval_steps": 0.25, "max_dev_samples": 100, "max_test_samples": 10},
            "data_dir": arguments.data_dir,
            "storage_path": arguments.out,
            "search": {"space": SPACE, "sampler": "grid", "num_samples": 30} | search,
        }
    )


def recorded(study: Study, out: str) -> Curves:
    """Dev score of every combination at each share, by unit."""
    frame = Results(f"{out}/{study.name}").dev_curves()
    frame = frame[frame["is_main"] & (frame["language"] == "en")]
    columns = (frame["stage"].tolist(), frame["step"].tolist(), frame["value"].tolist())
    points: dict[tuple[str, int], float] = {(stage, step): value for stage, step, value in zip(*columns, strict=True)}
    found: dict[Unit, dict[str, dict[float, float]]] = {}
    for unit in units(study):
        found[unit] = {}
        combinations = TrialBoard(study, [unit], {})
        while (work := combinations.take()) is not None:
            combinations.end(work, 1.0, 0.0)
            stage = trial_stages(study, unit, work.values)[-1]
            steps = {share: study.evaluation.rung(share, stage.steps) for share in SHARES}
            found[unit][work.trial] = {share: points[stage.key, step] for share, step in steps.items()}
    return found


def replay(study: Study, curves: Curves, unit: Unit) -> tuple[float, float]:
    """One search on the recorded curves: the best final score it finds, and the share of a full search's compute."""
    board = TrialBoard(study, [unit], {})
    reached: dict[str, float] = {}
    best = 0.0
    while (work := board.take()) is not None:
        score = curves[unit][work.trial][work.until]
        reached[work.trial] = work.until
        if work.until == 1.0:
            best = max(best, score)
        board.end(work, work.until, score)
    return best, sum(reached.values()) / len(reached)


def compare(arguments: argparse.Namespace) -> None:
    """Prints the table of samplers and schedules."""
    table = table_study(arguments)
    curves = recorded(table, arguments.out)
    print(f"{arguments.trials} trials of 30 combinations, {arguments.repetitions} repetitions; score on dev in points")
    print(f"{'task':8} {'sampler':8} {'schedule':9} {'best found':>11} {'best there':>11} {'regret':>7} {'compute':>8}")
    for unit in units(table):
        there = max(curve[1.0] for curve in curves[unit].values())
        for sampler in ("random", "tpe"):
            for schedule in ("full", {"asha": {"grace_period": 0.25, "reduction_factor": 2}}):
                runs = []
                for seed in range(arguments.repetitions):
                    search = {"sampler": sampler, "seed": seed, "schedule": schedule, "num_samples": arguments.trials}
                    runs.append(replay(table_study(arguments, **search), curves, unit))
                best = statistics.mean(score for score, _ in runs)
                name = schedule if isinstance(schedule, str) else "asha"
                share = statistics.mean(share for _, share in runs)
                print(
                    f"{unit.name:8} {sampler:8} {name:9} {100 * best:11.2f} {100 * there:11.2f} "
                    f"{100 * (there - best):7.2f} {share:8.2f}"
                )


def heldout(arguments: argparse.Namespace) -> None:
    """Trains the targets and intermediates with the chosen and the study's own values, on other seeds."""
    searched = Results(arguments.results).study()
    assert searched is not None
    chosen = f"{arguments.results}/hyperparameters.yaml"
    own = searched.hyperparameters.model_dump(exclude_unset=True, exclude_none=True)
    seeds = tuple(range(1, 1 + arguments.seeds))
    scores: dict[str, dict[str, list[float]]] = {}
    for name, hyperparameters in {"own": own, "chosen": own | {"from": chosen}}.items():
        study = Study.model_validate(
            searched.model_dump(exclude={"search", "hyperparameters", "seeds", "name"})
            | {"name": f"heldout_{name}", "seeds": seeds, "hyperparameters": _without(hyperparameters, name)}
        )
        run(study)
        for stage, values in _finals(study).items():
            scores.setdefault(stage, {})[name] = values
    print(f"seeds {seeds[0]} to {seeds[-1]}; score on dev in points")
    print(f"{'task':10} {'own values':>12} {'chosen':>12} {'difference':>22}")
    for stage, both in scores.items():
        difference = np.array(both["chosen"]) - np.array(both["own"])
        error = difference.std(ddof=1) / len(difference) ** 0.5
        print(
            f"{stage:10} {100 * statistics.mean(both['own']):12.1f} {100 * statistics.mean(both['chosen']):12.1f} "
            f"{100 * difference.mean():+14.1f} ± {100 * error:.1f} (se)"
        )


def _without(hyperparameters: dict[str, Any], name: str) -> dict[str, Any]:
    """For the chosen values, the study's own must not stand above those of the file."""
    if name == "own":
        return hyperparameters
    return {key: value for key, value in hyperparameters.items() if key != "tuned_for"}


def _finals(study: Study) -> dict[str, list[float]]:
    """Final English dev scores by what was trained, in the order of seeds: targets after `none`, and intermediates."""
    frame = Results(f"{study.storage_path}/{study.name}", stages=plan(study).stages).scores()
    frame = frame[frame["is_final"] & frame["is_main"] & (frame["split"] == "dev") & (frame["language"] == "en")]
    frame = frame[(frame["kind"] == "intermediate") | (frame["intermediate"] == "none")].sort_values("seed")
    return {str(name): list(rows["value"]) for name, rows in frame.groupby("target")}


def main() -> None:
    """Runs one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table", "replay", "heldout"))
    parser.add_argument("--data-dir", help="folder <dataset>/<language>/<split>.parquet")
    parser.add_argument("--out", default="tuning_benchmark", help="folder of the recorded table")
    parser.add_argument("--results", help="results folder of a search")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    arguments.out = str(Path(arguments.out).absolute())
    if arguments.what == "table":
        run_search(table_study(arguments))
    elif arguments.what == "replay":
        trained = Results(f"{arguments.out}/tuning_table").study()
        assert trained is not None
        arguments.data_dir = trained.data_dir
        compare(arguments)
    else:
        heldout(arguments)


if __name__ == "__main__":
    main()
