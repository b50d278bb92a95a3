"""Weights that stay on disk until they are looked at.

The table of word embeddings is most of a multilingual encoder, and a stage looks at a few of its rows: it is mapped
from its file, so that the system reads what is looked at, keeps one copy for all processes of a machine, and can drop
it. What a process writes into it stays its own. All other tensors are read into the model's own memory when a stage
begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raystilts.memory import drop_file_pages
from raystilts.planning.encoders import tensor_entries

#: Numbers that are read at a time.
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A float32 tensor in a safetensors file, `start` bytes behind its beginning.

    The file is held open, so that it can be read whoever removes it meanwhile.
    """

    file: FileIO
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape, dtype=np.int64))

    def mapped(self) -> Tensor:
        """The tensor, of which the system reads what is looked at; what is written into it never reaches the file."""
        if self.size == 0:
            return torch.empty(self.shape)
        return torch.from_numpy(np.memmap(self.file, "<f4", "c", self.start, self.shape))

    def copy_into(self, target: Tensor) -> None:
        """Reads the tensor into another of the same shape."""
        if not target.is_contiguous():
            target.detach().copy_(self.mapped())
            return
        flat = target.detach().view(-1)
        for begin, numbers in self._chunks():
            flat[begin : begin + len(numbers)].copy_(numbers)

    def holds(self, tensor: Tensor) -> bool:
        """Whether another tensor is the same, to the bit."""
        if tensor.dtype is not torch.float32 or tuple(tensor.shape) != self.shape or not tensor.is_contiguous():
            return False
        flat = tensor.detach().cpu().view(-1).view(torch.int32)
        for at, numbers in self._chunks():
            part = flat[at : at + len(numbers)]
            if not torch.equal(part, numbers.view(torch.int32)):
                return False
            # A loader has mapped it from the file: what was just looked at need not stay in memory.
            drop_file_pages(part.data_ptr(), 4 * len(numbers), self.file.fileno(), self.start + 4 * at)
        return True

    def _chunks(self) -> Iterator[tuple[int, Tensor]]:
        for at in range(0, self.size, _CHUNK):
            yield at, self.read(at, min(_CHUNK, self.size - at))

    def read(self, at: int, count: int) -> Tensor:
        """So many of its numbers from one on, [count].

        Raises:
            OSError: the file was cut short.
        """
        numbers = bytearray(4 * count)
        self.file.seek(self.start + 4 * at)
        if self.file.readinto(numbers) != len(numbers):
            raise OSError(f"{self.file.name}: cut short")
        return torch.frombuffer(numbers, dtype=torch.float32) if count else torch.empty(0)


class StoredTable:
    """A table in a file, of which rows are read one by one: a mapped file would bring along what lies around them."""

    def __init__(self, tensor: StoredTensor) -> None:
        self._tensor = tensor

    def rows(self, index: Tensor) -> Tensor:
        """Some rows, [rows, columns].

        Args:
            index: Which, ascending, [rows].
        """
        width, ids = self._tensor.shape[1], index.numpy()
        runs = np.split(ids, np.flatnonzero(np.diff(ids) != 1) + 1) if len(ids) else []
        parts = [self._tensor.read(width * int(run[0]), width * len(run)) for run in runs]
        return torch.cat(parts).view(-1, width) if parts else torch.empty(0, width)


class Weights(Mapping[str, Tensor]):
    """Named tensors, in files or in memory.

    Args:
        stored: Those that files hold; the files must stay as they are.
        memory: The others.
    """

    def __init__(self, stored: Mapping[str, StoredTensor], memory: Mapping[str, Tensor]) -> None:
        self._stored, self._memory = dict(stored), dict(memory)

    @classmethod
    def in_folder(cls, folder: Path) -> Weights:
        """All tensors of the safetensors files in a folder."""
        from safetensors import safe_open

        stored: dict[str, StoredTensor] = {}
        memory: dict[str, Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            start, entries = tensor_entries(path)
            opened = FileIO(path)
            plain = {name: _place(opened, start, entry) for name, entry in entries.items() if entry["dtype"] == "F32"}
            stored |= plain
            if len(plain) < len(entries):
                with safe_open(path, framework="pt") as file:
                    memory |= {name: file.get_tensor(name) for name in entries if name not in plain}
        return cls(stored, memory)

    @classmethod
    def of_model(cls, model: nn.Module, folder: Path) -> Weights:
        """What a model was just loaded with: from a folder's files as far as they hold exactly that, else a copy.

        Args:
            folder: Where it was loaded from; it need not be there.
        """
        found = cls.in_folder(folder)._stored if folder.is_dir() else {}
        prefix = f"{getattr(model, 'base_model_prefix', '')}."
        stored: dict[str, StoredTensor] = {}
        memory: dict[str, Tensor] = {}
        seen = set[int]()
        for name, tensor in model.state_dict().items():
            if tensor.numel() and tensor.data_ptr() in seen:
                continue  # a second name of a tensor
            seen.add(tensor.data_ptr())
            place = found.get(name) or found.get(prefix + name)
            if place is not None and place.holds(tensor):
                stored[name] = place
            else:
                memory[name] = tensor.detach().clone()
        return cls(stored, memory)

    def __getitem__(self, name: str) -> Tensor:
        return self._memory[name] if name in self._memory else self._stored[name].mapped()

    def __iter__(self) -> Iterator[str]:
        return iter((*self._stored, *self._memory))

    def __len__(self) -> int:
        return len(self._stored) + len(self._memory)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self._stored[name].shape if name in self._stored else tuple(self._memory[name].shape)

    def table(self, name: str) -> StoredTable | None:
        """A tensor of two dimensions in its file; None where it is in memory."""
        return StoredTable(self._stored[name]) if name in self._stored else None

    def load_into(self, state: Mapping[str, Tensor], words: Tensor) -> StoredTable | None:
        """Puts all tensors into a model; the table of words is mapped where it lies in a file and the model on a CPU.

        Args:
            state: The model's own tensors, of which there is one of the same shape for each.
            words: The model's table of word embeddings.

        Returns:
            The mapped table.
        """
        found: StoredTable | None = None
        maps = words.device.type == "cpu" and words.dtype is torch.float32
        table = words.data_ptr()
        with torch.no_grad():
            for name, place in self._stored.items():
                if maps and state[name].data_ptr() == table and state[name].shape == words.shape:
                    words.data, found = place.mapped(), StoredTable(place)
                else:
                    place.copy_into(state[name])
            for name, tensor in self._memory.items():
                state[name].copy_(tensor)
        return found


def _place(file: FileIO, start: int, entry: dict[str, Any]) -> StoredTensor:
    return StoredTensor(file, tuple(entry["shape"]), start + int(entry["data_offsets"][0]))


def own_memory(model: nn.Module, but: Tensor) -> None:
    """Gives a model's tensors memory of their own, so that files which a loader has mapped are let go.

    Args:
        but: Is left as it is.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor is not but:
            tensor.data = tensor.data.clone(memory_format=torch.preserve_format)
