"""Stages on real tasks: mixtures of types, mining, one pool for many languages, translated data, smoothed text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts.planning.stages import Plan, plan
from raystilts.study.schema import Study
from raystilts.training.encoder import load_weights
from raystilts.training.result import Score, StageResult
from raystilts.training.stage import run_stage

from .examples import FAST, equal, study

pytestmark = pytest.mark.slow


def on_mini(data: Path, **changes: Any) -> Study:
    """A study with the embedded encoder on a data folder, in a few updates."""
    fields: dict[str, Any] = {
        "name": "real",
        "encoder": {"pooling": "mean", "retrieval_layer": -1},
        "intermediates": ["none"],
        "seeds": [0],
        "data_dir": str(data),
        "hyperparameters": {**FAST, "learning_rate": 3e-4, "max_train_samples": 16, "max_length": 64},
        "evaluation": {"eval_steps": 0.5, "max_dev_samples": 8, "max_test_samples": 8},
    }
    return Study.model_validate(fields | changes)


def run(planned: Plan, kind: Any, folder: Path) -> StageResult:
    [stage] = planned.of_kind(kind)
    return run_stage(stage, planned.study, folder)


def of(result: StageResult, split: str) -> list[Score]:
    return [score for score in result.scores if score.split == split and score.is_main]


def test_three_types_train_together_and_targets_start_from_the_encoder_alone(data_dir: Path, tmp_path: Path) -> None:
    arm = {"name": "three", "tasks": ["mnli", "squad", "udpos"]}
    # A target that learns nothing leaves with what it started from; weight decay is off.
    still = {"tasks": {"xnli": {"learning_rate": 1e-30, "head_learning_rate": 1e-3}}}
    hp = {**FAST, "learning_rate": 3e-4, "max_train_samples": 16, "max_length": 64, **still}
    one = on_mini(data_dir, intermediates=[arm], targets=[{"task": "xnli", "languages": ["en", "sw"]}],
                  hyperparameters=hp, keep_targets="all")  # fmt: skip
    planned = plan(one)
    parent = run(planned, "intermediate", tmp_path)
    assert {(score.task, score.split, score.language) for score in of(parent, "dev")} == {
        (task, "dev", "en") for task in arm["tasks"]
    }
    assert parent.steps_done == 6  # three tasks of 16 examples in batches of 8
    assert parent.checkpoint is not None
    encoder = load_weights(Path(parent.checkpoint))
    assert not any("head" in name or "classifier" in name for name in encoder)
    target = run(planned, "target", tmp_path)
    assert target.checkpoint is not None
    assert equal(load_weights(Path(target.checkpoint)), encoder, 1e-6)
    assert {score.language for score in of(target, "test")} == {"en", "sw"}
    alone = plan(one.model_copy(update={"intermediates": on_mini(data_dir, targets=["xnli"]).intermediates}))
    from_none = run(alone, "target", tmp_path)
    assert from_none.checkpoint is not None
    assert not equal(load_weights(Path(from_none.checkpoint)), encoder, 1e-6)


def test_mining_scores_dev_and_test_and_trains_nothing(data_dir: Path, tmp_path: Path) -> None:
    limits = {"max_dev_samples": 2, "max_test_samples": 3}
    one = on_mini(data_dir, targets=[{"task": "bucc2018_sample", "languages": ["zh"]}], evaluation=limits)
    result = run(plan(one), "retrieval", tmp_path)
    assert (result.trained, result.steps_done) == (False, 0)
    [dev], [test] = of(result, "dev"), of(result, "test")
    # The threshold is for pools of the same size: the limit of test data holds for both.
    assert (dev.metric, dev.examples, test.examples) == ("f1", 3, 3)
    metrics = {score.metric for score in result.scores if score.split == "test"}
    assert metrics == {"f1", "precision", "recall"}
    assert result.dev_score is None  # no dev data in English, which picks arms
    assert 0 <= dev.value <= 1


def test_one_pool_for_all_languages_of_a_study(data_dir: Path, tmp_path: Path) -> None:
    scores = {}
    for languages in (["de", "es"], ["de"]):
        one = on_mini(data_dir, targets=[{"task": "lareqa", "languages": languages}])
        result = run(plan(one), "retrieval", tmp_path)
        scores.update({(len(languages), score.language): score for score in of(result, "test")})
    assert {score.metric for score in scores.values()} == {"map"}
    assert {score.examples for score in scores.values()} == {8}
    assert scores[2, "de"].value != scores[1, "de"].value  # Spanish candidates compete with the German ones
    assert all(0 < score.value < 1 for score in scores.values())


def test_translated_training_data_in_two_languages(data_dir: Path, tmp_path: Path) -> None:
    for language, dataset in (("hr", "c_xnli"), ("my", "myxnli")):
        path = tmp_path / "data" / "mnli" / language / "train.parquet"
        path.parent.mkdir(parents=True)
        path.symlink_to(data_dir / dataset / language / "validation.parquet")
    one = on_mini(tmp_path / "data", intermediates=["mnli@hr+my"], targets=["cldr_match"])
    result = run(plan(one), "intermediate", tmp_path)
    assert result.steps_done == 2
    assert all(loss > 0 for loss in result.losses)


def test_text_may_be_drawn_evenly_from_unequal_languages(tiny_encoder: Path, tmp_path: Path) -> None:
    for language, lines in (("de", 200), ("sw", 8)):
        path = tmp_path / "data" / "mono" / language / "train.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"text": [f"{language} line {i} of the text" for i in range(lines)]}), path)
    losses = {}
    for smoothing in (1.0, 0.0):
        arm = {"masked_lm": {"languages": ["de", "sw"], "max_steps": 4, "smoothing": smoothing}}
        planned = plan(study(tiny_encoder, intermediates=[arm], data_dir=str(tmp_path / "data")))
        result = run(planned, "intermediate", tmp_path)
        assert result.steps_done == 4
        losses[smoothing] = result.losses
    assert losses[0.0] != losses[1.0]


def test_similarity_is_learnt_as_a_number(tmp_path: Path) -> None:
    """Pairs of equal sentences score 5, others 0: some updates tell them apart."""
    words = ["dog", "house", "tree", "river", "stone", "bird", "ship", "king", "road", "fire", "snow", "bread"]
    folder = tmp_path / "data" / "stsb" / "en"
    folder.mkdir(parents=True)
    for split, place in (("train", "a"), ("validation", "the"), ("test", "one")):
        pairs = [(one, other) for one in words for other in (one, words[-1 - words.index(one)])]
        rows = [
            {"sentence1": f"{place} {a}", "sentence2": f"{place} {b}", "label": 5.0 if a == b else 0.0}
            for a, b in pairs
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")
    hp = {"learning_rate": 1e-3, "max_steps": 60, "per_device_train_batch_size": 12, "max_length": 16}
    one = on_mini(tmp_path / "data", targets=[{"task": "stsb", "languages": ["en"]}], hyperparameters=hp,
                  evaluation={"eval_steps": 0.5})  # fmt: skip
    result = run(plan(one), "target", tmp_path / "out")
    [test] = of(result, "test")
    assert (test.metric, test.examples) == ("pearson_spearman", 24)
    assert test.value > 0.5
    assert {score.metric for score in result.scores} == {"pearson", "spearman", "pearson_spearman"}
