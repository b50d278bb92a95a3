"""Whether every node of a cluster can take part: what it must hold, what it has, what is wrong with it.

The driver says what it expects, each node looks at itself before training starts (one that comes later, before its
first stage), and what differs is told as one table of faults and remedies.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from rich.console import Console

from raystilts.errors import StorageError, UserError, first_line
from raystilts.filesystem import open_folder
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.keys import digest
from raystilts.planning.resolve import ResolvedStudy, resolve
from raystilts.planning.stage import Kind
from raystilts.planning.stages import Plan
from raystilts.scheduling.fault_table import Fault, fault_table
from raystilts.scheduling.node_encoders import (
    PlannedCheckpoint,
    check_checkpoints_here,
    local_encoder,
    locations,
    planned_checkpoints,
)
from raystilts.scheduling.preflight import check_data, splits
from raystilts.scheduling.record import versions
from raystilts.study.schema import Study
from raystilts.tasks.loading import fingerprint
from raystilts.training.cache import cache_folder

#: Seconds by which two clocks may differ: a lock on an object store counts as dead by its age.
CLOCK_SECONDS = 10.0
#: Copies of an encoder's weights that a stage holds on its node where checkpoints are on an object store: its parent,
#: a snapshot (weights, the best ones, two moments of the optimiser), the one before it, and what it keeps.
COPIES = 10
#: Bytes for tokenised data and temporary files.
WORKING_BYTES = 10**9
#: In the results folder: which run is at work, and a report of each node.
RUN_FILE, REPORTS = "nodes/run.json", "nodes"
#: Seconds that a shared folder may take to show what another machine wrote, and that a node may take to answer.
VISIBLE_SECONDS, ANSWER_SECONDS = 15.0, 1800.0
_SAME_WHEEL = "install the same wheel, in the same environment, on every node, and start Ray there again"


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
        return [Fault("packages", _difference(expected.versions, report.versions), _SAME_WHEEL)]
    if report.code != expected.code:
        return [Fault("raystilts", "the same version, but other source files", _SAME_WHEEL)]
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


def check_nodes(expected: Expected, console: Console) -> list[NodeReport]:
    """Has every node that is alive look at itself; each fetches what it lacks, once.

    Raises:
        UserError: nodes that cannot take part, in one table.
        StorageError: likewise, where all that they lack is room.
    """
    import ray

    nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
    asked = {name: _ask(name, expected) for name in nodes}
    _wait(list(asked.values()), console)
    reports, wrong = [], []
    for name, answer in asked.items():
        host = f"{nodes[name]['NodeManagerHostname']} ({nodes[name]['NodeManagerAddress']})"
        report, found = _answer(expected, answer)
        if report is not None:
            reports.append(report)
        if found:
            wrong.append((host, found))
    if wrong:
        text = f"{len(wrong)} of {len(nodes)} nodes cannot take part; nothing was trained.\n{fault_table(wrong)}"
        raise (StorageError if all(f.what == "disk" for _, found in wrong for f in found) else UserError)(text)
    return reports


def _ask(node: str, expected: Expected) -> tuple[float, Any]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_look_with_clock)
    return time.time(), task.remote(expected)


def _look_with_clock(expected: Expected) -> tuple[NodeReport, float]:
    return node_report(expected), time.time()


def _wait(asked: list[tuple[float, Any]], console: Console) -> None:
    """Waits for all answers; says so when it takes long."""
    import ray

    waiting, started = [ref for _, ref in asked], time.monotonic()
    while waiting and time.monotonic() - started < ANSWER_SECONDS:
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=30)
        if waiting:
            console.print(f"waiting for {len(waiting)} nodes to fetch encoder and data", highlight=False)


def _answer(expected: Expected, asked: tuple[float, Any]) -> tuple[NodeReport | None, list[Fault]]:
    """A node's report and faults; neither for one that has gone meanwhile, as spot nodes do."""
    import ray

    before, ref = asked
    try:
        report, there = cast("tuple[NodeReport, float]", ray.get(ref, timeout=1))
    except (ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError, ray.exceptions.TaskUnschedulableError):
        return None, []
    except ray.exceptions.GetTimeoutError:
        return None, [Fault("node", f"no answer for {ANSWER_SECONDS:.0f} s", "look at its disk and its network")]
    except Exception as error:  # what a node without our package raises is Ray's affair
        return None, [Fault("raystilts", f"does not run there: {last_line(error)}", _SAME_WHEEL)]
    clock = clock_fault(before, there, time.time())
    return report, [*faults(expected, report), *([clock] if clock else [])]


def node_report(expected: Expected) -> NodeReport:
    """What this node has; looked at once a run, whichever process asks first, and kept beside the other caches."""
    place = cache_folder() / "nodes" / f"{socket.gethostname()}.json"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock")):
            kept = _kept(place)
            if kept is None or kept.run != expected.run:
                kept = look(expected)
                place.write_text(json.dumps(asdict(kept)), encoding="utf-8")
            return kept
    except OSError:  # no room for a cache: the report will say so
        return look(expected)


def _kept(place: Path) -> NodeReport | None:
    try:
        fields = json.loads(place.read_text(encoding="utf-8"))
        return NodeReport(**fields | {"gpus": tuple((name, size) for name, size in fields["gpus"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def look(expected: Expected) -> NodeReport:
    """Looks at this node: fetches encoder and data, reads and writes the results folder, counts room and GPUs."""
    report = NodeReport(expected.run, socket.gethostname(), versions(), code_digest())
    if report.versions != expected.versions:
        return report  # whatever else it finds would be found by other code
    report = replace(report, **_inputs(expected), **_disk(), **_gpus(expected))
    return replace(report, **_storage(expected, report))


def _inputs(expected: Expected) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        here = local_encoder(expected.study.encoder, expected.encoder)
        found |= {"encoder": here.fingerprint, "encoder_location": here.location}
        found["locations"] = locations(expected.study, expected.encoders)
    except (UserError, OSError) as error:
        found["encoder_error"] = first_line(error)
    try:
        check_checkpoints_here(expected.checkpoints)
    except (UserError, OSError) as error:
        return found | {"checkpoint_error": first_line(error)}
    try:
        resolved = resolve(expected.study)
        check_data(resolved)
        found["data"] = data_digest(resolved)
    except (UserError, OSError, KeyError) as error:
        found["data_error"] = first_line(error)
    return found


def _disk() -> dict[str, Any]:
    place = cache_folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # none that can be written is none that is free
        return {"disk_free": 0, "disk_place": f"{place} ({error.strerror})"}
    return {"disk_free": shutil.disk_usage(place).free, "disk_place": str(place)}


def _gpus(expected: Expected) -> dict[str, Any]:
    import ray

    if not expected.gpu_kinds or not ray.is_initialized():
        return {}
    mine = ray.get_runtime_context().get_node_id()
    counted = next((node["Resources"].get("GPU", 0.0) for node in ray.nodes() if node["NodeID"] == mine), 0.0)
    return {"counted_gpus": counted, "gpus": seen_gpus() if counted else ()}


def seen_gpus() -> tuple[tuple[str, int], ...]:
    """Name and bytes of each GPU that torch sees on this node, whatever Ray has given to this process."""
    code = (
        "import os, json; os.environ.pop('CUDA_VISIBLE_DEVICES', None); import torch; print(json.dumps("
        "[(p.name, p.total_memory) for p in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    try:
        return tuple((str(name), int(size)) for name, size in json.loads(done.stdout))
    except ValueError:
        return ()


def _storage(expected: Expected, report: NodeReport) -> dict[str, Any]:
    """Whether this node reads what the driver wrote, and can write its report beside it."""
    end = time.monotonic() + VISIBLE_SECONDS
    try:
        folder = open_folder(expected.results)
        if folder.path is not None and not folder.exists():
            # A folder made here would hide that it is another than the driver's.
            return {"storage_error": f"{expected.results}: no such folder on this node"}
        while not (shared := _read_run(expected) == expected.run) and time.monotonic() < end:
            time.sleep(1)
        if shared:
            folder.write(f"{REPORTS}/{report.host}.json", json.dumps(asdict(report), indent=1).encode(), overwrite=True)
    except Exception as error:  # every store's client has exceptions of its own
        return {"storage_error": first_line(error)}
    return {"shared": shared}


def _read_run(expected: Expected) -> str | None:
    with suppress(FileNotFoundError, ValueError):
        return str(json.loads(open_folder(expected.results).read(RUN_FILE))["run"])
    return None


def last_line(error: BaseException) -> str:
    """What went wrong in a process of Ray's: the last line of the trace that its error holds."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:160] if lines else type(error).__name__
