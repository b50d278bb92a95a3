"""Weights that stay on disk: read, mapped, and never written to."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from raystilts.training.encoder import Pretrained
from raystilts.training.model import CompactEmbedding, compact_rows
from raystilts.training.weights import StoredTable, Weights

TABLE = torch.arange(40, dtype=torch.float32).view(10, 4)


class Embeds(nn.Module):
    """As much of a Hugging Face model as its table of words takes."""

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        self.words: nn.Module = words

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def set_input_embeddings(self, words: nn.Module) -> None:
        self.words = words


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A table, one that is not float32, and one without numbers."""
    path = tmp_path / "model.safetensors"
    save_file({"odd": TABLE[:3].half(), "table": TABLE, "none": torch.empty(0, 4)}, path)
    return path


def test_tensors_come_as_they_were_saved(file: Path) -> None:
    found = Weights.in_folder(file.parent)
    assert {name: found.shape(name) for name in found} == {"odd": (3, 4), "table": (10, 4), "none": (0, 4)}
    for name, tensor in load_file(file).items():
        assert torch.equal(found[name], tensor), name


def test_what_is_written_into_a_mapped_table_stays_out_of_the_file(file: Path) -> None:
    words = nn.Embedding(10, 4)
    state = {"table": words.weight.detach(), "odd": torch.empty(3, 4), "none": torch.empty(0, 4)}
    before = file.read_bytes()
    assert Weights.in_folder(file.parent).load_into(state, words.weight) is not None
    assert torch.equal(words.weight, TABLE)
    assert torch.equal(state["odd"], TABLE[:3])
    with torch.no_grad():
        words.weight.mul_(2)
    assert torch.equal(words.weight, 2 * TABLE)
    assert file.read_bytes() == before


@pytest.mark.parametrize("index", [[], [0], [3, 4, 5], [0, 2, 3, 9], list(range(10))])
def test_rows_of_a_file_that_is_removed_meanwhile(file: Path, index: list[int]) -> None:
    table = StoredTable(Weights.in_folder(file.parent)._stored["table"])
    file.unlink()
    assert torch.equal(table.rows(torch.tensor(index, dtype=torch.long)), TABLE[index])


def test_only_what_a_file_holds_exactly_is_read_from_it(file: Path) -> None:
    class Two(nn.Module):
        base_model_prefix = "base"

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(TABLE.clone())
            self.again = self.table
            self.other = nn.Parameter(torch.ones(2))

    save_file({"base.table": TABLE, "other": torch.tensor([1.0, 2.0])}, file)
    found = Weights.of_model(Two(), file.parent)
    assert set(found._stored) == {"table"}
    assert set(found._memory) == {"other"}
    assert torch.equal(found["other"], torch.ones(2))


def resident(path: Path) -> int:
    """KB of a file that this process has mapped and holds in memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    found = [next(one for one in lines if one.startswith("Rss:")) for line in lines if str(path) in line]
    return sum(int(one.split()[1]) for one in found)


@pytest.mark.skipif(sys.platform != "linux", reason="pages as Linux counts them")
def test_what_was_compared_with_its_file_does_not_stay_in_memory(tmp_path: Path) -> None:
    path, table = tmp_path / "model.safetensors", torch.arange(2**21, dtype=torch.float32)
    save_file({"table": table}, path)
    [place] = Weights.in_folder(tmp_path)._stored.values()
    mapped = load_file(path)["table"]
    assert torch.equal(mapped, table)
    assert resident(path) > 4096, "it is mapped, and was looked at"
    assert place.holds(mapped)
    assert resident(path) < 64
    assert torch.equal(mapped, table)
    own = table.clone()
    assert place.holds(own)
    assert torch.equal(own, table), "memory of its own is no page of the file"
    mapped[-1] = 0.5
    assert not place.holds(mapped)
    assert mapped[-1] == 0.5, "what was written into a mapped page stays"


def test_an_encoder_is_restored_to_the_bit_and_its_folder_stays_as_it_is(tiny: Pretrained, tiny_encoder: Path) -> None:
    path = tiny_encoder / "model.safetensors"
    before, expected = hashlib.sha256(path.read_bytes()).digest(), load_file(path)
    assert not tiny.weights._memory, "everything is read from the file"
    for _ in range(2):
        with torch.no_grad():
            for parameter in tiny.model.parameters():
                parameter.add_(1)
        tiny.restore(None, torch.device("cpu"))
        found = tiny.model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_a_compact_table_reads_from_a_file_what_it_reads_from_the_table(file: Path) -> None:
    words = nn.Embedding(10, 4, _weight=TABLE.clone())
    used, ids = torch.tensor([2, 5, 6]), torch.tensor([[2, 7, 0], [6, 7, 9]])
    stored = StoredTable(Weights.in_folder(file.parent)._stored["table"])
    plain, compact = CompactEmbedding(words, used), CompactEmbedding(words, used, stored)
    assert torch.equal(plain.rows, compact.rows)
    for _ in range(3):
        with torch.no_grad():
            for one in (plain, compact):
                one.train()
                one.rows.mul_(1.5)
        assert torch.equal(plain(used), compact(used))
        expected = plain.eval()(ids)
        assert torch.equal(compact.eval()(ids), expected)
        assert torch.equal(compact(ids.flip(0)), expected.flip(0))
    words.weight.data.copy_(TABLE)
    compact.publish()
    assert torch.equal(words.weight[used], compact.rows)


def test_frozen_rows_are_read_from_the_file_and_the_table_is_left_alone(file: Path) -> None:
    """Also many evaluations' worth of other rows; and nothing is written back."""
    table, ids = 2 * TABLE, torch.tensor([[2, 7, 0], [6, 7, 9]])
    encoder = Embeds(nn.Embedding(10, 4, _weight=table.clone()))
    words = encoder.words
    assert isinstance(words, nn.Embedding)
    stored = StoredTable(Weights.in_folder(file.parent)._stored["table"])
    with compact_rows(encoder, torch.tensor([2, 5, 6]), stored, trains=False):
        assert not any(parameter.requires_grad for parameter in encoder.words.parameters())
        assert torch.equal(encoder.words(torch.tensor([6, 2])), TABLE[[6, 2]])
        encoder.eval()
        for one in (ids, ids.flip(0), torch.arange(10)):
            assert torch.equal(encoder.words(one), TABLE[one])
    assert encoder.words is words
    assert torch.equal(words.weight, table)
