"""How many stages run at a time: what the cluster holds and can start, and the share of a GPU that a stage takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from raystilts.errors import UserError
from raystilts.memory import CONTEXT_BYTES
from raystilts.planning.stage import Kind, Stage
from raystilts.planning.stages import Plan
from raystilts.scheduling.node_report import check_nodes, last_line, node_report
from raystilts.scheduling.nodes import Expected, NodeReport
from raystilts.study.resources import Resources, StageResources
from raystilts.study.schema import Study

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
        over = [f"--set resources.gpus={gpus:g}"] if wanted.gpus > gpus else []
        over += [f"--set resources.cpus={max(1, cpus):g}"] if wanted.cpus > cpus else []
        over = over or ["--set resources.gpus=0"]
        if "--set resources.gpus=0" in over and isinstance(wanted, Resources) and wanted.share == "mps":
            over.append("--set resources.share=time")
        remedy = f"try {' '.join(over)}"
        asked, most = f"{wanted.cpus:g} CPUs and {wanted.gpus:g} GPUs", f"{cpus:g} CPUs and {gpus:g} GPUs"
        if wanted.gpus and wanted.gpu_memory_gb:
            asked += f" of {wanted.gpu_memory_gb:g} GB"
            sizes = sorted({f"{one.gpu or 'GPU'}: {one.gpu_gb:g} GB" for one in known if one.gpu_gb})
            most += f" ({', '.join(sizes) or 'of unknown size'})"
        if self.types:
            named = ", ".join(f"{one.name} ({one.cpus:g} CPUs, {one.gpus:g} GPUs)" for one in self.types)
            remedy += f"; the cluster file {CLUSTER_FILE} can start: {named}"
        return f"resources: each {kind} stage asks for {asked}, but no machine has more than {most}; {remedy}"

    def fitting_gpus(self, wanted: StageResources) -> tuple[str, ...]:
        """Ray's names for the GPUs that a stage may go to; () where all have the memory that it asks for."""
        if not wanted.gpus or not wanted.gpu_memory_gb:
            return ()
        having = [one for one in (*self.nodes, *self.types) if one.gpus]
        fitting = {one.gpu for one in having if one.has_memory(wanted) and one.gpu}
        # A type that is large on one node and small on another cannot be told apart by its name.
        small = {one.gpu for one in having if not one.has_memory(wanted)}
        return tuple(sorted(fitting - small)) if small else ()

    def labels(self, wanted: StageResources) -> dict[str, str]:
        """What Ray's scheduler is to look for on a stage's node: the types of GPU that have the memory."""
        fitting = self.fitting_gpus(wanted)
        return {ACCELERATOR: f"in({','.join(fitting)})"} if fitting else {}


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


#: Memory that torch's allocator holds beyond what tensors take at their most: freed blocks of other sizes.
SLACK = 1.2
#: Stages on one GPU at most: each is a process that also takes CPU time and a share of the bus.
MOST_ON_A_GPU = 8


@dataclass(frozen=True, slots=True)
class Footprint:
    """What stages took on a GPU that they had to themselves, in bytes.

    Attributes:
        peak: Memory of tensors at their most.
        context: Memory in use outside torch's allocator, after that: CUDA's context and its libraries.
        total: Memory of the GPU.
    """

    peak: int
    context: int
    total: int

    @property
    def needed(self) -> int:
        """What a process is to have; a stage is kept to what is left of its share without `CONTEXT_BYTES`."""
        return round(SLACK * self.peak) + max(self.context, CONTEXT_BYTES)


def share_of(needed: int, total: int) -> float:
    """The share of a GPU of so many bytes that holds `needed`: one of 1, 1/2 ... 1/8.

    Rounded down in the fourth digit, which is the last that Ray counts: else six sixths would be more than one.
    """
    many = min(MOST_ON_A_GPU, max(1, total // max(1, needed)))
    return int(10_000 / many) / 10_000


def heaviest(stages: Iterable[Stage], study: Study) -> list[Stage]:
    """The stages to measure: of each encoder and kind of work the one with most sub-words in a forward pass.

    Kinds of work are retrieval, which keeps the states of all layers, masked LM with its scores of all words,
    alignment with its second batch, and plain training; each apart where a part of the encoder trains. Kinds that the
    study gives resources of their own are left out.
    """
    found: dict[tuple[str, str], Stage] = {}
    for stage in stages:
        if stage.kind in study.resources.by_kind or (stage.kind == "intermediate" and not stage.trains):
            continue
        work = stage.encoder, _work(stage)
        if work not in found or _width(stage) > _width(found[work]):
            found[work] = stage
    return list(found.values())


def _work(stage: Stage) -> str:
    if stage.kind == "retrieval":
        return "retrieval"
    arm, work = stage.trained, "training"
    if arm is not None and (arm.masked_lm is not None or arm.align is not None):
        work = "masked_lm" if arm.masked_lm is not None else "alignment"
    return work if stage.tuning.is_full else f"{work} of {stage.tuning.word}"


def _width(stage: Stage) -> int:
    """Sub-words of the largest micro-batch, if all its sequences were as long as they may be."""
    own = stage.hyperparameters
    widths = [own.max_length or 0]
    for one in stage.tasks:
        kind = one.task.type
        length = one.hyperparameters.max_length or kind.default_max_length
        widths.append(length * (kind.num_labels if kind.head == "choice" else 1))
    return own.per_device_train_batch_size * max(widths)


def prepared(
    planned: Plan,
    stages: Iterable[Stage],
    look: Callable[[Plan], Expected],
    kinds: Sequence[Kind],
    address: str | None,
    console: Console,
) -> tuple[Plan, Expected | None, Capacity]:
    """Looks at the cluster's nodes; where the study says `resources: auto`, picks what a stage takes.

    With GPUs in the cluster, or in what it can start, the heaviest stages run their largest update on one of them,
    alone. Without any, a stage takes one CPU and is one thread.

    Args:
        stages: Those that are to run.
        look: Says what nodes must be, and leaves it where they look.
        kinds: Kinds of the stages.
        address: The running cluster; None for one of our own, on this machine.

    Returns:
        The plan with the resources of its stages, what nodes that come later must be, and what the cluster can hold.

    Raises:
        UserError: nodes that cannot take part, or stages that no node can take.
        StorageError: a disk without room.
    """
    asked = planned.study.resources
    if not asked.auto:
        return planned, *_checked_cluster(planned, look, kinds, address, console)
    seen = capacity(may_grow=address is not None)
    on_gpu = any(one.gpus for one in (*seen.nodes, *seen.types))
    whole = with_share(planned, 1.0 if on_gpu else 0.0)
    expected, cluster = _checked_cluster(whole, look, kinds, address, console)
    if not on_gpu or expected is None:
        slots = cluster.slots(whole.study.resources, kinds)
        console.print(cpu_line(asked.cpus, slots), highlight=False)
        return whole, expected, cluster
    chosen = heaviest(stages, planned.study)
    footprint = measured(chosen, whole.study.resources, expected, cluster, console) if chosen else None
    if footprint is None:
        return whole, expected, cluster
    total = smallest_gpu(footprint.total, whole.study.resources, cluster)
    share = share_of(footprint.needed, total)
    console.print(share_line(share, footprint.peak, total), highlight=False)
    return with_share(planned, share), expected, cluster


def _checked_cluster(
    planned: Plan, look: Callable[[Plan], Expected], kinds: Sequence[Kind], address: str | None, console: Console
) -> tuple[Expected | None, Capacity]:
    """Looks at the nodes of a cluster, where there may be several or GPUs are asked for."""
    if address is None and not any(planned.study.resources.of(kind).gpus for kind in kinds):
        return None, capacity()
    expected = look(planned)
    return expected, capacity(check_nodes(expected, console), may_grow=address is not None)


def with_share(planned: Plan, gpus: float) -> Plan:
    """The plan with a share of a GPU for each stage, in place of `auto`."""
    resources = planned.study.resources.model_copy(update={"gpus": gpus, "auto": False})
    return replace(planned, study=planned.study.model_copy(update={"resources": resources}))


def smallest_gpu(measured: int, wanted: Resources, cluster: Capacity) -> int:
    """Bytes of the smallest GPU that stages may go to, as far as is known: a share must hold them on each."""
    known = [one.gpu_gb for one in (*cluster.nodes, *cluster.types) if one.gpus and one.has_memory(wanted)]
    return min([measured, *(round(size * 1e9) for size in known if size)])


def share_line(share: float, peak: int, total: int) -> str:
    """What a run says of the share that it has picked."""
    return f"resources: auto: {share:g} of a GPU a stage (peak {peak / 1e9:.1f} of {total / 1e9:.1f} GB)"


def cpu_line(cpus: float, slots: int) -> str:
    """What a run says where it has found no GPU."""
    named = "1 CPU" if cpus == 1 else f"{cpus:g} CPUs"
    return f"resources: auto: {named} a stage, {slots} at a time (no GPU found)"


def measured(
    stages: list[Stage], wanted: Resources, expected: Expected, cluster: Capacity, console: Console
) -> Footprint | None:
    """What the stages take on a GPU of the cluster; None, with a line that says why, where that could not be had.

    Args:
        wanted: A whole GPU, and what else a stage takes.
    """
    import ray

    console.print("resources: auto: measuring the memory of a stage on one GPU", highlight=False)
    task = ray.remote(num_gpus=1, num_cpus=wanted.cpus, label_selector=cluster.labels(wanted) or None)(footprint_here)
    try:
        found: Footprint = ray.get(task.remote(stages, expected, max(1, int(wanted.cpus))))
    except ray.exceptions.RayError as error:  # whatever goes wrong there a study can do without
        console.print(f"resources: auto: a whole GPU a stage (not measured: {last_line(error)})", highlight=False)
        return None
    return found


def footprint_here(stages: Sequence[Stage], expected: Expected, threads: int) -> Footprint:
    """Runs the largest update and evaluation batch of each stage on this process's GPU.

    Raises:
        RuntimeError: torch sees no GPU.
    """
    import torch

    from raystilts.planning.resolve import load_task_files
    from raystilts.training.memory import release_memory
    from raystilts.training.rehearsal import rehearse

    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU there")
    load_task_files(expected.study)
    report = node_report(expected)
    encoder = replace(expected.encoder, location=report.encoder_location)
    several = {name: replace(info, location=report.locations[name]) for name, info in expected.encoders.items()}
    torch.cuda.init()  # type: ignore[no-untyped-call]
    torch.cuda.reset_peak_memory_stats()
    for stage in stages:
        study = expected.study.of_encoder(stage.encoder)
        rehearse(stage, study, device="cuda", threads=threads, encoder=several.get(stage.encoder, encoder))
        release_memory()
    free, total = torch.cuda.mem_get_info()
    return Footprint(torch.cuda.max_memory_allocated(), total - free - torch.cuda.memory_reserved(), total)
