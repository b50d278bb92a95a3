"""Looking at every node before training starts, and at each that comes later before its first stage."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from rich.console import Console

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import open_folder
from raystilts.planning.encoders import EncoderInfo, fetch_encoder
from raystilts.planning.stages import Kind, Plan
from raystilts.scheduling.nodes import (
    Capacity,
    Expected,
    Fault,
    NodeReport,
    capacity,
    clock_fault,
    code_digest,
    data_digest,
    fault_table,
    faults,
    node_disk_bytes,
)
from raystilts.scheduling.preflight import check_data
from raystilts.scheduling.record import versions
from raystilts.study.schema import Encoder
from raystilts.training.data import cache_folder

#: In the results folder: which run is at work, and a report of each node.
RUN_FILE, REPORTS = "nodes/run.json", "nodes"
#: Seconds that a shared folder may take to show what another machine wrote, and that a node may take to answer.
VISIBLE_SECONDS, ANSWER_SECONDS = 15.0, 1800.0


def prepared(
    planned: Plan, results: str, kinds: Sequence[Kind], address: str | None, console: Console
) -> tuple[Expected | None, Capacity]:
    """Looks at the nodes of a cluster, where there may be several or GPUs are asked for.

    Args:
        kinds: Kinds of the stages to run.
        address: The running cluster; None for one of our own, on this machine.

    Returns:
        What nodes that come later must be, and what the cluster can hold.

    Raises:
        UserError: nodes that cannot take part, or stages that no node can take.
        StorageError: a disk without room.
    """
    if address is None and not any(planned.study.resources.of(kind).gpus for kind in kinds):
        return None, capacity()
    expected = announce(planned, results, kinds)
    return expected, capacity(check_nodes(expected, console), may_grow=address is not None)


def announce(planned: Plan, results: str, kinds: Sequence[Kind]) -> Expected:
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
        data=data_digest(planned.study),
        results=results,
        disk_bytes=node_disk_bytes(planned.encoder, folder.path is None),
        gpu_kinds=tuple(kind for kind in kinds if planned.study.resources.of(kind).gpus > 0),
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
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        remedy = "install the same wheel, in the same environment, on every node, and start Ray there again"
        return None, [Fault("raystilts", f"does not run there: {reason.strip()[:160]}", remedy)]
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
    from raystilts.tasks.registry import load_task_file

    found: dict[str, Any] = {}
    try:
        here = local_encoder(expected.study.encoder, expected.encoder)
        found |= {"encoder": here.fingerprint, "encoder_location": here.location}
    except (UserError, OSError) as error:
        found["encoder_error"] = _line(error)
    try:
        for path in expected.study.task_files:
            load_task_file(path)
        check_data(expected.study)
        found["data"] = data_digest(expected.study)
    except (UserError, OSError, KeyError) as error:
        found["data_error"] = _line(error)
    return found


def local_encoder(encoder: Encoder, planned: EncoderInfo) -> EncoderInfo:
    """The planned encoder as it lies on this node, fetched in the planned revision.

    Raises:
        UserError: it is neither here nor on the hub.
    """
    pinned = encoder if planned.revision is None else encoder.model_copy(update={"revision": planned.revision})
    return fetch_encoder(pinned)


def _disk() -> dict[str, Any]:
    place = cache_folder()
    place.mkdir(parents=True, exist_ok=True)
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
        return {"storage_error": _line(error)}
    return {"shared": shared}


def _read_run(expected: Expected) -> str | None:
    with suppress(FileNotFoundError, ValueError):
        return str(json.loads(open_folder(expected.results).read(RUN_FILE))["run"])
    return None


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
