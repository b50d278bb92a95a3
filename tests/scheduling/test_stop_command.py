"""`raystilts stop`: the driver of a results folder gets a signal, from another process, as by Ctrl-C."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.scheduling.lock import LOCAL_OWNER, driver_lock, stop_driver

DRIVER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from raystilts.errors import Stopped
from raystilts.scheduling.lock import driver_lock
from raystilts.scheduling.stopping import stoppable
try:
    with stoppable(), driver_lock(sys.argv[1]):
        print("ready", flush=True)
        time.sleep(60)
except Stopped as stop:
    sys.exit(128 + stop.signum)
"""


def test_a_run_ends_as_by_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert stop_driver(str(tmp_path)) == process.pid
        assert process.wait(30) == 130
    with pytest.raises(UserError, match="nothing to stop"):
        stop_driver(str(tmp_path))


def test_what_a_killed_run_leaves_is_no_run(tmp_path: Path) -> None:
    (tmp_path / LOCAL_OWNER).write_text(json.dumps({"host": "x", "pid": 1, "processes": None}))
    with pytest.raises(UserError, match="nothing to stop"):
        stop_driver(str(tmp_path))


def test_a_run_on_another_machine_is_named(tmp_path: Path) -> None:
    with driver_lock(str(tmp_path)):
        (tmp_path / LOCAL_OWNER).write_text(json.dumps({"host": "node7", "pid": 12, "processes": "other"}))
        with pytest.raises(UserError, match="process 12 on node7"):
            stop_driver(str(tmp_path))
