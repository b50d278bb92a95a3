"""Every way to end a run from outside: real processes, really ended."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest
from rich.console import Console

from raystilts.errors import Stopped
from raystilts.planning.resolve import resolve
from raystilts.results.ledger import Ledger
from raystilts.scheduling.announce import Steps
from raystilts.scheduling.driver import Driver, Job, _Fitting
from raystilts.scheduling.lock import HeldLock
from raystilts.scheduling.searchers import StageSearch
from raystilts.scheduling.stopping import SIGNALS, stoppable
from raystilts.study.schema import Study
from raystilts.training.checkpoints import Checkpoints

from .here import run_here, tables
from .runs import Run, run
from .test_graph import graph, stage

#: Stages of some seconds each, so that signals come in the middle of one.
LONG = """
name: long
intermediates: [none, cldr_names]
targets: [{task: cldr_units, languages: [en]}, {task: cldr_match, languages: [de]}]
seeds: [0]
hyperparameters: {num_train_epochs: 60, max_train_samples: 32, per_device_train_batch_size: 8}
evaluation: {eval_steps: 0.5, max_dev_samples: 16, max_test_samples: 16}
"""


@pytest.fixture(autouse=True)
def _sigint_is_heard() -> Iterator[None]:
    """A shell starts what runs in its background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_is_raised_and_the_handlers_come_back() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with pytest.raises(Stopped) as found, stoppable():  # noqa: PT012 (the signal comes in the middle)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert found.value.signum == signal.SIGTERM
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


class Swallows:
    """Python drops what is raised inside a destructor."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_is_swallowed_is_raised_at_the_next_check() -> None:
    with pytest.raises(Stopped), stoppable() as stop:  # noqa: PT012
        swallows = Swallows()
        del swallows
        stop.check()


def test_nothing_is_raised_while_it_is_put_off() -> None:
    seen = []
    with pytest.raises(Stopped), stoppable() as stop, stop.deferred():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.1)
        seen.append(stop.signum)
    assert seen == [signal.SIGUSR1]


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_keeps_its_number_where_a_library_raises_an_interrupt_of_its_own() -> None:
    """As Ray's calls do, in the middle of which a signal comes."""
    code = (
        "import os, signal, time\n"
        "from raystilts.cli.common import messages\n"
        "from raystilts.cli.run import _interruptible\n"
        "with _interruptible(messages()):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGUSR1)\n"
        "        time.sleep(10)\n"
        "    except KeyboardInterrupt:\n"
        "        raise KeyboardInterrupt from None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGUSR1
    assert "Stopped (SIGUSR1)" in done.stderr


class Waiting:
    """A search and a view as far as a driver that stops uses them."""

    def __init__(self) -> None:
        self.state = "running"
        self.stopped = threading.Event()

    def stop(self, reason: str) -> None:
        self.stopped.set()


def watched(work: Callable[[threading.Event], object], tmp_path: Path) -> tuple[Waiting, float]:
    """Lets a driver watch work that a signal ends; returns what it said, and the seconds from the signal on."""
    one, study = Waiting(), resolve(Study(name="s", intermediates=["none"], targets=["cldr_units"], seeds=[0]))
    begun = time.monotonic()
    with pytest.raises(Stopped) as found, stoppable() as stop:  # noqa: PT012 (the signal comes in the middle)
        parts = str(tmp_path), Checkpoints(tmp_path), Console(), None, HeldLock(), stop, Steps(Console())
        driver = Driver(study, *parts)
        fitting = _Fitting(partial(work, one.stopped))
        fitting.start()
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        driver._watch(fitting, cast("Job", SimpleNamespace(search=one, view=one)), "run")
    assert found.value.signum == signal.SIGTERM
    assert one.state == "stopped"
    return one, time.monotonic() - begun - 0.3


def test_a_driver_that_is_stopped_waits_for_what_runs(tmp_path: Path) -> None:
    ended = threading.Event()

    def snapshot(asked: threading.Event) -> None:
        asked.wait(60)
        time.sleep(0.5)
        ended.set()

    _, seconds = watched(snapshot, tmp_path)
    assert ended.is_set()
    assert seconds > 0.4


def test_a_driver_that_is_stopped_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raystilts.scheduling.driver.SNAPSHOT_SECONDS", 0.5)
    release = threading.Event()
    watched(lambda asked: release.wait(60), tmp_path)
    release.set()


def test_what_a_stop_cuts_short_has_not_failed() -> None:
    one = StageSearch(graph(stage("p"), stage("a", "p"), stage("q")))
    for trial in ("1", "2"):
        assert isinstance(one.suggest(trial), dict)
    one.stop("the run was asked to stop")
    one.on_trial_complete("1", {"status": "interrupted"})
    one.on_trial_complete("2", error=True)
    assert (one.lost, one.graph.counts["failed"], one.suggest("3")) == ([], 0, "FINISHED")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_signal_ends_a_run_alike_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    run_here(Study.from_file(tmp_path / "long.yaml", (f"storage_path={tmp_path / 'calm'}",)))
    results, snapshots = tmp_path / "ended" / "long", 0
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT):
        with Run(tmp_path, ["run", "long.yaml", "--storage-path", "ended"]) as one:
            one.until_running(results)
            time.sleep(2)
            os.kill(one.process.pid, number)
            assert one.wait(120) == 128 + number, one.err
            ended = time.monotonic()
            while one.processes():
                assert time.monotonic() - ended < 30, "workers are still there"
                time.sleep(0.2)
            assert not re.search(r"Traceback|\*\*\*|@ +0x", one.err), one.err
            *_, words, command = one.err.strip().splitlines()
            assert words.startswith(f"Stopped ({number.name}). What has finished is kept")
            assert shlex.split(command) == ["raystilts", "run", "long.yaml", "--storage-path", "ended"]
            found = json.loads((results / "progress.json").read_text())
            assert (found["state"], found["host"], found["pid"]) == ("stopped", socket.gethostname(), one.process.pid)
            assert found["failed"] == 0
            snapshots += len(list((tmp_path / "ended" / "checkpoints" / "in_progress").glob("[!.]*")))
    assert snapshots > 0, "what ran has kept a snapshot, long before one was due"
    again = run(tmp_path, "run", "long.yaml", "--storage-path", "ended")
    assert again.code == 0, again.err
    assert json.loads((results / "progress.json").read_text())["state"] == "ended"
    assert {row.status for row in Ledger(results).rows()} == {"finished"}
    for name, table in tables(tmp_path / "calm" / "long").items():
        pd.testing.assert_frame_equal(table, tables(results)[name], check_exact=True, obj=name)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_end_of_the_head_process_is_said(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    with Run(tmp_path, ["run", "long.yaml", "--storage-path", "out"]) as one:
        one.until_running(tmp_path / "out" / "long")
        [head] = [pid for pid in one.processes() if b"gcs_server" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(head, signal.SIGKILL)
        assert one.wait(120) == 1, one.err
        *_, words, command = one.err.strip().splitlines()
        assert words.startswith("Stopped: the head process of the Ray cluster (GCS) is gone. What has finished is kept")
        assert shlex.split(command) == ["raystilts", "run", "long.yaml", "--storage-path", "out"]
    again = run(tmp_path, "run", "long.yaml", "--storage-path", "out")
    assert again.code == 0, again.err


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_where_no_cluster_answers_is_a_line_within_30_seconds(tmp_path: Path, listens: bool) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        if listens:
            place.listen()
        address = f"127.0.0.1:{place.getsockname()[1]}"
        begun = time.monotonic()
        found = run(tmp_path, "run", "long.yaml", "--storage-path", "out", "--address", address)
    assert found.code == 2, found.err
    assert found.err.strip().splitlines()[-1].startswith(f"raystilts: --address {address}: no Ray cluster answers (")
    assert "Traceback" not in found.err
    assert sum(not line.startswith(("raystilts: reading", "[")) for line in found.err.splitlines()) <= 2, found.err
    assert time.monotonic() - begun < 60, "of which a slow machine takes some to import"
    assert not (tmp_path / "out" / "long" / "runs").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_that_wants_a_token_is_told_apart_from_none(tmp_path: Path) -> None:
    folder = tempfile.TemporaryDirectory(dir="/tmp", prefix="rs-", ignore_cleanup_errors=True)  # for sockets
    (tmp_path / "long.yaml").write_text(LONG)
    ray = Path(sys.executable).with_name("ray")
    head = os.environ | {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token", "RAY_TMPDIR": folder.name}
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    started = subprocess.Popen(
        [ray, "start", "--head", "--block", f"--port={port}", "--num-cpus=1", "--include-dashboard=false",
         "--node-ip-address=127.0.0.1"],
        env=head, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(1)
        found = run(tmp_path, "run", "long.yaml", "--storage-path", "out", "--address", f"127.0.0.1:{port}")
        assert found.code == 2, found.err
        line = found.err.strip().splitlines()[-1]
        assert line.startswith(f"raystilts: --address 127.0.0.1:{port}: this Ray cluster wants a token")
        assert "RAY_AUTH_MODE=token" in line
        assert sum(not line.startswith(("raystilts: reading", "[")) for line in found.err.splitlines()) <= 2, found.err
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(60)
        folder.cleanup()
