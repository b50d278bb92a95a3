"""A tokenizer that is in memory only while texts are tokenised."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.stages import plan
from raystilts.training import data, encoder, tokenizer
from raystilts.training.cache import cache_folder
from raystilts.training.loop import train
from raystilts.training.stage import StageRun, run_stage
from raystilts.training.tokenizer import KeptTokenizer

from .examples import study

TEXT = "the token ед नम 你"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process and a machine that have seen nothing yet."""
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    new_process()


def new_process() -> None:
    """What a process keeps is gone, what a machine keeps is there."""
    encoder._WARM.clear()
    data._READERS.clear()


def no_tokenizer(info: EncoderInfo) -> Any:
    raise AssertionError("the tokenizer was loaded")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_no_tokenizer_while_the_network_trains(
    fresh: None, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    planned = plan(study(tiny_encoder, tuning=tuning, keep_targets="all"))
    [stage] = [one for one in planned.of_kind("target") if one.intermediate.label == "none"]
    loaded: list[bool] = []

    def watched(job: Any) -> Any:
        loaded.append(run.loaded.words._loaded is not None)
        found = train(job)
        loaded.append(run.loaded.words._loaded is not None)
        return found

    monkeypatch.setattr("raystilts.training.stage.train", watched)
    for folder in ("cold", "warm"):
        run = StageRun(stage, planned.study, tmp_path / folder, torch.device("cpu"), 1, planned.encoder, 1.0)
        run.run()
    assert loaded == [False] * 4


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_process_that_finds_all_tokenised_loads_none_and_leaves_the_same(
    fresh: None, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    planned = plan(study(tiny_encoder, tuning=tuning, keep_targets="all"))
    [stage] = [one for one in planned.of_kind("target") if one.intermediate.label == "none"]
    cold = run_stage(stage, planned.study, tmp_path / "cold", encoder=planned.encoder)
    new_process()
    monkeypatch.setattr(tokenizer, "load_tokenizer", no_tokenizer)
    warm = run_stage(stage, planned.study, tmp_path / "warm", encoder=planned.encoder)
    assert (warm.scores, warm.losses, warm.items) == (cold.scores, cold.losses, cold.items)
    assert contents(tmp_path / "warm") == contents(tmp_path / "cold")
    assert tuning == "lora" or "tokenizer.json" in {Path(name).name for name in contents(tmp_path / "warm")}


def test_it_comes_back_as_it_was_and_its_facts_are_its_own(fresh: None, tiny_info: EncoderInfo) -> None:
    kept = KeptTokenizer(tiny_info)
    first = kept.get()
    before = first(TEXT)["input_ids"]
    assert kept.get() is first
    kept.release()
    assert kept.get() is not first
    assert kept.get()(TEXT)["input_ids"] == before
    assert kept.facts == KeptTokenizer(tiny_info).facts
    assert (kept.facts.pad_id, kept.facts.mask_id) == (first.pad_token_id, first.mask_token_id)
    assert kept.facts.special_ids == tuple(first.all_special_ids)
    assert kept.facts.largest_id == max(first.get_vocab().values())


@pytest.mark.parametrize("harm", ["cleared", "facts cut short", "not to be written"])
def test_a_cache_that_is_no_use_costs_time_and_nothing_else(
    fresh: None, tiny_info: EncoderInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    kept, place = KeptTokenizer(tiny_info), cache_folder() / "tokenizers"
    expected = tmp_path / "expected"
    expected.mkdir()
    kept.save(expected)
    if harm == "facts cut short":
        [facts] = place.rglob("facts.json")
        facts.write_text('{"pad_id"')
    else:
        shutil.rmtree(place)
    if harm == "not to be written":
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "file"))
    again = kept if harm == "cleared" else KeptTokenizer(tiny_info)
    folder = tmp_path / "folder"
    folder.mkdir()
    again.save(folder)
    assert again.facts == kept.facts
    assert contents(folder) == contents(expected)
