"""What every node of a cluster must hold to take part in a run, what one has found of itself, and what differs.

Each node looks at itself (`node_report`); what differs is told as one table of faults and remedies.
"""

from __future__ import annotations

import hashlib
import json
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from raystilts.filesystem import open_folder
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.keys import digest
from raystilts.planning.resolve import ResolvedStudy
from raystilts.planning.stage import Kind
from raystilts.planning.stages import Plan
from raystilts.scheduling.fault_table import Fault
from raystilts.scheduling.node_encoders import PlannedCheckpoint, planned_checkpoints
from raystilts.scheduling.preflight import splits
from raystilts.scheduling.record import versions
from raystilts.study.schema import Study
from raystilts.tasks.loading import fingerprint

#: Seconds by which two clocks may differ: a lock on an object store counts as dead by its age.
CLOCK_SECONDS = 10.0
#: Copies of an encoder's weights that a stage holds on its node where checkpoints are on an object store: its parent,
#: a snapshot (weights, the best ones, two moments of the optimiser), the one before it, and what it keeps.
COPIES = 10
#: Bytes for tokenised data and temporary files.
WORKING_BYTES = 10**9
#: In the results folder: which run is at work.
RUN_FILE = "nodes/run.json"
SAME_WHEEL = "install the same wheel, in the same environment, on every node, and start Ray there again"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a driver expects of every node of its run.

    Attributes:
        run: Names this run.
        versions: Of each package that results depend on, and of Python, as JSON.
        code: Hash of the package's own source.
        data: Hash of all that the study reads, see `data_digest`.
        results: The results folder, where the driver has written `RUN_FILE`.
        disk_bytes: Room that a stage takes on a node's own disk.
        gpu_kinds: Kinds of stages that ask for a GPU.
        encoders: By name, where the study has several.
        checkpoints: From elsewhere.
    """

    run: str
    study: Study
    encoder: EncoderInfo
    versions: str
    code: str
    data: str
    results: str
    disk_bytes: int
    gpu_kinds: tuple[Kind, ...] = ()
    encoders: Mapping[str, EncoderInfo] = field(default_factory=dict)
    checkpoints: tuple[PlannedCheckpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node has found about itself. An error is the reason why something could not be had; else it is None.

    Attributes:
        run: The run that it looked for.
        encoder_location: Where the encoder is on this node; in `locations` each of several, by name.
        shared: Whether it has read what the driver wrote into the results folder.
        disk_free: Bytes free for copies and tokenised data.
        counted_gpus: GPUs that Ray counts here.
        gpus: Name and bytes of each GPU that torch sees.
    """

    run: str
    host: str
    versions: str
    code: str
    encoder: str | None = None
    encoder_location: str = ""
    encoder_error: str | None = None
    checkpoint_error: str | None = None
    data: str | None = None
    data_error: str | None = None
    shared: bool = False
    storage_error: str | None = None
    disk_free: int = 0
    disk_place: str = ""
    counted_gpus: float = 0
    gpus: tuple[tuple[str, int], ...] = ()
    locations: Mapping[str, str] = field(default_factory=dict)


def faults(expected: Expected, report: NodeReport) -> list[Fault]:
    """What keeps a node from taking part in a run."""
    return [*_code_faults(expected, report), *_input_faults(expected, report), *_place_faults(expected, report)]


def _code_faults(expected: Expected, report: NodeReport) -> list[Fault]:
    if report.versions != expected.versions:
        return [Fault("packages", _difference(expected.versions, report.versions), SAME_WHEEL)]
    if report.code != expected.code:
        return [Fault("raystilts", "the same version, but other source files", SAME_WHEEL)]
    return []


def _difference(wanted: str, found: str) -> str:
    """The packages whose versions differ: `torch 2.7.0, not 2.9.1`."""
    one, other = json.loads(wanted), json.loads(found)
    return ", ".join(
        f"{name} {other.get(name, 'is missing')}, not {one.get(name, 'there')}"
        for name in sorted(one | other)
        if one.get(name) != other.get(name)
    )


def _input_faults(expected: Expected, report: NodeReport) -> list[Fault]:
    found = []
    place = "a folder that all nodes share, or an id on the hub: --set encoder.model_name_or_path=..."
    if report.encoder_error is not None:
        found.append(Fault("encoder", report.encoder_error, place))
    elif report.encoder != expected.encoder.fingerprint:
        found.append(Fault("encoder", f"{report.encoder_location} holds other weights or another tokenizer", place))
    if report.checkpoint_error is not None:
        remedy = "a folder that all nodes share, or an id on the hub with its revision"
        return [*found, Fault("checkpoint", report.checkpoint_error, remedy)]  # without it no data was looked at
    folder = "a folder that all nodes share: --set data_dir=... (or none, for data from the hub)"
    if report.data_error is not None:
        found.append(Fault("data", report.data_error, folder))
    elif report.data != expected.data:
        found.append(Fault("data", "other files than the driver's", folder))
    return found


def _place_faults(expected: Expected, report: NodeReport) -> list[Fault]:
    found = []
    if report.storage_error is not None or not report.shared:
        reason = report.storage_error or f"{expected.results}: not the folder that the driver writes to"
        found.append(Fault("storage", reason, _storage_remedy(expected.results)))
    if report.disk_free < expected.disk_bytes:
        free, taken = report.disk_free / 1e9, expected.disk_bytes / 1e9
        room = f"{report.disk_place}: {free:.1f} GB are free, a stage takes {taken:.1f} GB"
        found.append(Fault("disk", room, "free some, or name a larger disk there: RAYSTILTS_CACHE_DIR"))
    if expected.gpu_kinds and report.counted_gpus and not report.gpus:
        seen = f"Ray counts {report.counted_gpus:g} GPUs, torch sees none"
        found.append(Fault("GPU", seen, "install a CUDA build of torch and the driver, or start Ray with --num-gpus=0"))
    return found


def _storage_remedy(results: str) -> str:
    if "://" in results:
        return (
            "give every node the right to read and write there (an instance role, or AWS_* in the environment before "
            "ray start)"
        )
    return "a folder that all nodes share, or an object store: --storage-path /mnt/shared/... or s3://bucket/folder"


def clock_fault(before: float, there: float, after: float) -> Fault | None:
    """Whether a node's clock is off, from its reading between two of the driver's; all in seconds since the epoch."""
    off = max(before - there, there - after, 0.0)
    if off <= CLOCK_SECONDS:
        return None
    side = "behind" if there < before else "ahead of"
    return Fault("clock", f"{off:.0f} s {side} the driver's", "keep the time there: chrony, systemd-timesyncd")


def node_disk_bytes(encoder: EncoderInfo, remote: bool) -> int:
    """Bytes that a stage takes on its node's own disk."""
    return WORKING_BYTES + (COPIES * 4 * (encoder.parameters or 0) if remote else 0)


def data_digest(resolved: ResolvedStudy) -> str:
    """Hash of all data that a study reads.

    Raises:
        UserError: some of it is not here.
    """
    found = []
    wanted = {(one.task.name, one.split, one.language or ""): one.task for one in splits(resolved)}
    for (name, split, language), task in sorted(wanted.items(), key=lambda item: item[0]):
        source = {"train": task.train, "dev": task.dev, "test": task.test, "pool": task.pool}[split]
        for one in (language,) if language else task.train_languages:
            if source is not None:
                found.append([name, split, one, fingerprint(source, one, resolved.data.folder).value])
    return digest(found)


@cache
def code_digest() -> str:
    """Hash of the package's own source files."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:32]


def announce(resolved: ResolvedStudy, results: str, kinds: Sequence[Kind], planned: Plan) -> Expected:
    """Writes into the results folder which run is at work, and says what its nodes must be."""
    folder = open_folder(results)
    run = uuid.uuid4().hex
    folder.write(RUN_FILE, json.dumps({"run": run, "driver": socket.gethostname()}).encode(), overwrite=True)
    return Expected(
        run=run,
        study=planned.study,
        encoder=planned.encoder,
        versions=versions(),
        code=code_digest(),
        data=data_digest(resolved),
        results=results,
        disk_bytes=max(node_disk_bytes(part.encoder, folder.path is None) for part in planned.each()),
        gpu_kinds=tuple(kind for kind in kinds if planned.study.resources.of(kind).gpus > 0),
        encoders=planned.encoders,
        checkpoints=planned_checkpoints(planned),
    )
