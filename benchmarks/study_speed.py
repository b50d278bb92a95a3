"""A whole study beside the same cells as a loop of Trainer scripts, one process after the other.

    python benchmarks/study_speed.py search_spaces/quickstart.yaml
    RAYSTILTS_DATA_DIR=DATA python benchmarks/study_speed.py search_spaces/xtreme_small.yaml \
      --set encoder.model_name_or_path=E5_SMALL --set 'intermediates=[none, mnli]' --set 'seeds=[0]' ...

The loop is what published recipes do: for each cell a process that trains the intermediate, then a process that trains
the target from its checkpoint and scores each language (`plain_cell.py`). It runs alone, with all threads. raystilts is
the command `raystilts run`, with everything from the start of Ray to the printed answer, on an empty cache. The loop is
run on a sample of the cells, as many with and without intermediate in each target as `--sample` says, half of it before
raystilts and half after; its total is the sum over the groups of their mean times their number of cells. The scripts
look at dev data when stages do it, and score the same sets. What that takes beyond English dev and test data at the
end, all that some recipes look at, is left out of a second pair of ratios. Prints wall time and device seconds (the
time that the stages of either side hold a CPU core, their threads counted), the ratios, and the mean scores of both
sides on the sampled cells.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from time import perf_counter

import numpy as np
from machine import machine_line
from plain_cell import Step
from transformers import AutoConfig

from raystilts import Results, Study
from raystilts.planning.cells import Cell
from raystilts.planning.data import data_folder, dev_languages
from raystilts.planning.encoders import describe_encoder
from raystilts.planning.resolve import load_study, resolve
from raystilts.planning.stages import plan
from raystilts.tasks.registry import get_task

#: A target, and whether the cell has an intermediate.
Group = tuple[str, bool]


@dataclass(slots=True)
class Loop:
    """What the loop of scripts took.

    Attributes:
        seconds: Of each sampled cell, by group.
        beyond: Those of them that are of looks in the middle, and of dev data that is not English.
        scores: Mean main score on test of each sampled cell.
    """

    seconds: dict[Group, list[float]] = field(default_factory=lambda: defaultdict(list))
    beyond: dict[Group, list[float]] = field(default_factory=lambda: defaultdict(list))
    scores: dict[Cell, float] = field(default_factory=dict)

    def total(self, cells: list[Cell]) -> float:
        """Seconds of all cells."""
        return sum(mean(self.seconds[group_of(cell)]) for cell in cells)

    def total_beyond(self, cells: list[Cell]) -> float:
        """Those of them that some recipes do without."""
        return sum(mean(self.beyond[group_of(cell)]) for cell in cells)


def group_of(cell: Cell) -> Group:
    """Cells of a group take about the same time."""
    return cell.target, cell.intermediate != "none"


def sampled(cells: list[Cell], number: int) -> list[Cell]:
    """So many cells of each group (all, where `number` is 0), in random order."""
    rng = np.random.default_rng(0)
    groups: dict[Group, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[group_of(cell)].append(cell)
    found = []
    for own in groups.values():
        order = rng.permutation(len(own))[: number or len(own)]
        found += [own[i] for i in order]
    return [found[i] for i in rng.permutation(len(found))]


def steps_of(study: Study, cell: Cell, folder: Path) -> list[Step]:
    """The processes of a cell."""
    encoder, data = describe_encoder(study.encoder).location, data_folder(study)
    common = {
        "seed": cell.seed or 0,
        "data": None if data is None else str(data),
        "layer": study.encoder.sentence_layer(AutoConfig.from_pretrained(encoder).num_hidden_layers),
        "pooling": study.encoder.pooling,
        "eval_steps": study.evaluation.eval_steps,
        "seen": (study.evaluation.max_dev_samples, study.evaluation.max_test_samples),
    }

    def step(start: str, task: str, fraction: float | None, save: str | None, languages: tuple[str, ...]) -> Step:
        hp = study.hyperparameters.resolve(task).model_dump()
        dev = dev_languages(get_task(task), languages)
        return Step(start=start, task=task, fraction=fraction or 1.0, hyperparameters=hp, save=save, dev_languages=dev,
                    languages=languages, **common)  # type: ignore[arg-type]  # fmt: skip

    languages = next(one.languages for one in resolve(study).targets if one.task.name == cell.target)
    if cell.intermediate == "none":
        return [step(encoder, cell.target, cell.target_fraction, None, languages)]
    checkpoint = str(folder / "intermediate")
    return [
        step(encoder, cell.intermediate, cell.intermediate_fraction, checkpoint, ()),
        step(checkpoint, cell.target, cell.target_fraction, None, languages),
    ]


def run_cell(study: Study, cell: Cell, threads: int, loop: Loop) -> None:
    """The processes of a cell, one after the other."""
    folder = Path(tempfile.mkdtemp(prefix="plain-cell-"))
    script = Path(__file__).with_name("plain_cell.py")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    begin, beyond, answer = perf_counter(), 0.0, {}
    for step in steps_of(study, cell, folder):
        job = folder / "job.json"
        job.write_text(json.dumps(asdict(step)), encoding="utf-8")
        command = [sys.executable, str(script), str(job), str(threads)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        answer = json.loads(done.splitlines()[-1])
        beyond += answer["beyond"]
    loop.seconds[group_of(cell)].append(perf_counter() - begin)
    loop.beyond[group_of(cell)].append(beyond)
    loop.scores[cell] = mean(value for name, value in answer["scores"].items() if name.startswith("test/"))
    shutil.rmtree(folder, ignore_errors=True)


def run_raystilts(file: str, assignments: list[str], storage: Path) -> float:
    """Seconds of the whole command."""
    command = ["raystilts", "run", file, "--storage-path", str(storage)]
    for one in assignments:
        command += ["--set", one]
    cache = tempfile.mkdtemp(prefix="cache-")
    environment = {**os.environ, "RAYSTILTS_CACHE_DIR": cache}
    begin = perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    seconds = perf_counter() - begin
    shutil.rmtree(cache, ignore_errors=True)
    return seconds


def our_scores(results: Results, cells: list[Cell]) -> list[float]:
    """Mean main score on test of each cell, as the ledger has it."""
    matrix = results.matrix("score")
    means = matrix[matrix["language"] == "macro"]
    found = []
    for cell in cells:
        rows = means[(means["intermediate"] == cell.intermediate) & (means["target"] == cell.target)]
        if cell.intermediate_fraction is not None:
            rows = rows[rows["intermediate_fraction"] == cell.intermediate_fraction]
        found += [float(value) for value in rows["score"]]
    return found


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", help="a study file")
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--sample", type=int, default=1, help="cells of each group for the loop; 0: all cells")
    parser.add_argument("--threads", type=int, default=2, help="of the loop's processes")
    asked = parser.parse_args()
    study = load_study(asked.study, tuple(asked.assignments))
    cells = list(plan(study).cells)
    chosen, loop = sampled(cells, asked.sample), Loop()
    print(machine_line(asked.threads))
    for cell in chosen[: len(chosen) // 2]:
        run_cell(study, cell, asked.threads, loop)
    storage = Path(tempfile.mkdtemp(prefix="study-speed-"))
    wall = run_raystilts(asked.study, asked.assignments, storage)
    for cell in chosen[len(chosen) // 2 :]:
        run_cell(study, cell, asked.threads, loop)
    results = Results(storage / study.name)
    runs = results.runs()
    device = float(runs["seconds"].sum()) * study.resources.cpus
    plain = loop.total(cells)
    processes = sum(len(steps_of(study, cell, storage)) for cell in cells)
    print(f"{study.name}: {len(cells)} cells, {len(runs)} stages; as scripts {processes} processes, "
          f"{len(chosen)} cells of them run\n")  # fmt: skip
    print("|what|raystilts|loop of scripts|ratio|\n|---|---|---|---|")
    less = plain - loop.total_beyond(cells)
    for what, total in (("", plain), ("; scripts without looks, English dev alone", less)):
        both = total * asked.threads
        print(f"|wall time{what}|{wall:.0f} s|{total:.0f} s|{total / wall:.1f}|")
        print(f"|CPU core seconds held by stages or processes{what}|{device:.0f} s|{both:.0f} s|{both / device:.1f}|")
    print("|GPU|||||\n")
    for group, seconds in sorted(loop.seconds.items()):
        number = sum(group_of(cell) == group for cell in cells)
        name = f"{group[0]}, {'with' if group[1] else 'without'} intermediate"
        print(f"{name}: {mean(seconds):.1f} s a cell (of {len(seconds)}), {number} cells")
    tasks = {target.task for target in study.targets if get_task(target.task).requires_training}
    trained = [cell for cell in chosen if cell.target in tasks]
    print(f"mean test score of the sampled trained cells: scripts {mean(loop.scores[c] for c in trained):.3f}, "
          f"raystilts (all their seeds) {mean(our_scores(results, trained)):.3f}")  # fmt: skip
    shutil.rmtree(storage, ignore_errors=True)


if __name__ == "__main__":
    main()
