"""What a Ray actor does with a stage: run it, write its rows, say how it ended."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ray import tune

from raystilts.errors import StorageError, UserError
from raystilts.results.writer import next_attempt, write_attempt
from raystilts.scheduling.record import Attempt
from raystilts.study.plan import Plan, Stage
from raystilts.study.schema import StageResources

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What every actor of a run is given once.

    Attributes:
        results: The results folder.
        checkpoints: The folder of checkpoints.
        task_files: The user's own task files, to be registered in each actor.
    """

    plan: Plan
    results: str
    checkpoints: str


class StageTrainable(tune.Trainable):  # type: ignore[misc]
    """One stage a trial. Actors are reused: encoder and tokenised data stay in the process."""

    def setup(self, config: dict[str, Any], assignment: Assignment) -> None:
        """Takes the stage named by the config."""
        from raystilts.tasks.registry import load_task_file

        self.assignment = assignment
        for path in assignment.plan.study.task_files:
            load_task_file(path)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes another stage in the same process."""
        return True

    def step(self) -> dict[str, Any]:
        """Runs the stage to its end; failures of the stage are results, not failures of the actor."""
        stage = self.assignment.plan.stages[self.config["stage"]]
        return {"done": True, **run_and_record(stage, self.assignment)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: stages keep their own checkpoints, which outlive the run."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, likewise."""


def run_and_record(stage: Stage, assignment: Assignment) -> dict[str, Any]:
    """Runs a stage and writes its rows; returns what the driver is told.

    Raises:
        StorageError: the rows could not be written.
    """
    import torch

    from raystilts.training.loop import TrainingDiverged
    from raystilts.training.stage import run_stage

    study = assignment.plan.study
    resources = study.resources.of(stage.kind)
    device = "cuda" if resources.gpus > 0 and torch.cuda.is_available() else "cpu"
    attempt = Attempt(
        stage=stage,
        study=study,
        encoder=assignment.plan.encoder,
        number=next_attempt(assignment.results, stage.key),
        started=datetime.now(UTC),
        device_share=device_share(resources),
    )
    try:
        result = run_stage(
            stage,
            study,
            assignment.checkpoints,
            device=device,
            threads=max(1, int(resources.cpus)),
            encoder=assignment.plan.encoder,
        )
    except TrainingDiverged as error:
        row = attempt.failed("nan", str(error))
    except TimeoutError:
        row = attempt.failed("timeout", f"longer than time_limit_s = {study.time_limit_s:g}")
    except torch.OutOfMemoryError as error:
        row = attempt.failed("oom", str(error))
    except OSError as error:
        if error.errno == 28:  # no space left: no row could be written either
            raise StorageError(f"{error.strerror}: {error.filename}") from None
        row = attempt.failed("error", traceback.format_exc())
    except UserError as error:
        row = attempt.failed("error", str(error))
    except Exception:
        # Whatever a model, tokenizer or task does wrong ends this stage alone, with its trace in the ledger.
        row = attempt.failed("error", traceback.format_exc())
    else:
        row, scores = attempt.finished(result)
        write_attempt(assignment.results, row, scores)
        return {"status": "finished", "dev_score": result.dev_score, "seconds": row.seconds}
    finally:
        release_memory()
    logger.warning("stage %s failed: %s", stage.key, row.error)
    write_attempt(assignment.results, row, [])
    return {"status": "failed", "error": row.error, "seconds": row.seconds}


def release_memory() -> None:
    """Gives back what the last stage held: an actor lives through many stages."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        # glibc keeps freed tensors for itself unless it is asked; other C libraries have no such call.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def device_share(resources: StageResources) -> float:
    """The share of a device that a stage has to itself: of a GPU where it takes any, else of one CPU."""
    return min(1.0, resources.gpus if resources.gpus > 0 else resources.cpus)
