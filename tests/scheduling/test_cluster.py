"""What Ray shows to others while a run of our own is at work, and what of it stays."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .runs import Run
from .test_stopping import LONG

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SECRET = "s3cr3t-0123456789abcdef"


@pytest.fixture
def ray_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Ray's temporary files in a folder of this test, with a short name for its sockets."""
    place = Path(tempfile.mkdtemp(dir="/tmp", prefix="rs-"))
    monkeypatch.setenv("RAY_TMPDIR", str(place))
    yield place
    shutil.rmtree(place, ignore_errors=True)


def listening(pids: list[int]) -> dict[str, set[str]]:
    """The addresses (as /proc/net/tcp has them) on which processes listen, with their command lines."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[fields[9]] = fields[1].partition(":")[0]
    found: dict[str, set[str]] = {}
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:80]
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                match = re.match(r"socket:\[(\d+)\]", str(handle.readlink()))
                if match and match[1] in sockets:
                    found.setdefault(sockets[match[1]], set()).add(command)
        except OSError:
            continue
    return found


#: 127.0.0.1, as such and within IPv6, and ::1.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def test_a_run_of_our_own_listens_on_the_loopback_and_writes_no_key(
    tmp_path: Path, ray_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    (tmp_path / "long.yaml").write_text(LONG.replace("num_train_epochs: 60", "num_train_epochs: 20"))
    with Run(tmp_path, ["run", "long.yaml", "--storage-path", "out"]) as one:
        one.until_running(tmp_path / "out" / "long")
        found = listening(one.processes())
        assert found
        assert found.keys() <= LOOPBACK, found
        assert one.wait(300) == 0, one.err
    files = [path for path in (*ray_folder.rglob("*"), *(tmp_path / "out").rglob("*")) if path.is_file()]
    assert any(path.name.startswith("raylet") for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
