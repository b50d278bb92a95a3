"""A process whose model needs 256 MB for each feature of a batch, in an address space that has so much left.

python -m tests.training.hungry CHECKPOINT MEGABYTES train|predict
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raystilts.planning.encoders import describe_encoder
from raystilts.study.encoder import Encoder
from raystilts.tasks.registry import get_task
from raystilts.training.collate import Batch
from raystilts.training.encoder import pretrained
from raystilts.training.evaluate import Readout, predict
from raystilts.training.loop import train
from raystilts.training.model import Head, Model

from .examples import job

FEATURE_BYTES = 256 * 10**6


class HungryModel(Model):
    """A model that asks the allocator for as much as a large one would."""

    def __init__(self, encoder: nn.Module, heads: list[Head]) -> None:
        super().__init__(encoder, heads)
        self.tried: list[int] = []
        self.fitted: list[int] = []

    def states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """Token states, while the memory of a large model is taken; it is never written to."""
        size = len(batch.input_ids)
        self.tried.append(size)
        taken = torch.empty(size * FEATURE_BYTES, dtype=torch.uint8)
        states = super().states(batch, layer)
        self.fitted.append(size)
        del taken
        return states


def limit(megabytes: int) -> None:
    """Leaves so much of the address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + megabytes * 10**6
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(checkpoint: str, megabytes: int, work: str) -> dict[str, Any]:
    """Trains four updates, or predicts once."""
    torch.set_num_threads(1)
    loaded = pretrained(describe_encoder(Encoder(model_name_or_path=checkpoint)))
    loaded.restore(None, torch.device("cpu"))
    # A large epsilon: Adam's first steps are the signs of gradients, where rounding could show.
    one = job(loaded, "cldr_names", 4, adam_epsilon=1e-3)
    model = HungryModel(one.model.encoder, [one.model.head(0)])
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    one.model = model
    readout = Readout(head_index=0, layer=None, pad_id=loaded.tokenizer.pad_token_id, tokens=4096, bf16=False)
    limit(megabytes)
    try:
        if work == "predict":
            [scores] = predict(model, get_task("cldr_names"), one.features, readout)
            found: dict[str, Any] = {"scores": np.asarray(scores).ravel().tolist()}
        else:
            found = asdict(train(one)) | {"weights": [float(p.detach().double().sum()) for p in model.parameters()]}
    except RuntimeError as error:
        found = {"error": str(error)}
    return found | {"tried": model.tried, "fitted": model.fitted}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
