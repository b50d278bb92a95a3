"""What a node finds when it looks at itself: before training starts, or before its first stage if it comes later."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from rich.console import Console

from raystilts.errors import StorageError, UserError, first_line
from raystilts.filesystem import open_folder
from raystilts.planning.resolve import resolve
from raystilts.scheduling.fault_table import Fault, fault_table
from raystilts.scheduling.node_encoders import check_checkpoints_here, local_encoder, locations
from raystilts.scheduling.nodes import (
    RUN_FILE,
    SAME_WHEEL,
    Expected,
    NodeReport,
    clock_fault,
    code_digest,
    data_digest,
    faults,
)
from raystilts.scheduling.preflight import check_data
from raystilts.scheduling.record import versions
from raystilts.training.cache import cache_folder

#: In the results folder: a report of each node.
REPORTS = "nodes"
#: Seconds that a shared folder may take to show what another machine wrote, and that a node may take to answer.
VISIBLE_SECONDS, ANSWER_SECONDS = 15.0, 1800.0


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
        return None, [Fault("raystilts", f"does not run there: {last_line(error)}", SAME_WHEEL)]
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
