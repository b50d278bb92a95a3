"""Layers compiled by torch, while they train: fewer and larger kernels on a GPU.

The layers of an encoder are the same code, so torch compiles one and takes what comes out for all (what PyTorch calls
regional compilation), for sequences of any length. A process keeps it from stage to stage. Evaluation, whose batches
are large, goes through the layers as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from raystilts.errors import UserError

#: What a layer was compiled to; processes are warm, and compiling takes half a minute.
_COMPILED: WeakKeyDictionary[nn.Module, Callable[..., Any]] = WeakKeyDictionary()
#: The compiler, by torch's name for it.
BACKEND = "inductor"


class CompiledLayers:
    """Switches an encoder's layers between compiled and plain.

    Raises:
        UserError: the encoder has no row of layers of one kind.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self._layers = layers_of(encoder)
        if not self._layers:
            kind: Any = encoder.config
            raise UserError(
                f"hyperparameters.torch_compile: the layers of a {kind.model_type} are not of one kind; leave it out"
            )

    def switch(self, training: bool) -> None:
        """To compiled layers for training, or to plain ones."""
        for layer in self._layers:
            if training and layer not in _COMPILED:
                layer.compile(backend=BACKEND, dynamic=True)
                assert layer._compiled_call_impl is not None
                _COMPILED[layer] = layer._compiled_call_impl
            layer._compiled_call_impl = _COMPILED[layer] if training else None


@contextmanager
def plain_afterwards(encoder: nn.Module) -> Iterator[None]:
    """An encoder is kept warm for other stages: after the block its layers are plain, however that ends."""
    try:
        yield
    finally:
        for layer in layers_of(encoder):
            layer._compiled_call_impl = None


def layers_of(encoder: nn.Module) -> list[nn.Module]:
    """An encoder's layers, where they are one list of modules of the same kind; else none."""
    config: Any = encoder.config
    for module in encoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers:
            whole = len({type(layer) for layer in module}) == 1 and _in_matrices(module) > _in_matrices(encoder) / 2
            return list(module) if whole else []
    return []


def _in_matrices(module: nn.Module) -> int:
    """Weights of a module, without those of embeddings."""
    tables = {id(p) for part in module.modules() if isinstance(part, nn.Embedding) for p in part.parameters()}
    return sum(p.numel() for p in module.parameters() if id(p) not in tables)
