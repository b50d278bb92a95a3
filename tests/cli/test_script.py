"""The end of the process that the command `raystilts` is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: A device without any room.
_FULL = Path("/dev/full")

_BEFORE = """
import atexit, sys, weakref
from pathlib import Path
import raystilts.cli
def main():
    atexit.register(lambda: print("at exit"))
    weakref.finalize(raystilts.cli.app, Path("cleaned").touch)
    {what}
raystilts.cli.main = main
raystilts.cli.script()
"""


def _ended(folder: Path, what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _BEFORE.format(what=what)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("code", "status"), [("0", 0), ("None", 0), ("2", 2), ("130", 130), ("'no'", 1)])
def test_the_status_is_that_of_the_command(tmp_path: Path, code: str, status: int) -> None:
    assert _ended(tmp_path, f"sys.exit({code})").returncode == status


def test_all_that_is_done_at_exit_is_done(tmp_path: Path) -> None:
    """Ray stops its processes there, and folders for copies of remote files are removed."""
    found = _ended(tmp_path, "print('x' * 100_000); sys.exit(0)")
    assert found.stdout == "x" * 100_000 + "\nat exit\n"
    assert (tmp_path / "cleaned").exists()


def test_an_error_of_ours_has_its_trace(tmp_path: Path) -> None:
    found = _ended(tmp_path, "raise ValueError('ours')")
    assert found.returncode == 1
    assert "ValueError: ours" in found.stderr


def test_nothing_is_lost_that_somebody_reads_slowly(tmp_path: Path) -> None:
    """A pipe holds less than an answer may be long."""
    command = [sys.executable, "-c", _BEFORE.format(what="print('y' * 3_000_000); sys.exit(0)")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.read(10)
        assert len(first + process.stdout.read()) == 3_000_000 + len("\nat exit\n")
        assert process.wait() == 0


@pytest.mark.skipif(not _FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("length", [10, 3_000_000])
def test_an_output_that_cannot_be_written_is_said_and_no_trace(length: int) -> None:
    """A short one is written when the process ends, a long one before."""
    code = f"import raystilts.cli as cli; cli.app = lambda **_: print('y' * {length}); cli.script()"
    command = [sys.executable, "-c", code]
    with _FULL.open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("raystilts: No space left on device: the output")
    assert ended.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_fault_of_ours(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from raystilts.cli import script; script()", "--version"]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.stderr, ended.returncode) == ("", 1)


def test_the_package_runs_as_its_script_does(tmp_path: Path) -> None:
    commands = (["-m", "raystilts"], ["-c", "from raystilts.cli import script; script()"])
    for arguments in (["--version"], ["best", "nowhere"]):
        one, other = (
            subprocess.run(
                [sys.executable, *command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            for command in commands
        )
        assert (one.stdout, one.stderr, one.returncode) == (other.stdout, other.stderr, other.returncode)
    assert one.returncode == 2


def test_what_was_to_be_done_before_is_done_too(tmp_path: Path) -> None:
    """As where a tool that was started with Python has something to write at the end."""
    code = "import atexit; atexit.register(print, 'first'); import raystilts.cli as cli; cli.app = lambda **_: None"
    command = [sys.executable, "-c", f"{code}; cli.script()"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("first\n", "", 0)


def test_nothing_is_to_be_done_when_a_command_starts() -> None:
    """Otherwise no process ends quickly."""
    code = "import atexit, raystilts.cli; print(atexit._ncallbacks())"
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert ended.stdout == "0\n"
