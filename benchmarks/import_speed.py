"""Time and memory of `raystilts import`, beside another checkout's, in one run.

    python benchmarks/import_speed.py --base DIR [--rows 66636] [--rounds 3] [--alone 1000000]

Each import is a process of its own, from start to end as a user sees it, builds in turn; the table has three seeds of
each arm and target, with some cells empty. Reported are the least of the rounds, as the machine's other work only ever
adds, and the largest resident set. `--alone` rows are imported by this build only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

_CALL = "import sys; sys.argv[0] = 'raystilts'; from raystilts.cli import script; script()"


def write_table(path: Path, rows: int) -> None:
    """A CSV file of about this many runs, three seeds each, one in twenty without a value."""
    arms, seeds = 61, 3
    targets = -(-rows // (arms * seeds))
    rng = np.random.default_rng(0)
    names = ["none", *(f"task_{i}" for i in range(1, arms))]
    grid = pd.MultiIndex.from_product(
        [names, [f"target_{i}" for i in range(targets)], range(seeds)], names=["intermediate", "target", "seed"]
    )
    frame = grid.to_frame(index=False).head(rows)
    frame["metric"] = "accuracy"
    frame["value"] = rng.normal(70.0, 5.0, len(frame)).clip(0, 100).round(2)
    frame.loc[rng.random(len(frame)) < 0.05, "value"] = np.nan
    frame.to_csv(path, index=False)


def run(build: Path, table: Path, out: Path) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processor, and megabytes of one import."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-c", _CALL, "import", str(table), "--out", str(out)]
    start = time.perf_counter()
    # In a folder without a checkout: Python looks for modules where it is started first.
    environment = os.environ | {"PYTHONPATH": str(build)}
    child = subprocess.Popen(command, env=environment, cwd=out.parent, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{build}: the import has failed")
    unit = 1024.0 if sys.platform != "darwin" else 1024.0 * 1024.0
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base", type=Path, help="another checkout")
    parser.add_argument("--rows", type=int, default=66_636)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=1_000_000, help="rows that this build imports alone; 0 for none")
    options = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    builds = {"this build": here} | ({"base": options.base.resolve()} if options.base else {})
    with tempfile.TemporaryDirectory(prefix="raystilts-") as temporary:
        table = Path(temporary) / "table.csv"
        write_table(table, options.rows)
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in builds}
        for _ in range(options.rounds):
            for name, build in builds.items():
                found[name].append(run(build, table, Path(temporary) / "out"))
        print("| rows | build | seconds | processor seconds | MB |\n|---|---|---|---|---|")
        best = {
            name: (min(s for s, _, _ in own), min(c for _, c, _ in own), max(m for _, _, m in own))
            for name, own in found.items()
        }
        for name, (seconds, processor, memory) in best.items():
            print(f"| {options.rows} | {name} | {seconds:.1f} | {processor:.1f} | {memory:.0f} |")
        if options.alone:
            write_table(table, options.alone)
            seconds, processor, memory = run(here, table, Path(temporary) / "out")
            print(f"| {options.alone} | this build | {seconds:.1f} | {processor:.1f} | {memory:.0f} |")
        if "base" in best:
            mine, base = best["this build"], best["base"]
            names = ("time", "processor", "memory")
            ratios = [f"{name} {b / m:.2f}" for name, b, m in zip(names, base, mine, strict=True)]
            print(f"\nbase / this build: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
