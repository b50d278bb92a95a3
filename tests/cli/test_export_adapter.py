"""`raystilts export` of a study with adapters that was run here: merged, and in peft's format, it says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from raystilts import cli
from raystilts.results.results import Results
from raystilts.training.encoder import Pretrained

from .test_export import ran, small

peft = pytest.importorskip("peft")


@pytest.fixture(scope="module")
def results(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    storage = tmp_path_factory.mktemp("export_adapter")
    targets = [{"task": "cldr_units", "languages": ["en", "de"]}, {"task": "cldr_match", "languages": ["de"]}]
    study = small(tiny_encoder, storage / "results", targets=targets, seeds=[0], tuning={"method": "lora", "r": 4})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSTILTS_CACHE_DIR", str(storage / "cache"))
        return ran(study)


def export(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["raystilts", "export", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


@torch.no_grad()
def test_both_exports_say_the_same(results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (results, "--target", "cldr_units", "--intermediate", "cldr_names")
    assert export(monkeypatch, *asked, "-o", tmp_path / "merged") == 0
    assert export(monkeypatch, *asked, "--adapter", "-o", tmp_path / "adapter") == 0
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged").eval()
    config: Any = AutoConfig.from_pretrained(tmp_path / "adapter")
    adapter = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert adapter["r"] == 8, "the intermediate's four and the target's"
    base = AutoModelForSequenceClassification.from_pretrained(adapter["base_model_name_or_path"], config=config)
    opened = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    ids = torch.randint(5, 400, (4, 12), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(opened(input_ids=ids).logits, merged(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
    assert config.id2label == merged.config.id2label
    assert "--adapter" in (tmp_path / "adapter" / "README.md").read_text()


def test_the_kept_adapter_is_restored_once(results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore, restored = Pretrained.restore, []

    def counted(self: Pretrained, checkpoint: Path | None, *given: Any, **more: Any) -> Any:
        restored.append(checkpoint)
        return restore(self, checkpoint, *given, **more)

    monkeypatch.setattr(Pretrained, "restore", counted)
    asked = (results, "--target", "cldr_units", "--intermediate", "cldr_names", "--adapter", "-o", tmp_path / "out")
    assert export(monkeypatch, *asked) == 0
    assert len(restored) == 1


def test_retrieval_is_exported_merged(results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (results, "--target", "cldr_match", "--intermediate", "cldr_names", "-o", tmp_path / "out")
    assert export(monkeypatch, *asked) == 0
    assert (tmp_path / "out" / "modules.json").is_file()


def test_tables_say_how_a_stage_was_tuned(results: str) -> None:
    runs = Results(results).runs()
    tunings = {kind: {json.loads(one).get("tuning", {}).get("method") for one in own}
               for kind, own in runs.groupby("kind")["hyperparameters"]}  # fmt: skip
    assert tunings == {"intermediate": {"lora"}, "target": {"lora"}, "retrieval": {None}}
