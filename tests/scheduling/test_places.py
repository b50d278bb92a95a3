"""Places that cannot be written, by processes of another user: a line and exit code 2, before anything is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.filesystem import open_folder, write_text
from raystilts.planning.cost import results_folder
from raystilts.planning.stages import plan
from raystilts.results.reader import ResultsWarning
from raystilts.scheduling.outstanding import adopt
from raystilts.scheduling.preflight import check_places

from .examples import study
from .runs import STUDY

#: A user that no machine knows.
NOBODY = 54321
#: A process that is this user to files, but has no rights beyond it, and is not in the list of users.
AS_NOBODY = ["unshare", "-U", f"--map-user={NOBODY}"]
as_nobody = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run([*AS_NOBODY, "true"], capture_output=True, check=False).returncode != 0,
    reason="needs root and user namespaces",
)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can write to, all of whose parents everybody can enter."""
    place = Path(tempfile.mkdtemp(dir="/tmp", prefix="rs-"))
    place.chmod(0o777)
    (place / "small.yaml").write_text(STUDY)
    yield place
    shutil.rmtree(place)


def run_as_nobody(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user without a home folder of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    script = [sys.executable, "-c", "from raystilts.cli import script; script()"]
    return subprocess.run(
        [*AS_NOBODY, *script, "run", "small.yaml", *arguments], cwd=place, env=kept | environment, timeout=250,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def error_lines(found: subprocess.CompletedProcess[str]) -> int:
    """Lines of an error, after those that say what is being done."""
    doing = ("raystilts: reading", "raystilts: rehearsing")
    return sum(not line.startswith(doing) for line in found.stderr.splitlines())


def foreign(place: Path, name: str) -> str:
    """A folder that belongs to somebody else."""
    (place / name).mkdir(mode=0o755)
    os.chown(place / name, 1, 1)
    return str(place / name)


@as_nobody
@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "~/raystilts_results: this user has no home folder (HOME is not set); set HOME"),
        ({"HOME": "{foreign}", "RAY_TMPDIR": "{open}"}, "(Permission denied); name another: RAYSTILTS_CACHE_DIR=/path"),
        ({"HOME": "{open}", "RAY_TMPDIR": "{foreign}"}, "Ray's temporary files cannot be written there (Permission"),
        ({"HOME": "{open}", "TMPDIR": "{foreign}"}, "name another: RAY_TMPDIR=/path"),
        ({"HOME": "{open}", "RAY_TMPDIR": "{open}/" + "x" * 60}, "too long for the sockets that Ray keeps there"),
    ],
    ids=["no home", "a home that cannot be written", "another user's Ray", "another user's temporary files", "long"],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_a_line(open_place: Path, environment: dict[str, str], words: str) -> None:
    places = {"foreign": foreign(open_place, "f"), "open": str(open_place)}
    found = run_as_nobody(open_place, **{name: value.format(**places) for name, value in environment.items()})
    assert (found.returncode, error_lines(found)) == (2, 1), found.stderr
    assert words in found.stderr
    assert not list(open_place.rglob("study.json"))


@as_nobody
@pytest.mark.parametrize("name", ["RAY_TMPDIR", "RAYSTILTS_CACHE_DIR"])
def test_a_full_disk_is_a_line(open_place: Path, name: str) -> None:
    small = open_place / "s"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        small.chmod(0o777)
        found = run_as_nobody(open_place, HOME=str(open_place), **{name: str(small)})
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert (found.returncode, error_lines(found)) == (1, 1), found.stderr
    assert f"no space left for {'Ray' if 'RAY_' in name else 'tokenised data'}" in found.stderr
    assert f"{name}=/path" in found.stderr
    assert not list(open_place.rglob("study.json"))


@as_nobody
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_user_that_shows_nothing_to_others(open_place: Path) -> None:
    """umask 077 and a home folder of its own is enough to run a study."""
    before = os.umask(0o077)
    try:
        more = ("seeds=[0]", "intermediate_fractions=[1.0]", "targets=[cldr_match]")
        sets = [word for one in more for word in ("--set", one)]
        found = run_as_nobody(open_place, *sets, HOME=str(open_place), RAY_TMPDIR=str(open_place))
    finally:
        os.umask(before)
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr


def test_the_places_of_these_tests_can_be_written() -> None:
    check_places("auto")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file://st", "a file URI is file:// and a path from the root"),
        ("file://", "a file URI is file:// and a path from the root"),
        ("s3://", "it names no bucket; give one, such as s3://bucket/folder"),
        ("s3:///folder", "it names no bucket"),
        ("gs://", "it names no bucket"),
    ],
)
def test_uris_without_a_place(tmp_path: Path, place: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="storage_path: ") as found:
        results_folder(study(tmp_path, storage_path=place))
    assert words in str(found.value)
    with pytest.raises(UserError):
        open_folder(place)
    assert not list(tmp_path.iterdir())


def test_file_uris_of_this_machine(tmp_path: Path) -> None:
    for place in (f"file://{tmp_path}", f"file://localhost{tmp_path}/", f"file://{tmp_path}/a%20b"):
        found = results_folder(study(tmp_path, storage_path=place))
        assert open_folder(place).path == Path(found).parent
        assert Path(found).parent in (tmp_path, tmp_path / "a b")


def test_a_study_is_not_called_as_the_folder_of_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name: 'checkpoints' is where"):
        results_folder(study(tmp_path, name="checkpoints"))


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        write_text(place / "report.html", "the old report")
        with pytest.raises(Exception, match="no space left"):
            write_text(place / "report.html", "x" * 10**6)
        assert (place / "report.html").read_text() == "the old report"
        assert [one.name for one in place.iterdir()] == ["report.html"]
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_letters_that_a_terminal_lacks_are_written_otherwise(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("name: ünïcode\nfoo: 1\n", encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-c", "from raystilts.cli import script; script()", "plan", "ödd.yaml"],
        cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert b"\\xf6dd.yaml" in found.stderr
    assert b"Traceback" not in found.stderr


def test_a_neighbour_that_cannot_be_read_does_not_stop_this_study(tmp_path: Path) -> None:
    place = tmp_path / "neighbour" / "compacted"
    place.mkdir(parents=True)
    (place / "manifest-00000001.json").write_text("{broken")
    one = study(tmp_path)
    with pytest.warns(ResultsWarning, match="Nothing is taken over from .*neighbour"):
        assert adopt(plan(one), results_folder(one)) == 0
