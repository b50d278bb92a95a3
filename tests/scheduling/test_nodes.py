from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from raystilts.filesystem import open_folder
from raystilts.planning.encoders import EMBEDDED, describe_encoder
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import plan
from raystilts.scheduling.fault_table import Fault, fault_table
from raystilts.scheduling.node_encoders import local_encoder
from raystilts.scheduling.node_report import look, node_report
from raystilts.scheduling.nodes import (
    CLOCK_SECONDS,
    RUN_FILE,
    WORKING_BYTES,
    Expected,
    NodeReport,
    announce,
    clock_fault,
    data_digest,
    faults,
    node_disk_bytes,
)
from raystilts.study.encoder import Encoder

from .examples import study


@pytest.fixture
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Expected:
    """What the driver of a small study expects; nodes keep their reports in a folder of the test."""
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    one = study(tmp_path)
    return announce(resolve(one), str(tmp_path / "small"), ["intermediate"], plan(one))


def test_a_node_like_the_driver(expected: Expected) -> None:
    report = look(expected)
    assert faults(expected, report) == []
    assert (report.encoder, report.data, report.shared) == (expected.encoder.fingerprint, expected.data, True)
    assert report.encoder_location == str(EMBEDDED["raystilts-mini"])
    written = json.loads(open_folder(expected.results).read(f"nodes/{report.host}.json"))
    assert written["run"] == expected.run


def test_a_node_looks_once_a_run(expected: Expected) -> None:
    first = node_report(expected)
    open_folder(expected.results).delete(RUN_FILE)
    assert node_report(expected) == first, "the report of this run is kept"
    again = announce(resolve(expected.study), expected.results, ["intermediate"], plan(expected.study))
    assert again.run != expected.run
    assert node_report(again) == replace(first, run=again.run, disk_free=node_report(again).disk_free)


def test_a_home_folder_that_another_machine_has_not(expected: Expected, tmp_path: Path) -> None:
    elsewhere = replace(expected, results=str(tmp_path / "of another machine"))
    (found,) = faults(elsewhere, look(elsewhere))
    assert found.what == "storage"
    assert found.found.endswith("of another machine: no such folder on this node")
    assert "--storage-path /mnt/shared/... or s3://bucket/folder" in found.remedy
    assert not (tmp_path / "of another machine").exists()


def test_a_folder_of_the_same_name(expected: Expected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raystilts.scheduling.node_report.VISIBLE_SECONDS", 0.0)
    other = replace(expected, run="another")
    (found,) = faults(other, look(other))
    assert (found.what, found.found.endswith("not the folder that the driver writes to")) == ("storage", True)


def test_another_encoder_of_the_same_name(expected: Expected, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(EMBEDDED["raystilts-mini"], folder)
    asked = Encoder(model_name_or_path=str(folder))
    here = replace(
        expected, study=expected.study.model_copy(update={"encoder": asked}), encoder=describe_encoder(asked)
    )
    assert faults(here, look(here)) == []
    vocabulary = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary | {"truncation": None}, indent=2))
    os.utime(folder / "tokenizer.json", (1, 1))
    (found,) = faults(here, look(here))
    assert (found.what, found.found) == ("encoder", f"{folder} holds other weights or another tokenizer")
    shutil.rmtree(folder)
    (found,) = faults(here, look(here))
    assert (found.what, "no such folder" in found.found) == ("encoder", True)


def test_an_encoder_is_pinned_to_the_revision_of_the_plan() -> None:
    info = describe_encoder(Encoder())
    assert local_encoder(Encoder(), replace(info, location="/on/another/machine")) == info


def test_data_counts_by_its_content(tmp_path: Path) -> None:
    one = study(tmp_path)
    more = study(tmp_path, targets=[{"task": "cldr_units", "languages": ["en", "de"]}])
    assert data_digest(resolve(one)) == data_digest(resolve(study(tmp_path / "elsewhere")))
    assert data_digest(resolve(one)) != data_digest(resolve(more))


def test_a_checkpoint_from_elsewhere_is_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    theirs = tmp_path / "theirs"
    shutil.copytree(EMBEDDED["raystilts-mini"], theirs)
    arms = ["none", {"checkpoint": str(theirs), "name": "theirs"}]
    one = study(tmp_path, intermediates=arms)
    expected = announce(resolve(one), str(tmp_path / "small"), ["intermediate"], plan(one))
    assert faults(expected, look(expected)) == []
    vocabulary = json.loads((theirs / "tokenizer.json").read_text())
    (theirs / "tokenizer.json").write_text(json.dumps(vocabulary, indent=2))
    os.utime(theirs / "tokenizer.json", (1, 1))
    (found,) = faults(expected, look(expected))
    assert found.what == "checkpoint"
    assert found.found.startswith(f"intermediates.1.checkpoint: {theirs} on ")
    assert "other weights or another tokenizer than the run planned with" in found.found
    shutil.rmtree(theirs)
    (found,) = faults(expected, look(expected))
    assert (found.what, found.found.partition(";")[0]) == (
        "checkpoint", f"intermediates.1.checkpoint: {theirs}: no such folder",
    )  # fmt: skip


GOOD = NodeReport(
    "run", "node", "{}", "code", encoder="print", encoder_location="/here", data="data", shared=True,
    disk_free=10**12, disk_place="/cache",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"versions": '{"torch": "2.8"}'}, "packages", "torch 2.8, not 2.9"),
        ({"versions": "{}"}, "packages", "torch is missing, not 2.9"),
        ({"code": "other"}, "raystilts", "other source files"),
        ({"encoder_error": "no network"}, "encoder", "no network"),
        ({"data": "other"}, "data", "other files than the driver's"),
        ({"data_error": "no such folder"}, "data", "no such folder"),
        ({"shared": False}, "storage", "not the folder that the driver writes to"),
        ({"shared": False, "storage_error": "Forbidden"}, "storage", "Forbidden"),
        ({"disk_free": 10**8}, "disk", "/cache: 0.1 GB are free, a stage takes 1.0 GB"),
        ({"counted_gpus": 8}, "GPU", "Ray counts 8 GPUs, torch sees none"),
    ],
)
def test_each_fault(expected: Expected, changes: dict[str, object], what: str, words: str) -> None:
    wanted = replace(
        expected, run="run", versions='{"torch": "2.9"}', code="code", data="data", gpu_kinds=("target",),
        encoder=replace(expected.encoder, fingerprint="print"),
    )  # fmt: skip
    good = replace(GOOD, versions=wanted.versions, counted_gpus=1, gpus=(("A10G", 24 * 10**9),))
    assert faults(wanted, good) == []
    (found,) = faults(wanted, replace(good, **({"gpus": ()} | changes if what == "GPU" else changes)))  # type: ignore[arg-type]
    assert found.what == what
    assert words in found.found


def test_remedies_for_buckets(expected: Expected) -> None:
    remote = replace(expected, results="s3://bucket/small")
    report = replace(look(expected), shared=False, storage_error="Access Denied")
    assert "instance role" in faults(remote, report)[0].remedy


def test_clocks() -> None:
    assert clock_fault(100.0, 100.5, 101.0) is None
    assert clock_fault(100.0, 101.0 + CLOCK_SECONDS, 101.0) is None
    assert clock_fault(100.0, 141.0, 101.0) == Fault(
        "clock", "40 s ahead of the driver's", "keep the time there: chrony, systemd-timesyncd"
    )
    behind = clock_fault(100.0, 50.0, 101.0)
    assert behind is not None
    assert behind.found == "50 s behind the driver's"


def test_room_on_a_nodes_own_disk() -> None:
    info = describe_encoder(Encoder())
    assert node_disk_bytes(info, remote=False) == WORKING_BYTES
    assert node_disk_bytes(info, remote=True) == WORKING_BYTES + 40 * (info.parameters or 0)
    assert node_disk_bytes(replace(info, parameters=None), remote=True) == WORKING_BYTES


def test_nodes_with_the_same_fault_share_a_row() -> None:
    disk, clock = Fault("disk", "full", "free some"), Fault("clock", "40 s ahead of the driver's", "chrony")
    text = fault_table([("a", [disk]), ("b", [disk, clock]), ("c", [disk]), ("d", [disk])])
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["node", "what", "found", "remedy"]
    assert " ".join(lines[1]).startswith("a, b, c and 1")
    assert sum("disk" in line for line in lines) == 1
    assert sum("clock" in line for line in lines) == 1
