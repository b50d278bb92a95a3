"""What makes training and evaluation fast changes no result: whole stages beside plain scripts, on a CPU.

Alone in a bare run each speed-up is off: the script of `plain.py` trains the full table of embeddings, a batch at a
time, with eager attention and an optimiser that is not fused, and scores one sentence after the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.study.schema import Study
from raystilts.tasks.task import Split
from raystilts.training import data
from raystilts.training.cache import cache_folder
from raystilts.training.encoder import load_weights
from raystilts.training.fast_ops import use_fast_dropout, use_sync_free_attention
from raystilts.training.loop import CPU_MICRO_BATCH, CPU_MICRO_TOKENS
from raystilts.training.result import StageResult
from raystilts.training.stage import run_stage

from .examples import FAST, equal, study
from .plain import Plain, plain_stage

#: One task of each kind of head.
TASKS = ["cldr_names", "cldr_choice", "cldr_span", "cldr_dates"]
LANGUAGES = ["de", "ru"]
#: What such a target is scored on: its languages, and the English dev data that picks checkpoints.
SETS: list[tuple[Split, str]] = [
    ("dev", "en"), ("dev", "de"), ("dev", "ru"), ("test", "de"), ("test", "ru"),
]  # fmt: skip
#: Updates of batches of 16, which are two micro-batches; the last weights count.
HP = {**FAST, "per_device_train_batch_size": 16, "num_train_epochs": 3, "max_train_samples": 60, "weight_decay": 0.1,
      "load_best_model_at_end": False}  # fmt: skip
#: Adam's first steps are the signs of gradients, and some gradients are zero but for rounding (those of the keys'
#: biases): where sums are taken in another order, an epsilon above that keeps rounding what it is.
SMOOTH = {"adam_epsilon": 1e-3, "learning_rate": 3e-2}


@pytest.fixture(scope="module")
def without_dropout(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder without dropout: its masks are drawn a forward pass, so that other batches draw others."""
    from transformers import AutoModel, AutoTokenizer

    folder = tmp_path_factory.mktemp("without_dropout")
    model = AutoModel.from_pretrained(tiny_encoder, add_pooling_layer=False)
    model.config.hidden_dropout_prob, model.config.attention_probs_dropout_prob = 0.0, 0.0
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(folder)
    return folder


def one_target(checkpoint: Path, task: str, **hyperparameters: Any) -> Study:
    # The mean over tokens: a random encoder's first token hardly tells choices apart.
    pooling = "mean" if task == "cldr_choice" else "first"
    samples = 8 if task == "cldr_span" else 24
    return study(
        checkpoint,
        encoder={"model_name_or_path": str(checkpoint), "pooling": pooling},
        intermediates=["none"],
        targets=[{"task": task, "languages": LANGUAGES}],
        hyperparameters=HP | hyperparameters,
        evaluation={"eval_steps": 0.5, "max_dev_samples": samples, "max_test_samples": samples},
        keep_targets="all",
    )


@cache
def script_in_fp32(checkpoint: Path, task: str) -> Plain:
    """What a plain script makes of a target in English and two languages."""
    planned = plan(one_target(checkpoint, task, **SMOOTH))
    return plain_stage(only(planned), planned.study, SETS)


def only(planned: Plan) -> Stage:
    [stage] = planned.of_kind("target")
    return stage


def final(result: StageResult) -> dict[tuple[str, str, str], float]:
    return {(s.split, s.language, s.metric): s.value for s in result.scores if s.is_final}


def sets(result: StageResult) -> list[tuple[str, str]]:
    return list(dict.fromkeys((s.split, s.language) for s in result.scores if s.is_final))


def kept(result: StageResult) -> Path:
    assert result.checkpoint is not None
    return Path(result.checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_stage_beside_a_plain_script(without_dropout: Path, tmp_path: Path, task: str) -> None:
    """Sums in another order, and so the rounding of fp32 (a step is 1.2e-7 at 1); the same scores."""
    planned = plan(one_target(without_dropout, task, **SMOOTH))
    result = run_stage(only(planned), planned.study, tmp_path)
    script = script_in_fp32(without_dropout, task)
    assert set(sets(result)) == set(SETS)
    assert max(result.losses) - min(result.losses) > 0.02, "updates do something"
    # After so few updates the tagger still answers "no date" to everything: its losses and weights have to do.
    assert task == "cldr_dates" or len(set(script.scores.values())) > 1, "sets that change places would be seen"
    assert result.losses == pytest.approx(script.losses, abs=2e-6)
    assert equal(load_weights(kept(result)), script.encoder, 2e-6)
    assert final(result) == script.scores


def as_the_product(encoder: Any) -> None:
    use_sync_free_attention(encoder)
    use_fast_dropout(encoder)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_training_fewer_rows_of_embeddings_gives_the_bits_of_training_all(
    tiny_encoder: Path, tmp_path: Path, task: str
) -> None:
    """With dropout, in the same micro-batches, without a norm over all gradients: no sum is taken otherwise."""
    planned = plan(one_target(tiny_encoder, task, max_grad_norm=0))
    result = run_stage(only(planned), planned.study, tmp_path)
    pieces = CPU_MICRO_BATCH, CPU_MICRO_TOKENS
    script = plain_stage(only(planned), planned.study, SETS, micro_batch=pieces, prepare=as_the_product, fused=True)
    assert equal(load_weights(kept(result)), script.encoder)
    assert result.losses == pytest.approx(script.losses, rel=1e-6)  # the script adds them up in another precision
    assert final(result) == script.scores


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_bf16_with_every_speed_up_stays_within_its_noise(without_dropout: Path, tmp_path: Path, task: str) -> None:
    """Beside scripts in fp32 and in bf16, of which a step is 2**-7 between 1 and 2, where these losses are.

    Of eight examples of a set one may be answered otherwise: a random encoder's answers are close to each other.
    """
    planned = plan(one_target(without_dropout, task, **SMOOTH, bf16=True))
    result = run_stage(only(planned), planned.study, tmp_path)
    in_bf16 = plain_stage(only(planned), planned.study, SETS)
    for script in (script_in_fp32(without_dropout, task), in_bf16):
        assert result.losses == pytest.approx(script.losses, abs=2**-6)
        assert final(result) == pytest.approx(script.scores, abs=1 / 8)


@pytest.mark.slow
def test_a_cold_a_warm_and_no_cache_of_tokens(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(one_target(tiny_encoder, "cldr_dates"))
    (tmp_path / "file").write_text("no folder can be made here")
    found, written = {}, {}
    for name, folder in (("cold", "cache"), ("warm", "cache"), ("none", "file")):
        monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / folder))
        monkeypatch.setattr(data, "_READERS", {})  # what this process has read it may keep
        found[name] = run_stage(only(planned), planned.study, tmp_path / name)
        written[name] = {path: path.stat().st_mtime_ns for path in cache_folder().rglob("*.npy")}
    assert len(written["cold"]) > 10
    assert written["warm"] == written["cold"], "the second run has read what the first one wrote"
    assert written["none"] == {}
    for name in ("warm", "none"):
        same(found[name], found["cold"])


@pytest.mark.slow
def test_a_warm_process_gives_the_bits_of_a_fresh_one(tiny_encoder: Path, tmp_path: Path) -> None:
    """After an intermediate, its target and a retrieval target, and in a process that has run nothing."""
    one = study(tiny_encoder, hyperparameters=HP, keep_targets="all")
    planned = plan(one)
    [parent], [alone, child], [retrieval, _] = (planned.of_kind(k) for k in ("intermediate", "target", "retrieval"))
    for stage in (parent, child, retrieval):
        run_stage(stage, one, tmp_path / "warm")
    warm = run_stage(alone, one, tmp_path / "warm")
    (tmp_path / "study.json").write_text(one.model_dump_json())
    fresh = in_a_fresh_process(alone, tmp_path)
    assert fresh == {"losses": list(warm.losses), "scores": [s.to_dict() for s in warm.scores], "weights": bits(warm)}


FRESH = """
import json, sys
from pathlib import Path
from raystilts.planning.stages import plan
from raystilts.study.schema import Study
from raystilts.tasks.task import Split
from raystilts.training.stage import run_stage
from tests.training.test_equal_results import bits
folder, key = Path(sys.argv[1]), sys.argv[2]
study = Study.model_validate_json((folder / "study.json").read_text())
result = run_stage(plan(study).stages[key], study, folder / "fresh")
scores = [score.to_dict() for score in result.scores]
print(json.dumps({"losses": list(result.losses), "scores": scores, "weights": bits(result)}))
"""


def in_a_fresh_process(stage: Stage, folder: Path) -> dict[str, Any]:
    environment = os.environ | {"RAYSTILTS_CACHE_DIR": str(folder / "fresh_cache")}
    command = [sys.executable, "-c", FRESH, str(folder), stage.key]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def bits(result: StageResult) -> str:
    """A hash of all weights that a stage has kept."""
    found = hashlib.sha256()
    for folder in (kept(result), kept(result) / "heads"):
        for name, tensor in sorted(load_weights(folder).items()):
            found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


def same(one: StageResult, other: StageResult) -> None:
    assert (one.losses, one.scores, one.tokens) == (other.losses, other.scores, other.tokens)
    assert bits(one) == bits(other)
