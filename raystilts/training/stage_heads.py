"""What stands on the encoder in a stage: the heads of its tasks, and what an arm is aligned with."""

from __future__ import annotations

from raystilts.study.alignment import Alignment
from raystilts.study.data import masked_lm_task
from raystilts.study.plan import Stage
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.training.alignment import Aligner, DomainHead
from raystilts.training.batches import aligned_batches
from raystilts.training.data import DataReader
from raystilts.training.encoder import Pretrained
from raystilts.training.heads import Head
from raystilts.training.model import build_head
from raystilts.training.parts import stage_hyperparameters, stage_masked_lm, stage_tasks


def stage_heads(stage: Stage, study: Study, loaded: Pretrained) -> list[Head]:
    """Fresh heads of a stage's tasks and of its masked LM, as its seed gives them."""
    tasks, masked_lm = stage_tasks(stage), stage_masked_lm(stage)
    if masked_lm is not None:
        tasks.append(masked_lm_task(masked_lm))
    pooling, seed = study.encoder.pooling, stage.seed or 0
    return [build_head(task, loaded, pooling, seed * 101 + i) for i, task in enumerate(tasks)]


def domain_heads(stage: Stage, loaded: Pretrained) -> list[DomainHead]:
    """The classifier of domains of an arm that is aligned by one."""
    align = _alignment(stage)
    adversarial = align is not None and align.loss == "adversarial"
    return [DomainHead(loaded.hidden, (stage.seed or 0) * 101 + 97)] if adversarial else []


def stage_aligner(
    stage: Stage, study: Study, reader: DataReader, heads: list[DomainHead], steps: int
) -> Aligner | None:
    """What an arm's training of so many updates is aligned with, if it is."""
    align = _alignment(stage)
    if align is None:
        return None
    features = reader.training(get_task(align.to), study.hyperparameters.resolve(align.to))
    examples = aligned_batches(features.num_examples, stage_hyperparameters(stage, study), stage.seed or 0, steps)
    return Aligner(align, features, examples, len(stage_tasks(stage)), heads[0] if heads else None)


def _alignment(stage: Stage) -> Alignment | None:
    return stage.intermediate.align if stage.kind == "intermediate" else None
