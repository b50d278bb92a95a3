"""`raystilts ls` and `clean`: what lies below a storage_path, whose it is, and what may go."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from results.rows import run_row, score_rows
from typer.testing import CliRunner

from raystilts.cli.common import app
from raystilts.errors import StorageError, UserError
from raystilts.filesystem import LocalFolder
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import write_attempt
from raystilts.scheduling.claims import CLAIMS_FILE, Claims, trainings, wanted_weights
from raystilts.scheduling.cleaning import find_spare, remove
from raystilts.scheduling.driver import write_study
from raystilts.scheduling.lock import driver_lock
from raystilts.scheduling.storage import read_storage
from raystilts.training.checkpoints import LEFTOVER_SECONDS, MARKER, Checkpoints, open_checkpoints

from .examples import study

ORPHAN, SNAPSHOT, DROPPED = "0" * 32, "1" * 32, "2" * 32


def put(folder: Path, size: int) -> None:
    folder.mkdir(parents=True)
    (folder / MARKER).write_bytes(b"x" * size)


def ran(tmp_path: Path, name: str, **changes: Any) -> Plan:
    """A study that has been run, with all that it trained of some bytes: 100 an intermediate, 10 a target."""
    planned = plan(study(tmp_path, name=name, **changes))
    results = results_folder(planned.study)
    write_study(results, resolve(planned.study))
    claims = Claims(results, Checkpoints(Path(checkpoints_folder(planned.study))))
    claims.claim(wanted_weights(planned), trainings(planned.stages.values()))
    for stage in planned.stages.values():
        values = {"kind": stage.kind, "train_key": stage.train_key, "study": name, "steps_done": stage.steps}
        axes = {
            "intermediate": stage.intermediate.label, "intermediate_fraction": stage.intermediate_fraction,
            "target": stage.target, "target_fraction": stage.target_fraction, "seed": stage.seed,
        }  # fmt: skip
        row = run_row(stage.key, **values, **axes)
        write_attempt(results, row, score_rows(row, {"en": 0.5}))
        place = Path(checkpoints_folder(planned.study)) / stage.train_key
        if stage.train_key in claims.own and not place.exists():
            put(place, 100 if stage.kind == "intermediate" else 10)
    claims.write(())
    return planned


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """One study that keeps all and one that keeps nothing, weights and a snapshot of neither, and a stranger's file."""
    ran(tmp_path, "first", keep="all", keep_targets="all")
    ran(tmp_path, "second", keep="none")
    weights = tmp_path / "checkpoints"
    put(weights / ORPHAN, 1000)
    put(weights / "in_progress" / SNAPSHOT, 500)
    put(weights / "notes of mine", 7)
    return tmp_path


def test_what_each_study_takes(storage: Path) -> None:
    found = read_storage(str(storage))
    assert list(found.studies) == ["first", "second"]
    first, second = (found.bytes_of(one) for one in found.studies.values())
    assert {**first, "tables": 0} == {"tables": 0, "intermediates": 100, "targets": 20, "unfinished": 0}
    assert second["intermediates"] == 100, "claimed until its run has removed it"
    assert first["tables"] == sum(f.stat().st_size for f in (storage / "first").rglob("*") if f.is_file())
    tables = first["tables"] + second["tables"]
    assert found.total == tables + 100 + 20 + 1000 + 500 + 7, "what is shared counts once"


@pytest.mark.parametrize("state", ["preparing", "running"])
def test_a_list_says_what_is_done_and_what_runs(storage: Path, state: str) -> None:
    (storage / "second" / "progress.json").write_text(json.dumps({"state": state}))
    with driver_lock(str(storage / "first")):
        answer = CliRunner().invoke(app, ["ls", str(storage), "--json"])
    first, second = json.loads(answer.stdout)["studies"]
    assert (first["state"], first["pid"]) == ("running", os.getpid())
    assert (second["state"], second["pid"]) == ("killed", None)
    assert (first["done"], first["planned"], first["finished_stages"]) == (4, 4, 5)
    shown = CliRunner().invoke(app, ["ls", str(storage)])
    assert shown.stdout.splitlines()[1].split()[:6] == ["first", "4", "of", "4", "cells", "ended"]


def test_a_name_in_the_list_stays_whole(storage: Path) -> None:
    longer = storage / ("transfer_of_long_names_" * 5)
    (storage / "first").rename(longer)
    lines = CliRunner().invoke(app, ["ls", str(storage)]).stdout.splitlines()
    assert len(lines) == 4
    assert any(line.startswith(f"{longer.name}  ") for line in lines)
    assert lines[-1].startswith(f"{storage}: ")


def test_only_what_no_study_needs_is_spare(storage: Path) -> None:
    found = find_spare(str(storage / "first"))
    assert {(one.kind, one.name, one.size) for one in found.spare} == {
        ("weights", ORPHAN, 1000), ("training in progress", SNAPSHOT, 500)
    }  # fmt: skip
    gone = remove(found)
    assert gone.size == 1500
    weights = storage / "checkpoints"
    assert not (weights / ORPHAN).exists()
    assert not (weights / "in_progress" / SNAPSHOT).exists()
    assert (weights / "notes of mine").is_dir()
    assert find_spare(str(storage / "second")).spare == ()
    assert sum(open_checkpoints(weights).has(name.name) for name in weights.iterdir()) == 4, "three, and the notes"


def test_weights_of_a_study_whose_tables_are_gone_are_spare(storage: Path) -> None:
    kept = {stage.train_key for stage in plan(study(storage, name="first")).of_kind("target")}
    shutil.rmtree(storage / "first")
    assert kept <= {one.name for one in find_spare(str(storage / "second")).spare}


def test_what_an_earlier_run_of_a_study_has_kept_is_no_spare(storage: Path) -> None:
    """`keep: all` keeps the weights of an arm that the last command left out."""
    claims = Claims(str(storage / "first"), Checkpoints(storage / "checkpoints"))
    claims.claim((), ())
    (storage / "second" / CLAIMS_FILE).write_text('{"train_keys": [], "unfinished": []}')
    assert {one.name for one in find_spare(str(storage / "first")).spare} == {ORPHAN, SNAPSHOT}
    ran(storage, "first", keep="none", keep_targets="none")
    claims.claim((), ())
    spare = {one.name: one.what for one in find_spare(str(storage / "first")).spare}
    assert len(spare) == 5
    assert "cldr_names, seed 0 of first" in spare.values()


def test_a_training_that_another_study_may_go_on_with_stays(storage: Path) -> None:
    claims = Claims(str(storage / "second"), Checkpoints(storage / "checkpoints"))
    claims.claim((), {SNAPSHOT})
    assert [one.name for one in find_spare(str(storage / "first")).spare] == [ORPHAN]
    (storage / "second" / CLAIMS_FILE).unlink()
    found = find_spare(str(storage / "first"))
    assert [one.name for one in found.spare] == [ORPHAN]
    assert found.held_back == ("second",), "it does not say"


def test_what_killed_writers_left_goes_after_an_hour(storage: Path) -> None:
    hidden = storage / "checkpoints" / f".{DROPPED}.abc"
    put(hidden, 3)
    table = storage / "first" / "runs" / ".a.parquet.1-ab.tmp"
    table.write_bytes(b"12")
    assert {one.size for one in find_spare(str(storage / "first")).spare} == {1000, 500}
    old = time.time() - LEFTOVER_SECONDS - 60
    theirs = storage / "checkpoints" / ".snapshot"
    put(theirs, 5)
    for path in (hidden / MARKER, table, theirs / MARKER):
        os.utime(path, (old, old))
    remove(find_spare(str(storage / "first")))
    assert not hidden.exists()
    assert not table.exists()
    assert theirs.exists(), "whatever else lies among the weights is somebody else's"


def test_a_full_disk_can_be_cleaned(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **more: object) -> bool:
        raise StorageError("no space left")

    found = find_spare(str(storage / "first"))
    monkeypatch.setattr(LocalFolder, "write", full)
    assert remove(found).size == 1500


def test_nothing_goes_without_yes_or_while_a_run_is_at_work(storage: Path) -> None:
    asked = CliRunner().invoke(app, ["clean", str(storage / "first")])
    assert asked.exit_code == 0
    assert "2 things that no study needs" in asked.stdout
    found = find_spare(str(storage / "first"))
    with driver_lock(str(storage / "first")), pytest.raises(StorageError, match="another raystilts run"):
        remove(found)
    assert (storage / "checkpoints" / ORPHAN).exists()
    told = CliRunner().invoke(app, ["clean", str(storage / "first"), "--yes"])
    assert told.exit_code == 0
    assert not (storage / "checkpoints" / ORPHAN).exists()


def test_what_was_claimed_since_the_list_was_shown_stays(storage: Path) -> None:
    found = find_spare(str(storage / "first"))
    Claims(str(storage / "second"), Checkpoints(storage / "checkpoints")).claim({ORPHAN}, ())
    assert [one.name for one in remove(found).spare] == [SNAPSHOT]


def test_a_folder_without_a_study_is_refused(storage: Path) -> None:
    with pytest.raises(UserError, match="name a results folder"):
        find_spare(str(storage))
    with pytest.raises(UserError, match="no such folder"):
        read_storage(str(storage / "nowhere"))


def test_an_object_store(bucket: str) -> None:
    from raystilts.filesystem import open_folder

    open_folder(f"{bucket}/mine").write("study.json", b"{}")
    open_folder(f"{bucket}/checkpoints").write(f"{ORPHAN}/{MARKER}", b"{}")
    open_folder(f"{bucket}/checkpoints").write(f"in_progress/{SNAPSHOT}/current.json", b'{"folder": "x", "step": 1}')
    Claims(f"{bucket}/mine", open_checkpoints(f"{bucket}/checkpoints")).claim((), ())
    found = read_storage(bucket)
    changed = found.studies["mine"].changed
    assert changed is not None
    assert abs(time.time() - changed.timestamp()) < 60
    assert (found.weights[ORPHAN], found.in_progress.total()) == (2, 26)
    gone = remove(find_spare(f"{bucket}/mine"))
    assert {one.name for one in gone.spare} == {ORPHAN, SNAPSHOT}
    assert not open_folder(f"{bucket}/checkpoints").exists()
