"""What a cluster can hold: the nodes that it has, the node types that it can start, and which of them fit a stage."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raystilts.errors import UserError
from raystilts.scheduling.nodes import NodeReport
from raystilts.study.plan import Kind
from raystilts.study.schema import Resources, StageResources

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
