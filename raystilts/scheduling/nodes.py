"""What every node of a cluster must hold for a study, and what is wrong with one: facts and their comparison.

What a cluster can hold: the nodes that it has, the node types that it can start, and which of them fit a stage.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from raystilts.errors import UserError
from raystilts.planning.data import StudyData
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.keys import digest
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import Kind
from raystilts.scheduling.preflight import splits
from raystilts.study.schema import Resources, StageResources, Study
from raystilts.tasks.loading import fingerprint

#: Seconds by which two clocks may differ: a lock on an object store counts as dead by its age.
CLOCK_SECONDS = 10.0
#: Copies of an encoder's weights that a stage holds on its node where checkpoints are on an object store: its parent,
#: a snapshot (weights, the best ones, two moments of the optimiser), the one before it, and what it keeps.
COPIES = 10
#: Bytes for tokenised data and temporary files.
WORKING_BYTES = 10**9


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


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node has found about itself. An error is the reason why something could not be had; else it is None.

    Attributes:
        run: The run that it looked for.
        encoder_location: Where the encoder is on this node.
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
    data: str | None = None
    data_error: str | None = None
    shared: bool = False
    storage_error: str | None = None
    disk_free: int = 0
    disk_place: str = ""
    counted_gpus: float = 0
    gpus: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a node, and what to do about it."""

    what: str
    found: str
    remedy: str


def faults(expected: Expected, report: NodeReport) -> list[Fault]:
    """What keeps a node from taking part in a run."""
    return [*_code_faults(expected, report), *_input_faults(expected, report), *_place_faults(expected, report)]


def _code_faults(expected: Expected, report: NodeReport) -> list[Fault]:
    same = "install the same wheel, in the same environment, on every node, and start Ray there again"
    if report.versions != expected.versions:
        return [Fault("packages", _difference(expected.versions, report.versions), same)]
    if report.code != expected.code:
        return [Fault("raystilts", "the same version, but other source files", same)]
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


def data_digest(study: Study) -> str:
    """Hash of all data that a study reads.

    Raises:
        UserError: some of it is not here.
    """
    data, found = StudyData(study), []
    wanted = {(one.task.name, one.split, one.language or ""): one.task for one in splits(resolve(study))}
    for (name, split, language), task in sorted(wanted.items(), key=lambda item: item[0]):
        source = {"train": task.train, "dev": task.dev, "test": task.test, "pool": task.pool}[split]
        for one in (language,) if language else task.train_languages:
            if source is not None:
                found.append([name, split, one, fingerprint(source, one, data.folder).value])
    return digest(found)


@cache
def code_digest() -> str:
    """Hash of the package's own source files."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:32]


def fault_table(wrong: Iterable[tuple[str, Sequence[Fault]]]) -> str:
    """One table of what is wrong with which node; those with the same fault share its row.

    Args:
        wrong: Nodes, by name, with their faults.
    """
    same: dict[Fault, list[str]] = {}
    for name, found in wrong:
        for fault in found:
            same.setdefault(fault, []).append(name)
    table = Table(box=None, pad_edge=False, show_edge=False)
    for title, share in (("node", 2), ("what", 1), ("found", 5), ("remedy", 5)):
        table.add_column(title, ratio=share, overflow="fold")
    for fault, where in same.items():
        shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
        table.add_row(shown, fault.what, fault.found, fault.remedy)
    text = io.StringIO()
    Console(file=text, width=118, color_system=None, highlight=False).print(table)
    return "\n".join(f"  {line.rstrip()}" for line in text.getvalue().splitlines())


#: Memory of the GPUs that clouds rent, in GB, by Ray's names for them: what is known of a node before it is there.
#: Where a name stands for two sizes it is the smaller one.
KNOWN_GPU_GB: Mapping[str, float] = {
    "T4": 16, "P100": 16, "V100": 16, "A10G": 24, "L4": 24, "A100": 40, "A100-40G": 40, "A100-80G": 80, "L40S": 48,
    "H100": 80, "RTX-PRO-6000": 96, "H200": 141, "B200": 180,
}  # fmt: skip
#: Ray's label for a node's type of GPU.
ACCELERATOR = "ray.io/accelerator-type"
#: Where `ray up` leaves the cluster file on the head.
CLUSTER_FILE = Path("~/ray_bootstrap_config.yaml")
#: Stages that wait for nodes at a time where a cluster grows in a way that only its operator knows (Kubernetes).
UNKNOWN_GROWTH = 100


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node, or a type of node that the cluster can start.

    Attributes:
        name: For messages.
        most: How many there can be.
        gpu: Ray's name for its GPUs.
        gpu_gb: Memory of one of its GPUs, None where nobody knows.
    """

    name: str
    cpus: float
    gpus: float
    most: int = 1
    gpu: str | None = None
    gpu_gb: float | None = None

    def stages(self, wanted: StageResources) -> int:
        """How many stages that take so much run on one of these at a time."""
        if wanted.gpus and not self.has_memory(wanted):
            return 0
        by_gpu = self.gpus / wanted.gpus if wanted.gpus else float("inf")
        return int(min(self.cpus / wanted.cpus, by_gpu) + 1e-9)

    def has_memory(self, wanted: StageResources) -> bool:
        """Whether one of its GPUs has the memory that a stage asks for."""
        return not wanted.gpu_memory_gb or (self.gpu_gb or 0) >= wanted.gpu_memory_gb


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a cluster can hold.

    Attributes:
        nodes: Those that are there.
        types: Those that it can start.
        unknown: Whether it can start nodes of types that are known to its operator alone.
    """

    nodes: tuple[NodeType, ...]
    types: tuple[NodeType, ...] = ()
    unknown: bool = False

    def slots(self, resources: Resources, kinds: Sequence[Kind]) -> int:
        """How many stages of these kinds can run at a time, once the cluster has grown as far as it may.

        Raises:
            UserError: a kind of stage asks for more than any node has, or can have.
        """
        return max([1, *(self._slots_of(resources.of(kind), kind) for kind in kinds)])

    def _slots_of(self, wanted: StageResources, kind: Kind) -> int:
        now = sum(node.stages(wanted) for node in self.nodes)
        later = sum(one.most * one.stages(wanted) for one in self.types)
        if not now and not later:
            if self.unknown:
                return UNKNOWN_GROWTH
            raise UserError(self._too_much(wanted, kind))
        return max(now, later, UNKNOWN_GROWTH if self.unknown else 0)

    def _too_much(self, wanted: StageResources, kind: Kind) -> str:
        known = [*self.nodes, *self.types]
        cpus = max((one.cpus for one in known), default=0)
        gpus = max((one.gpus for one in known), default=0)
        remedy = "try --set resources.gpus=0 or --set resources.cpus=1"
        asked, most = f"{wanted.cpus:g} CPUs and {wanted.gpus:g} GPUs", f"{cpus:g} CPUs and {gpus:g} GPUs"
        if wanted.gpus and wanted.gpu_memory_gb:
            asked += f" of {wanted.gpu_memory_gb:g} GB"
            sizes = sorted({f"{one.gpu or 'GPU'}: {one.gpu_gb:g} GB" for one in known if one.gpu_gb})
            most += f" ({', '.join(sizes) or 'of unknown size'})"
        if self.types:
            named = ", ".join(f"{one.name} ({one.cpus:g} CPUs, {one.gpus:g} GPUs)" for one in self.types)
            remedy += f"; the cluster file {CLUSTER_FILE} can start: {named}"
        return f"resources: a {kind} stage asks for {asked}, but no machine has more than {most}; {remedy}"

    def fitting_gpus(self, wanted: StageResources) -> tuple[str, ...]:
        """Ray's names for the GPUs that a stage may go to; () where all have the memory that it asks for."""
        if not wanted.gpus or not wanted.gpu_memory_gb:
            return ()
        having = [one for one in (*self.nodes, *self.types) if one.gpus]
        fitting = {one.gpu for one in having if one.has_memory(wanted) and one.gpu}
        # A type that is large on one node and small on another cannot be told apart by its name.
        small = {one.gpu for one in having if not one.has_memory(wanted)}
        return tuple(sorted(fitting - small)) if small else ()


def capacity(reports: Collection[NodeReport] = (), *, may_grow: bool = False) -> Capacity:
    """What the cluster that this process is connected to can hold.

    Args:
        reports: What nodes have found of themselves: their GPUs' memory.
        may_grow: Whether somebody else has started it, so that an autoscaler may be at work. What it can start stands
            in the cluster file that `ray up` leaves on the head, where drivers run.
    """
    import ray

    measured = {report.host: min((size for _, size in report.gpus), default=0) / 1e9 for report in reports}
    nodes = tuple(_live(node, measured) for node in ray.nodes() if node["Alive"])
    if not may_grow:
        return Capacity(nodes)
    types = node_types(CLUSTER_FILE.expanduser())
    # With an autoscaler of its own Kubernetes' operator starts Ray without Ray's monitor.
    kubernetes = "--no-monitor" in os.environ.get("KUBERAY_GEN_RAY_START_CMD", "")
    return Capacity(nodes, types or (), types is None and kubernetes)


def _live(node: Mapping[str, Any], measured: Mapping[str, float]) -> NodeType:
    found, host = node["Resources"], node["NodeManagerHostname"]
    gpu = (node.get("Labels") or {}).get(ACCELERATOR) or _accelerator(found)
    memory = measured.get(host) or KNOWN_GPU_GB.get(gpu or "")
    return NodeType(host, found.get("CPU", 0), found.get("GPU", 0), gpu=gpu, gpu_gb=memory)


def _accelerator(resources: Mapping[str, float]) -> str | None:
    prefix = "accelerator_type:"
    return next((name.removeprefix(prefix) for name in resources if name.startswith(prefix)), None)


def node_types(path: Path) -> tuple[NodeType, ...] | None:
    """The types of nodes that a cluster file says what they hold; None where there is no cluster file."""
    import yaml

    with suppress(OSError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = []
        for name, one in config["available_node_types"].items():
            resources = one.get("resources") or {}
            gpu = (one.get("labels") or {}).get(ACCELERATOR) or _accelerator(resources)
            most = int(one.get("max_workers", config.get("max_workers", 0)))
            if most and resources:
                cpus, gpus = float(resources.get("CPU", 0)), float(resources.get("GPU", 0))
                found.append(NodeType(name, cpus, gpus, most, gpu, KNOWN_GPU_GB.get(gpu or "")))
        return tuple(found)
    return None
