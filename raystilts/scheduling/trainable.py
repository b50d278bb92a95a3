"""What a Ray actor does with a stage: run it, write its rows, say how it ended."""

from __future__ import annotations

import gc
import logging
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ray import tune

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import is_disk_full
from raystilts.planning.stage import Kind, Stage
from raystilts.planning.stages import Plan
from raystilts.ranking.degenerate import is_broken
from raystilts.results.items import write_items
from raystilts.results.ledger import write_attempt
from raystilts.results.stratum import CHANCE
from raystilts.scheduling.fault_table import fault_table
from raystilts.scheduling.mps import has_joined, join_mps
from raystilts.scheduling.node_report import node_report
from raystilts.scheduling.nodes import Expected, faults
from raystilts.scheduling.preflight import check_room
from raystilts.scheduling.record import TIMEOUT, Attempt, too_long
from raystilts.scheduling.stopping import asks_to_stop
from raystilts.study.resources import Resources, StageResources
from raystilts.tuning.trials import Unit, trial_stages, trial_study

#: What to do when a disk is full.
FREE_SOME = "free some and run the same command again: finished stages are kept, interrupted ones go on"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What every actor of a run is given once.

    Attributes:
        results: The results folder.
        checkpoints: The folder of checkpoints.
        attempts: The last attempt of stages that were tried before.
        expected: What a node must be, where the cluster may have several.
        run: Names the run, which can be asked to stop.
        trackers: What the driver found out of the study's trackers.
    """

    plan: Plan
    results: str
    checkpoints: str
    attempts: Mapping[str, int] = field(default_factory=dict)
    expected: Expected | None = None
    run: str | None = None
    trackers: Mapping[str, str] = field(default_factory=dict)


class StageTrainable(tune.Trainable):  # type: ignore[misc]
    """One stage a trial. Actors are reused: encoder and tokenised data stay in the process."""

    def setup(self, config: dict[str, Any], assignment: Assignment) -> None:
        """Takes the stage named by the config."""
        from raystilts.planning.resolve import load_task_files

        self.warm, self.not_shared = False, None
        self.assignment, self.unfit = on_this_node(assignment)
        if self.unfit is None:
            load_task_files(assignment.plan.study)
            self.not_shared = share_gpu(assignment.plan.study.resources, config["kind"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes another stage in the same process."""
        return True

    def step(self) -> dict[str, Any]:
        """Runs the stage to its rung or its end; failures of the stage are results, not failures of the actor."""
        if self.unfit is not None:
            return {"done": True, "status": "storage", "error": self.unfit}
        stage, assignment = self.stage_and_assignment()
        try:
            check_room(assignment.results)
            outcome = run_and_record(stage, assignment, self.config["until"])
            self.keep_what_is_warm()
            return {"done": True, "not_shared": self.not_shared, **outcome}
        except StorageError as error:
            return {"done": True, "status": "storage", "error": str(error)}
        except ImportError as error:  # those of a stage's own work are its failure, and in its row
            return {"done": True, "status": "storage", "error": f"{socket.gethostname()}: {error}; install there again"}

    def keep_what_is_warm(self) -> None:
        """Lets collections of garbage, one a stage, leave out what the first stage has loaded: it stays anyway."""
        if not self.warm:
            gc.freeze()
            self.warm = True

    def stage_and_assignment(self) -> tuple[Stage, Assignment]:
        """The stage that the config names, and the assignment that it belongs to."""
        return self.assignment.plan.stages[self.config["stage"]], self.assignment

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: stages keep their own checkpoints, which outlive the run."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, likewise."""


class TrialTrainable(StageTrainable):
    """One segment of a trial's stage a Tune trial."""

    def stage_and_assignment(self) -> tuple[Stage, Assignment]:
        """The trial's stage, and the assignment whose plan is that of the trial."""
        unit, values = Unit(self.config["unit"], self.config["role"]), self.config["values"]
        planned = self.assignment.plan
        stages = {stage.key: stage for stage in trial_stages(planned.study, unit, values)}
        own = replace(planned, study=trial_study(planned.study, unit, values), stages=stages)
        return stages[self.config["stage"]], replace(self.assignment, plan=own)


def share_gpu(resources: Resources, kind: Kind) -> str | None:
    """Has this process compute beside others on its GPU, where the study says so; what keeps it from that, if anything.

    Stages of a process take the same of a GPU, so that the kind of the first one speaks for all.
    """
    if resources.share == "time" or not resources.of(kind).shares_gpu:
        return None
    why = join_mps()
    return None if why is None else f"{socket.gethostname()}: {why}"


def on_this_node(assignment: Assignment) -> tuple[Assignment, str | None]:
    """An assignment with the encoder as it lies on this node, and what keeps the node from taking part, if anything.

    Nodes that were there at the start have been looked at; those that came later are looked at here.
    """
    if assignment.expected is None:
        return assignment, None
    report = node_report(assignment.expected)
    wrong = faults(assignment.expected, report)
    if wrong:
        return assignment, f"a node that came later cannot take part.\n{fault_table([(report.host, wrong)])}"
    plan = assignment.plan
    encoder = replace(plan.encoder, location=report.encoder_location)
    encoders = {name: replace(info, location=report.locations[name]) for name, info in plan.encoders.items()}
    return replace(assignment, plan=replace(plan, encoder=encoder, encoders=encoders)), None


def run_and_record(stage: Stage, assignment: Assignment, until: float = 1.0) -> dict[str, Any]:
    """Runs a stage, up to a share of its budget, and writes its rows; returns what the driver is told.

    Raises:
        StorageError: checkpoints or rows could not be written.
    """
    import torch

    from raystilts.tracking.reporter import reporter_of
    from raystilts.training.energy import Meter
    from raystilts.training.limits import StageInterrupted
    from raystilts.training.loop import TrainingDiverged
    from raystilts.training.memory import limit_gpu_memory, release_memory
    from raystilts.training.stage import run_stage

    study, encoder = assignment.plan.study_of(stage), assignment.plan.encoder_of(stage)
    resources = study.resources.of(stage.kind)
    device = "cuda" if resources.gpus > 0 and torch.cuda.is_available() else "cpu"
    attempt = Attempt(
        stage=stage,
        study=study,
        encoder=encoder,
        number=1 + assignment.attempts.get(stage.key, 0),  # taken or not: the writer knows
        started=datetime.now(UTC),
        device_share=device_share(resources),
        meter=Meter(torch.device(device), resources.gpus, resources.cpus),
    )
    reporter = reporter_of(stage, study, assignment.results, assignment.trackers)
    limited = device == "cuda" and resources.shares_gpu and study.resources.limit_gpu_memory
    try:
        if limited:
            limit_gpu_memory(resources.gpus)
        if device == "cpu" and has_joined():
            raise RuntimeError("CUDA sees no GPU through MPS; give share: time under resources")
        result = run_stage(
            stage,
            study,
            assignment.checkpoints,
            device=device,
            threads=max(1, int(resources.cpus)),
            encoder=encoder,
            until=until,
            interrupted=None if assignment.run is None else asks_to_stop(assignment.run),
            watcher=reporter,
        )
    except StageInterrupted:
        reporter.end("interrupted", seconds=2.0)  # whoever asks to stop waits
        return {"status": "interrupted"}
    except TrainingDiverged as error:
        row = attempt.failed("nan", str(error))
    except TimeoutError:
        row = attempt.failed(TIMEOUT, too_long(study))
    except UserError as error:
        row = attempt.failed("error", str(error))
    except StorageError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise StorageError(f"{assignment.checkpoints}: no space left; {FREE_SOME}") from None
        # Whatever a model, tokenizer or task does wrong ends this stage alone, with its trace in the ledger.
        row = attempt.failed(*failure_of(error, resources.gpus if limited else None))
    else:
        row, scores = attempt.finished(result)
        write_items(assignment.results, stage.key, result.items)
        write_attempt(assignment.results, row, scores)
        return {
            "status": row.status,
            "dev_score": result.dev_score,
            "dev_means": dict(result.dev_means),
            "flagged": is_broken(row.degenerate_rule),
            "at_chance": row.degenerate_rule == CHANCE,
            "seconds": row.seconds,
            "trackers": reporter.end(row.status, result),
        }
    finally:
        reporter.close()
        release_memory()
    logger.warning("stage %s failed: %s", stage.key, row.error)
    write_attempt(assignment.results, row, [])
    return {"status": "failed", "error": row.error, "seconds": row.seconds, "trackers": reporter.end("failed")}


def failure_of(error: Exception, share: float | None) -> tuple[str, str]:
    """The reason and the trace of a failure; where memory ran out, what to do as well.

    Args:
        share: The share of a GPU's memory that the stage was kept to; None where it was not.
    """
    from raystilts.training.memory import is_out_of_memory

    trace = "".join(traceback.format_exception(error)).rstrip()
    if not is_out_of_memory(error):
        return "error", trace
    if share is None:
        return "oom", trace
    return "oom", (
        f"{trace} (kept to its share of the GPU's memory, gpus: {share:g}: give more, or limit_gpu_memory: false)"
    )


def device_share(resources: StageResources) -> float:
    """The share of a device that a stage has to itself: of a GPU where it takes any, else of one CPU."""
    return min(1.0, resources.gpus if resources.gpus > 0 else resources.cpus)
