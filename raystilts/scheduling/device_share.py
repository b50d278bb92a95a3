"""`resources: auto`: how many stages share a GPU, from the memory that the largest of them takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from raystilts.planning.stages import Kind, Plan, Stage
from raystilts.scheduling.node_check import node_report, prepared
from raystilts.scheduling.nodes import ACCELERATOR, Capacity, Expected, capacity
from raystilts.study.schema import Resources, Study

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
        """What a process is to have."""
        return round(SLACK * self.peak) + self.context


def share_of(needed: int, total: int) -> float:
    """The share of a GPU of so many bytes that holds `needed`: one of 1, 1/2 ... 1/8.

    Rounded down in the fourth digit, which is the last that Ray counts: else six sixths would be more than one.
    """
    many = min(MOST_ON_A_GPU, max(1, total // max(1, needed)))
    return int(10_000 / many) / 10_000


def heaviest(stages: Iterable[Stage], study: Study) -> list[Stage]:
    """The stages to measure: of each kind of work the one with most sub-words in a forward pass.

    Kinds of work are retrieval, which keeps the states of all layers, masked LM with its scores of all words,
    alignment with its second batch, and plain training. Kinds that the study gives resources of their own are left out.
    """
    found: dict[str, Stage] = {}
    for stage in stages:
        if stage.kind in study.resources.by_kind:
            continue
        work = _work(stage)
        if work not in found or _width(stage) > _width(found[work]):
            found[work] = stage
    return list(found.values())


def _work(stage: Stage) -> str:
    if stage.kind != "intermediate":
        return "retrieval" if stage.kind == "retrieval" else "training"
    arm = stage.intermediate
    return "masked_lm" if arm.masked_lm is not None else "alignment" if arm.align is not None else "training"


def _width(stage: Stage) -> int:
    """Sub-words of the largest micro-batch, if all its sequences were as long as they may be."""
    own = stage.hyperparameters
    widths = [own.max_length or 0]
    for one in stage.tasks:
        kind = one.task.type
        length = one.hyperparameters.max_length or kind.default_max_length
        widths.append(length * (kind.num_labels if kind.head == "choice" else 1))
    return own.per_device_train_batch_size * max(widths)


def prepared_with_share(
    planned: Plan,
    stages: Iterable[Stage],
    results: str,
    kinds: Sequence[Kind],
    address: str | None,
    console: Console,
) -> tuple[Plan, Expected | None, Capacity]:
    """`prepared`, and where the study says `resources: auto`, the plan with resources that were picked here.

    With GPUs in the cluster, or in what it can start, the heaviest stages run their largest update on one of them,
    alone. Without any, a stage takes one CPU and is one thread.

    Args:
        stages: Those that are to run.

    Raises:
        UserError: nodes that cannot take part, or stages that no node can take.
        StorageError: a disk without room.
    """
    asked = planned.study.resources
    if not asked.auto:
        return planned, *prepared(planned, results, kinds, address, console)
    seen = capacity(may_grow=address is not None)
    on_gpu = any(one.gpus for one in (*seen.nodes, *seen.types))
    whole = with_share(planned, 1.0 if on_gpu else 0.0)
    expected, cluster = prepared(whole, results, kinds, address, console)
    if not on_gpu or expected is None:
        slots = cluster.slots(whole.study.resources, kinds)
        console.print(cpu_line(asked.cpus, slots), highlight=False)
        return whole, expected, cluster
    chosen = heaviest(stages, planned.study)
    if not chosen:
        return whole, expected, cluster
    footprint = measured(chosen, whole.study.resources, expected, cluster, console)
    if footprint is None:
        return whole, expected, cluster
    total = smallest_gpu(footprint.total, whole.study.resources, cluster)
    share = share_of(footprint.needed, total)
    console.print(share_line(share, footprint.peak, total), highlight=False)
    return with_share(planned, share), expected, cluster


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
    fitting = cluster.fitting_gpus(wanted)
    where = {"label_selector": {ACCELERATOR: f"in({','.join(fitting)})"}} if fitting else {}
    task = ray.remote(num_gpus=1, num_cpus=wanted.cpus, **where)(footprint_here)
    try:
        found: Footprint = ray.get(task.remote(stages, expected, max(1, int(wanted.cpus))))
    except ray.exceptions.RayError as error:  # whatever goes wrong there a study can do without
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        console.print(f"resources: auto: a whole GPU a stage (not measured: {reason.strip()[:160]})", highlight=False)
        return None
    return found


def footprint_here(stages: Sequence[Stage], expected: Expected, threads: int) -> Footprint:
    """Runs the largest update and evaluation batch of each stage on this process's GPU.

    Raises:
        RuntimeError: torch sees no GPU.
    """
    import torch

    from raystilts.tasks.registry import load_task_file
    from raystilts.training.memory import release_memory
    from raystilts.training.rehearsal import rehearse

    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU there")
    for path in expected.study.task_files:
        load_task_file(path)
    encoder = replace(expected.encoder, location=node_report(expected).encoder_location)
    torch.cuda.init()  # type: ignore[no-untyped-call]
    torch.cuda.reset_peak_memory_stats()
    for stage in stages:
        rehearse(stage, expected.study, device="cuda", threads=threads, encoder=encoder)
        release_memory()
    free, total = torch.cuda.mem_get_info()
    return Footprint(torch.cuda.max_memory_allocated(), total - free - torch.cuda.memory_reserved(), total)
