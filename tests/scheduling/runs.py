"""The command line as processes: started, watched, killed with all that they started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from raystilts.results.ledger import Ledger

#: Ctrl-C works as in a terminal, also where the tests themselves were started by `&`, which hides it from a process.
_SIGNALS = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "signal.signal(signal.SIGHUP, signal.SIG_DFL); "  # which `nohup` has ignored
)
#: As where no tracker is installed: Tune imports them in each run, where one callback of our own is there
#: (findings/ray_tune_imports_trackers.sh).
_NO_TRACKERS = "import sys; sys.modules.update(dict.fromkeys(('wandb', 'mlflow'))); "
_SCRIPT = "from raystilts.cli import script; script()"

STUDY = """
name: small
intermediates: [none, cldr_names]
intermediate_fractions: [0.5, 1.0]
targets:
  - {task: cldr_units, languages: [en, de]}
  - {task: cldr_match, languages: [de]}
seeds: [0, 1]
hyperparameters: {learning_rate: 5e-4, num_train_epochs: 1, max_train_samples: 32, per_device_train_batch_size: 8}
evaluation: {eval_steps: 0.5, max_dev_samples: 16, max_test_samples: 16}
"""


class Run:
    """One run of the command line in a process group of its own.

    Args:
        path: A folder of modules that it finds.
        trackers: Whether it finds the trackers that are installed.
    """

    def __init__(
        self, folder: Path, arguments: Sequence[str], *, path: Path | None = None, trackers: bool = False
    ) -> None:
        self._mark = uuid.uuid4().hex
        self._files = [(folder / f"{self._mark}.{name}").open("w+") for name in ("out", "err")]
        environment = os.environ | {
            "RAYSTILTS_CACHE_DIR": str(folder / "cache"),
            "RAYSTILTS_TEST_RUN": self._mark,
            "OMP_NUM_THREADS": "1",
            "RAY_worker_niceness": "0",
            "PYTHONPATH": f"{path or ''}:{os.environ.get('PYTHONPATH', '')}",
        }
        environment.pop("RAYSTILTS_DATA_DIR", None)
        program = _SIGNALS + ("" if trackers else _NO_TRACKERS) + _SCRIPT
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self._files[0], stderr=self._files[1],
        )  # fmt: skip

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait(self, timeout: float = 200) -> int:
        """The exit code."""
        return self.process.wait(timeout)

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        return self.process.returncode

    @property
    def out(self) -> str:
        """Standard output so far."""
        return Path(self._files[0].name).read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return Path(self._files[1].name).read_text()

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to the driver and to every process that it has started."""
        self.process.kill()
        self.process.wait()
        for _ in range(3):  # processes may start others meanwhile
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def processes(self) -> list[int]:
        """The driver and every process that it has started."""
        mark = f"RAYSTILTS_TEST_RUN={self._mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def until_running(self, results: Path, timeout: float = 200) -> None:
        """Waits until a stage runs."""
        end = time.monotonic() + timeout
        while not self._running(results):
            assert self.process.poll() is None, self.err
            assert time.monotonic() < end, self.err
            time.sleep(0.1)

    def _running(self, results: Path) -> bool:
        try:
            found = json.loads((results / "progress.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(found["pid"] == self.process.pid and found["running"])

    def until(self, results: str | Path, number: int, timeout: float = 200, *, attempts: bool = False) -> None:
        """Waits for so many finished stages, or for so many attempts of whatever status."""
        end = time.monotonic() + timeout
        while len(Ledger(results).rows() if attempts else Ledger(results).finished()) < number:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < end, self.err
            time.sleep(0.05 if isinstance(results, Path) else 0.5)


def run(folder: Path, *arguments: str, path: Path | None = None) -> Run:
    """Runs the command line to its end."""
    with Run(folder, arguments, path=path) as one:
        one.wait()
        return one
