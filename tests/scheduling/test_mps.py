"""MPS without a GPU: NVIDIA's control program is played by a script that keeps to its commands and exit codes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raystilts.scheduling.mps import CONTROL
from raystilts.scheduling.trainable import share_gpu
from raystilts.study.resources import Resources

#: `-f` answers on a socket until it is told to quit; without an argument it sends the lines it reads, and fails where
#: no daemon listens. It writes down what it was started with.
PROGRAM = f"""#!{sys.executable}
import os, socket, sys
from pathlib import Path
folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", os.environ["NO_PIPES"]))
with open(os.environ["CONTROL_LOG"], "a") as log:
    print(*sys.argv[1:], os.environ.get("CUDA_VISIBLE_DEVICES", "all"), os.getppid(), file=log)
control = socket.socket(socket.AF_UNIX)
if sys.argv[1:] == ["-f"]:
    if os.environ.get("CONTROL_FAILS"):
        sys.exit("Failed to start the control daemon")
    control.bind(str(folder / "control"))
    control.listen()
    said = b""
    while said != b"quit":
        other, _ = control.accept()
        said = other.recv(100).strip()
        other.close()
    (folder / "control").unlink()
else:
    try:
        control.connect(str(folder / "control"))
    except OSError:
        sys.exit("Cannot find MPS control daemon process")
    control.sendall(sys.stdin.read().encode())
"""
#: A process that uses a GPU: says how joining went, and stays. What it asks CUDA is a script of the test's.
CLIENT = """
import os, sys, time
from raystilts.scheduling import mps
mps.START_SECONDS = 5.0
mps.PROBE = os.environ["SEES_GPU"]
print(mps.join_mps(), os.environ.get("CUDA_MPS_PIPE_DIRECTORY"), mps.has_joined(), flush=True)
time.sleep(600)
"""
Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the control program was started with; it is on the path, and temporary files are the test's."""
    program = tmp_path / "bin" / CONTROL
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (tmp_path / "t").mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    monkeypatch.setenv("NO_PIPES", str(tmp_path / "none"))
    monkeypatch.setenv("CONTROL_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("SEES_GPU", "raise SystemExit(0)")
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    return tmp_path / "log"


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Starts clients; all end with the test."""
    clients = []

    def client() -> subprocess.Popen[str]:
        clients.append(subprocess.Popen([sys.executable, "-c", CLIENT], stdout=subprocess.PIPE, text=True))
        return clients[-1]

    yield client
    for one in clients:
        one.kill()
        one.wait()


def _pipes(tmp_path: Path) -> Path:
    return tmp_path / "t" / f"raystilts-mps-{os.getuid()}"


def _said(client: subprocess.Popen[str]) -> str:
    assert client.stdout is not None
    return client.stdout.readline().strip()


def _wait_for(gone: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not gone():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_one_daemon_for_all_stages_of_a_node(tmp_path: Path, start: Start, log: Path) -> None:
    pipes = _pipes(tmp_path)
    clients = [start() for _ in range(3)]
    assert [_said(one) for one in clients] == [f"None {pipes} True"] * 3
    assert pipes.stat().st_mode & 0o777 == 0o700
    assert [line.split()[:2] for line in log.read_text().splitlines() if line.startswith("-f")] == [["-f", "all"]]
    for one in clients[:2]:
        one.send_signal(signal.SIGKILL)
        one.wait()
    time.sleep(2)
    assert (pipes / "control").exists(), "one stage still uses it"
    clients[2].send_signal(signal.SIGKILL)
    _wait_for(lambda: not (pipes / "control").exists())
    later = start()
    assert _said(later) == f"None {pipes} True"
    assert log.read_text().count("-f") == 2, "the next run has a daemon of its own"


def test_a_daemon_of_the_user_is_left_alone(
    tmp_path: Path, start: Start, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(own))
    daemon = subprocess.Popen([CONTROL, "-f"])
    try:
        _wait_for((own / "control").exists)
        client = start()
        assert _said(client) == f"None {own} False"
        client.kill()
        client.wait()
        time.sleep(2)
        assert (own / "control").exists()
        assert not (_pipes(tmp_path) / "control").exists()
        assert log.read_text().count("-f") == 1
        monkeypatch.setenv("SEES_GPU", "raise SystemExit(807)")
        reason = "CUDA sees no GPU through the MPS that was there before"
        assert _said(start()) == f"{reason} {_pipes(tmp_path) / 'none'} False", "else torch would see no GPU at all"
    finally:
        daemon.kill()
        daemon.wait()


def test_why_there_is_none(tmp_path: Path, start: Start, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_FAILS", "1")
    client = start()
    assert _said(client) == f"{CONTROL} does not start: Failed to start the control daemon None False"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert _said(start()) == f"{CONTROL} is not on PATH None False"


def test_a_daemon_whose_keeper_was_killed_ends_too(tmp_path: Path, start: Start, log: Path) -> None:
    pipes = _pipes(tmp_path)
    first = start()
    assert _said(first) == f"None {pipes} True"
    [keeper] = [int(line.split()[2]) for line in log.read_text().splitlines() if line.startswith("-f")]
    os.kill(keeper, signal.SIGKILL)
    second = start()
    assert _said(second) == f"None {pipes} True"
    assert log.read_text().count("-f") == 1, "the same daemon"
    for one in (first, second):
        one.kill()
        one.wait()
    _wait_for(lambda: not (pipes / "control").exists())


def test_a_keeper_that_is_asked_to_end_ends_the_daemon(tmp_path: Path, start: Start, log: Path) -> None:
    assert _said(start()) == f"None {_pipes(tmp_path)} True"
    [keeper] = [int(line.split()[2]) for line in log.read_text().splitlines() if line.startswith("-f")]
    os.kill(keeper, signal.SIGTERM)
    _wait_for(lambda: not (_pipes(tmp_path) / "control").exists())


def test_a_gpu_that_cannot_be_seen_through_it(
    tmp_path: Path, start: Start, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEES_GPU", "raise SystemExit(807)")
    assert _said(start()) == "CUDA sees no GPU through MPS None False"
    begun = time.monotonic()
    assert _said(start()) == "CUDA sees no GPU through MPS None False"
    assert time.monotonic() - begun < 4, "nobody tries again at once"
    _wait_for(lambda: not (_pipes(tmp_path) / "control").exists())


def test_a_server_that_takes_a_while(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = tmp_path / "ready"
    monkeypatch.setenv("SEES_GPU", f"import os; raise SystemExit(not os.path.exists({str(flag)!r}))")
    client = start()
    time.sleep(2)
    flag.touch()
    assert _said(client) == f"None {_pipes(tmp_path)} True"


def test_a_control_program_that_cannot_run(tmp_path: Path, start: Start, log: Path) -> None:
    (tmp_path / "bin" / CONTROL).write_text("no program")
    assert _said(start()) == f"{CONTROL}: [Errno 8] Exec format error: {CONTROL!r} None False"


def test_a_folder_of_somebody_else(tmp_path: Path, start: Start, log: Path) -> None:
    _pipes(tmp_path).mkdir(mode=0o755)
    reason = f"{CONTROL}: others can write to {_pipes(tmp_path)}; remove it, or set TMPDIR to another folder"
    assert _said(start()) == f"{reason} None False"


def test_which_stages_join(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    half = Resources(gpus=0.5, share="mps")
    assert share_gpu(half, "target") == f"{socket.gethostname()}: {CONTROL} is not on PATH"
    assert share_gpu(Resources(gpus=0.5), "target") is None
    assert share_gpu(half.model_copy(update={"by_kind": {"target": Resources(gpus=1)}}), "target") is None
    assert share_gpu(Resources(gpus=1), "intermediate") is None

