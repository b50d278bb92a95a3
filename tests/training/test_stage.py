from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raystilts.errors import UserError
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.training import stage as stage_module
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.encoder import load_weights
from raystilts.training.evaluate import evaluate_items
from raystilts.training.limits import StageInterrupted
from raystilts.training.loop import Job, TrainingDiverged
from raystilts.training.result import StageResult
from raystilts.training.stage import run_stage

from .examples import FAST, equal, study


def the(planned: Plan, kind: Any, arm: str) -> Stage:
    [found] = [stage for stage in planned.of_kind(kind) if stage.intermediate.label == arm]
    return found


def run(planned: Plan, kind: Any, arm: str, folder: Path) -> StageResult:
    return run_stage(the(planned, kind, arm), planned.study, folder)


def final(result: StageResult) -> set[tuple[str, str, str]]:
    """Task, split and language of the final main scores."""
    return {(s.task, s.split, s.language) for s in result.scores if s.is_main and s.is_final}


def test_the_stages_of_a_small_study(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder))
    with pytest.raises(UserError, match=r"the checkpoint that 'cldr_names' \(seed 0\) starts from is not in"):
        run(planned, "target", "cldr_names", tmp_path)
    parent = run(planned, "intermediate", "cldr_names", tmp_path)
    assert final(parent) == {("cldr_names", "dev", "en")}
    assert (parent.trained, parent.steps_done, parent.steps_planned, parent.examples) == (True, 4, 4, 32)
    assert len(parent.losses) == 4
    assert parent.best_step in (2, 4)

    units = {
        ("cldr_units", "dev", "en"),
        ("cldr_units", "dev", "de"),
        *(("cldr_units", "test", x) for x in ("en", "de")),
    }
    for arm in ("none", "cldr_names"):
        target = run(planned, "target", arm, tmp_path)
        assert final(target) == units
        assert target.trained
        assert target.checkpoint is None
        match = run(planned, "retrieval", arm, tmp_path)
        assert ("cldr_match", "test", "de") in final(match)
        assert (match.trained, match.steps_done, match.losses, match.train_seconds) == (False, 0, (), 0.0)
    assert [path.name for path in tmp_path.iterdir() if path.name != "in_progress"] == [
        the(planned, "intermediate", "cldr_names").train_key
    ]
    assert not list((tmp_path / "in_progress").iterdir()) if (tmp_path / "in_progress").exists() else True


def test_dev_score_is_that_of_the_weights_that_were_kept(tiny_encoder: Path, tmp_path: Path) -> None:
    result = run(plan(study(tiny_encoder)), "target", "none", tmp_path)
    [english] = [s for s in result.scores if s.is_final and s.is_main and (s.split, s.language) == ("dev", "en")]
    assert result.dev_score == english.value
    assert english.step == result.best_step
    assert (
        max(s.value for s in result.scores if (s.split, s.language, s.is_main) == ("dev", "en", True)) == english.value
    )


def test_selection_on_the_targets_own_dev(tiny_encoder: Path, tmp_path: Path) -> None:
    result = run(plan(study(tiny_encoder, selection="target_dev")), "target", "none", tmp_path)
    dev = [s.value for s in result.scores if s.is_final and s.is_main and s.split == "dev"]
    assert len(dev) == 2
    assert result.dev_score == sum(dev) / 2


def test_kept_weights_are_scored_without_training(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder, keep_targets="all"))
    for kind in ("intermediate", "target"):
        first = run(planned, kind, "cldr_names", tmp_path)
        again = run(planned, kind, "cldr_names", tmp_path)
        assert first.trained
        assert not again.trained
        assert again.scores == first.scores
        assert (again.dev_score, again.losses, again.best_step) == (first.dev_score, first.losses, first.best_step)
        assert again.checkpoint == first.checkpoint
    more = plan(
        study(tiny_encoder, keep_targets="all", targets=[{"task": "cldr_units", "languages": ["en", "de", "fr"]}])
    )
    wider = run(more, "target", "cldr_names", tmp_path)
    assert not wider.trained
    assert final(wider) - final(first) == {("cldr_units", split, "fr") for split in ("dev", "test")}


@pytest.mark.parametrize("kind", ["intermediate", "target"])
def test_a_stage_that_is_interrupted_after_every_update_gives_the_same_bits(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    calm = plan(study(tiny_encoder, keep_targets="all"))
    hurried = plan(study(tiny_encoder, keep_targets="all", time_limit_s=1e-9))
    arm = "cldr_names" if kind == "intermediate" else "none"
    expected = run(calm, kind, arm, tmp_path / "calm")
    monkeypatch.setattr(stage_module, "Job", partial(Job, snapshot_seconds=0.0))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            run(hurried, kind, arm, tmp_path / "hurried")
    found = run(calm, kind, arm, tmp_path / "hurried")
    assert found.scores == expected.scores
    assert found.losses == expected.losses
    assert (found.steps_done, found.examples, found.tokens) == (expected.steps_done, expected.examples, expected.tokens)
    assert expected.checkpoint is not None
    assert found.checkpoint is not None
    assert equal(load_weights(Path(found.checkpoint)), load_weights(Path(expected.checkpoint)))
    assert not Checkpoints(tmp_path / "hurried").snapshot(the(calm, kind, arm).train_key).exists()


@pytest.mark.parametrize(("kind", "keep"), [("intermediate", "none"), ("target", "none"), ("target", "all")])
def test_a_stage_that_is_stopped_wherever_it_asks_gives_the_same_bits(
    tiny_encoder: Path, tmp_path: Path, kind: Any, keep: str
) -> None:
    """Between updates, inside evaluations and inside the last scoring, further on each time."""
    planned = plan(study(tiny_encoder, keep_targets=keep))
    stage = the(planned, kind, "cldr_names" if kind == "intermediate" else "none")
    expected = run_stage(stage, planned.study, tmp_path / "calm")
    stops = 0
    while True:
        answers = iter([False] * (1 + stops // 3) + [True])
        try:
            found = run_stage(stage, planned.study, tmp_path / "stopped", interrupted=partial(next, answers))
            break
        except StageInterrupted:
            stops += 1
            kept = Checkpoints(tmp_path / "stopped")
            assert kept.has(stage.train_key) or kept.snapshot(stage.train_key).is_dir()
    assert stops >= 2
    assert found.trained == (kind == "intermediate"), "a target's last stop was inside its last scoring"
    assert (found.scores, found.losses) == (expected.scores, expected.losses)
    assert (found.steps_done, found.examples, found.tokens) == (expected.steps_done, expected.examples, expected.tokens)
    assert Checkpoints(tmp_path / "stopped").has(stage.train_key) == Checkpoints(tmp_path / "calm").has(stage.train_key)
    if expected.checkpoint is not None and found.checkpoint is not None:
        assert equal(load_weights(Path(found.checkpoint)), load_weights(Path(expected.checkpoint)))
    assert not Checkpoints(tmp_path / "stopped").snapshot(stage.train_key).exists()


def test_the_order_of_stages_in_a_process_does_not_matter(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder))
    alone = run(planned, "target", "none", tmp_path / "one")
    run(planned, "intermediate", "cldr_names", tmp_path / "two")
    run(planned, "retrieval", "cldr_names", tmp_path / "two")
    assert run(planned, "target", "none", tmp_path / "two").scores == alone.scores


def test_a_mixture_with_plain_text_opens_as_an_ordinary_checkpoint(tiny_encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    path = tmp_path / "data" / "mono" / "de" / "train.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": [f"Das ist der Satz Nummer {i} von vielen." for i in range(40)]}), path)
    arm = {
        "tasks": ["cldr_names", "cldr_choice", "cldr_dates"],
        "masked_lm": {"languages": ["de"], "probability": 0.25},
        "name": "all",
    }
    one = study(tiny_encoder, intermediates=[arm], data_dir=str(tmp_path / "data"))
    planned = plan(one)
    result = run(planned, "intermediate", "all", tmp_path)
    assert (
        result.steps_done == the(planned, "intermediate", "all").steps == 16
    )  # 96 examples are 12, and text a quarter
    assert final(result) == {(task, "dev", "en") for task in arm["tasks"]}
    assert result.checkpoint is not None
    model = AutoModel.from_pretrained(result.checkpoint, add_pooling_layer=False)
    kept = load_weights(Path(result.checkpoint))
    assert equal({name: tensor for name, tensor in model.state_dict().items() if name in kept}, kept)
    assert not equal(kept, load_weights(tiny_encoder))
    assert AutoTokenizer.from_pretrained(result.checkpoint)("ab")["input_ids"][0] == 0
    assert run(planned, "target", "all", tmp_path).trained


def test_a_loss_that_is_no_number(tiny_encoder: Path, tmp_path: Path) -> None:
    hp = {"learning_rate": 1e30, "max_grad_norm": 0, "per_device_train_batch_size": 8, "max_train_samples": 32}
    planned = plan(study(tiny_encoder, hyperparameters=hp))
    with pytest.raises(TrainingDiverged):
        run(planned, "target", "none", tmp_path)
    calm = plan(study(tiny_encoder))
    assert run(calm, "target", "none", tmp_path).trained  # the process has not kept the broken weights


def test_seeds_share_nothing_but_the_encoder(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder, seeds=[0, 1], keep_targets="all"))
    zero, one = (run_stage(s, planned.study, tmp_path) for s in planned.of_kind("target")[:2])
    assert zero.losses != one.losses


def test_the_embedded_encoder_trains_with_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "data" / "mono" / "de" / "train.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["Das ist ein Satz."] * 40}), path)
    hp = {"per_device_train_batch_size": 4, "max_length": 16}
    arm = {"masked_lm": {"languages": ["de"], "max_steps": 2}}
    planned = plan(
        study(tmp_path, encoder={}, intermediates=[arm], hyperparameters=hp, data_dir=str(tmp_path / "data"))
    )
    torch.set_num_threads(1)
    result = run(planned, "intermediate", "mlm", tmp_path)
    assert result.steps_done == 2
    assert result.dev_score is None


def in_segments(planned: Plan, stage: Stage, shares: tuple[float, ...], folder: Path) -> list[StageResult]:
    """The results of one segment after the other, the last of them to the end."""
    return [run_stage(stage, planned.study, folder, until=share) for share in (*shares, 1.0)]


@pytest.mark.parametrize("kind", ["intermediate", "target"])
def test_a_stage_in_segments_gives_the_same_bits(tiny_encoder: Path, tmp_path: Path, kind: Any) -> None:
    evaluation = {"eval_steps": 0.25, "max_dev_samples": 16, "max_test_samples": 16}
    planned = plan(study(tiny_encoder, keep_targets="all", evaluation=evaluation))
    stage = the(planned, kind, "cldr_names" if kind == "intermediate" else "none")
    expected = run_stage(stage, planned.study, tmp_path / "whole")
    *paused, found = in_segments(planned, stage, (0.25, 0.6), tmp_path / "segments")
    assert [(one.paused_at, one.steps_done, one.steps_planned) for one in paused] == [(0.25, 1, 4), (0.6, 3, 4)]
    for one in paused:
        assert one.checkpoint is None
        picking = [s for s in expected.scores if (s.split, s.language) == ("dev", "en")]
        assert list(one.scores) == [replace(s, is_final=False) for s in picking if s.step <= one.steps_done]
        [dev] = [s.value for s in one.scores if s.step == one.steps_done and s.is_main]
        assert one.dev_score == dev
        assert one.losses == expected.losses[: one.steps_done]
    assert found.paused_at is None
    assert found.scores == expected.scores
    assert (found.losses, found.best_step, found.examples, found.tokens, found.dev_score) == (
        expected.losses, expected.best_step, expected.examples, expected.tokens, expected.dev_score
    )  # fmt: skip
    assert found.checkpoint is not None
    assert expected.checkpoint is not None
    assert equal(load_weights(Path(found.checkpoint)), load_weights(Path(expected.checkpoint)))
    assert equal(load_weights(Path(found.checkpoint) / "heads"), load_weights(Path(expected.checkpoint) / "heads"))
    assert not Checkpoints(tmp_path / "segments").snapshot(stage.train_key).exists()


def test_a_rung_is_where_the_stage_is_evaluated_anyway(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder))  # four updates, evaluated after two and four
    stage = the(planned, "target", "none")
    early = run_stage(stage, planned.study, tmp_path, until=0.1)
    assert (early.paused_at, early.steps_done) == (0.1, 2)
    assert run_stage(stage, planned.study, tmp_path, until=0.5).scores == early.scores
    late = run_stage(stage, planned.study, tmp_path, until=0.75)
    assert late.paused_at is None, "the first evaluation after three updates is the last"
    assert late.steps_done == 4


def test_a_pause_before_where_a_longer_training_stands(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = {"eval_steps": 1, "max_dev_samples": 16, "max_test_samples": 16}
    planned = plan(study(tiny_encoder, evaluation=evaluation))
    stage = the(planned, "target", "none")
    expected = run_stage(stage, planned.study, tmp_path / "whole")
    run_stage(stage, planned.study, tmp_path / "other", until=0.75)
    back = run_stage(stage, planned.study, tmp_path / "other", until=0.5)
    assert back.paused_at == 0.5
    assert {s.step for s in back.scores} == {1, 2}
    assert back.dev_score == next(s.value for s in expected.scores if s.step == 2 and s.is_main)
    assert run_stage(stage, planned.study, tmp_path / "other").scores == expected.scores


def test_a_retrieval_target_has_no_rungs(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder))
    result = run_stage(the(planned, "retrieval", "none"), planned.study, tmp_path, until=0.5)
    assert result.paused_at is None
    assert ("cldr_match", "test", "de") in final(result)


def test_scores_of_items_change_no_score(tiny_encoder: Path, tmp_path: Path) -> None:
    found = {}
    for kept in ("none", "dev", "all"):
        planned = plan(study(tiny_encoder, predictions=kept))
        folder = tmp_path / kept
        run(planned, "intermediate", "cldr_names", folder)
        found[kept] = [run(planned, kind, "cldr_names", folder) for kind in ("target", "retrieval")]
        assert not found["none"][0].items
    for kept, splits in (("dev", {"dev"}), ("all", {"dev", "test"})):
        for one, plain in zip(found[kept], found["none"], strict=True):
            assert one.scores == plain.scores
            main = {(s.task, s.split, s.language): s for s in one.scores if s.is_main and s.is_final}
            items = {(s.task, s.split, s.language): s for s in one.items}
            assert items.keys() == {key for key in main if key[1] in splits}
            for key, own in items.items():
                assert sum(own.values) / len(own.values) == pytest.approx(main[key].value)
                assert len(own.values) == main[key].examples
    planned, again = plan(study(tiny_encoder)), plan(study(tiny_encoder, predictions="all"))
    assert planned.stages.keys() == again.stages.keys()


@pytest.mark.parametrize("best", [True, False])
def test_scores_of_items_cost_no_second_look_at_the_data(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool
) -> None:
    seen: list[tuple[str, str]] = []
    def counted(model: Any, task: Any, sets: Any, *rest: Any) -> Any:
        seen.extend((one.split, one.language) for one in sets)
        return evaluate_items(model, task, sets, *rest)

    monkeypatch.setattr(stage_module, "evaluate_items", counted)
    looks, evaluation = {}, {"eval_steps": 0.25, "max_dev_samples": 16, "max_test_samples": 16}
    hp = FAST | {"load_best_model_at_end": best}
    for kept in ("none", "dev"):
        planned = plan(study(tiny_encoder, predictions=kept, evaluation=evaluation, hyperparameters=hp))
        result = run(planned, "target", "none", tmp_path / kept)
        looks[kept] = sorted(seen)
        seen.clear()
    assert looks["dev"] == looks["none"]
    [english] = [s for s in result.scores if s.is_final and s.is_main and (s.split, s.language) == ("dev", "en")]
    [items] = [one for one in result.items if one.language == "en"]
    assert sum(items.values) / len(items.values) == pytest.approx(english.value)


def test_scores_of_items_outlive_a_pause(tiny_encoder: Path, tmp_path: Path) -> None:
    """Those of an evaluation before it, where its weights are chosen, are taken again."""
    evaluation = {"eval_steps": 0.25, "max_dev_samples": 16, "max_test_samples": 16}
    planned = plan(study(tiny_encoder, evaluation=evaluation, predictions="dev"))
    stage = the(planned, "target", "none")
    expected = run_stage(stage, planned.study, tmp_path / "whole")
    paused, found = in_segments(planned, stage, (0.75,), tmp_path / "segments")
    assert not paused.items
    assert set(found.items) == set(expected.items)
    assert {(one.split, one.language) for one in found.items} == {("dev", "en"), ("dev", "de")}
