"""Composed arms run to their end: checkpoints from elsewhere, sequences and merges are the weights that they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.encoders import EMBEDDED, describe_encoder
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.retention import drop_handed_on
from raystilts.study.schema import Study
from raystilts.training.checkpoints import open_checkpoints
from raystilts.training.encoder import load_weights, pretrained

from .examples import study
from .here import run_here

pytestmark = pytest.mark.slow


def stage_of(planned: Plan, label: str) -> Stage:
    return next(one for one in planned.of_kind("intermediate") if one.intermediate.label == label)


def weights(ran: Study, label: str) -> dict[str, torch.Tensor]:
    return load_weights(Path(checkpoints_folder(ran)) / stage_of(plan(ran), label).train_key)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def scores(ran: Study, arm: str) -> list[tuple[Any, ...]]:
    found = Results(results_folder(ran)).scores()
    found = found[(found["intermediate"] == arm) & found["is_final"] & (found["kind"] != "intermediate")]
    columns = ["target", "split", "language", "metric", "value"]
    return sorted(found[columns].itertuples(index=False, name=None))


def test_merges_and_sequences_are_what_they_say(tmp_path: Path) -> None:
    members = ["cldr_names", "cldr_same"]
    ran = study(
        tmp_path,
        intermediates=[
            {"merge": members, "name": "mean"}, {"merge": ["cldr_names"], "method": "ties", "name": "alone"},
            {"sequence": ["cldr_names", "cldr_same"], "name": "chain"}, "none", *members,
            {"merge": ["chain", "none"], "method": "weighted", "weights": [1, 3], "name": "back"},
        ],
    )  # fmt: skip
    graph = run_here(ran)
    assert set(graph.state.values()) == {"finished"}
    one, other = weights(ran, "cldr_names"), weights(ran, "cldr_same")
    assert same(weights(ran, "alone"), one)
    assert scores(ran, "alone") == scores(ran, "cldr_names")
    assert not same(one, other)
    mean = weights(ran, "mean")
    assert all(torch.equal(mean[name], ((one[name].double() + other[name].double()) / 2).float()) for name in one)
    assert not same(weights(ran, "chain"), other)
    assert stage_of(plan(ran), "chain").parent == stage_of(plan(ran), "cldr_names").key
    finished = Ledger(results_folder(ran)).finished().values()
    rows = {row.intermediate: row for row in finished if row.kind == "intermediate"}
    assert {label: rows[label].steps_done for label in ("mean", "alone", "back")} == {"mean": 0, "alone": 0, "back": 0}
    answers = Results(results_folder(ran)).answers()
    assert {arm.intermediate for answer in answers for arm in answer.arms} == {arm.label for arm in ran.intermediates}


def test_a_merge_whose_weights_are_gone_is_made_again_of_its_members(tmp_path: Path) -> None:
    """`keep: needed` removes members when the merge is done, and the merge when its targets are."""
    fields: dict[str, Any] = {"intermediates": ["none", "cldr_names", {"merge": ["cldr_names", "none"], "name": "m"}]}
    ran = study(tmp_path, keep="all", **fields)
    run_here(ran)
    before = weights(ran, "m")
    folder = Path(checkpoints_folder(ran))
    for label in ("m", "cldr_names"):
        for path in (folder / stage_of(plan(ran), label).train_key).rglob("*"):
            path.unlink() if path.is_file() else None
    more = study(tmp_path, **fields | {"targets": [*({"task": t.task, "languages": t.languages} for t in ran.targets),
                                                   {"task": "cldr_dates", "languages": ["en"]}]})  # fmt: skip
    graph = run_here(more)
    again = {stage.intermediate.label for stage in graph.stages.values() if stage.kind == "intermediate"}
    assert again == {"m", "cldr_names"}
    assert same(weights(more, "m"), before)


def test_a_failed_member_skips_the_merge_and_all_that_starts_from_it(tmp_path: Path) -> None:
    ran = study(tmp_path, intermediates=["none", "cldr_names", {"merge": ["cldr_names", "none"], "name": "m"}])
    planned = plan(ran)
    graph = StageGraph(planned.stages)
    skipped = graph.fail(stage_of(planned, "cldr_names").key)
    labels = [(planned.stages[key].intermediate.label, planned.stages[key].kind) for key in skipped]
    assert ("m", "intermediate") in labels
    assert ("m", "target") in labels
    assert ("m", "retrieval") in labels
    assert all(label != "none" for label, _ in labels)


def test_a_checkpoint_from_elsewhere_is_taken_as_it_is(tmp_path: Path) -> None:
    """What another study trained, saved by plain transformers with a head, scores as that study's own arm does."""
    first = study(tmp_path / "one")
    run_here(first)
    kept = Path(checkpoints_folder(first)) / stage_of(plan(first), "cldr_names").train_key
    theirs = tmp_path / "theirs"
    AutoModelForSequenceClassification.from_pretrained(kept).save_pretrained(theirs)
    AutoTokenizer.from_pretrained(kept).save_pretrained(theirs)
    arm = {"checkpoint": str(theirs), "name": "theirs", "trained_on": ["cldr_names"]}
    second = study(tmp_path / "two", intermediates=["none", arm])
    run_here(second)
    assert same(weights(second, "theirs"), weights(first, "cldr_names"))
    assert scores(second, "theirs") == scores(first, "cldr_names")
    assert scores(second, "none") == scores(first, "none")


def _constant(**changes: Any) -> dict[str, Any]:
    """A training whose first updates do not depend on how many there are."""
    return {"hyperparameters": {
        "lr_scheduler_type": "constant", "warmup_steps": 0, "load_best_model_at_end": False,
        "per_device_train_batch_size": 4, "max_train_samples": 16, "learning_rate": 1e-3, **changes,
    }}  # fmt: skip


def test_weights_along_a_training_are_those_after_so_many_updates(tmp_path: Path) -> None:
    long = study(tmp_path / "long", intermediate_steps=[0.5], **_constant(max_steps=8))
    run_here(long)
    short = study(tmp_path / "short", **_constant(max_steps=4))
    run_here(short)
    assert same(weights(long, "cldr_names_at_0.5"), weights(short, "cldr_names"))
    assert not same(weights(long, "cldr_names_at_0.5"), weights(long, "cldr_names"))
    plain = study(tmp_path / "plain", **_constant(max_steps=8))
    run_here(plain)
    assert same(weights(plain, "cldr_names"), weights(long, "cldr_names"))
    assert scores(plain, "cldr_names") == scores(long, "cldr_names")
    # Steps that are asked for later train up to the last of them, and nothing else.
    later = study(tmp_path / "plain", intermediate_steps=[0.25, 0.5], **_constant(max_steps=8))
    graph = run_here(later)
    assert {one.intermediate.label for one in graph.stages.values()} == {"cldr_names_at_0.25", "cldr_names_at_0.5"}
    assert same(weights(later, "cldr_names_at_0.5"), weights(long, "cldr_names_at_0.5"))
    drop_handed_on(plan(later), graph, open_checkpoints(checkpoints_folder(later)))
    assert not any((Path(checkpoints_folder(later)) / "in_progress").iterdir())


def test_a_masked_lm_head_comes_with_its_checkpoint(tmp_path: Path) -> None:
    """A masked-LM training without a learning rate that starts from it ends with that very head."""
    theirs = tmp_path / "theirs"
    model = AutoModelForMaskedLM.from_pretrained(EMBEDDED["raystilts-mini"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.25)
    model.save_pretrained(theirs)
    AutoTokenizer.from_pretrained(EMBEDDED["raystilts-mini"]).save_pretrained(theirs)
    mlm = {"masked_lm": {"text_of": "cldr_names", "max_steps": 1}, "name": "mlm"}
    still = {"learning_rate": 1e-12, "head_learning_rate": 1e-12, "max_train_samples": 8, "weight_decay": 0}
    ran = study(tmp_path, intermediates=["none", {"checkpoint": str(theirs)}, mlm, {"sequence": ["theirs", "mlm"]}],
                hyperparameters=still)  # fmt: skip
    run_here(ran)
    folder, planned = Path(checkpoints_folder(ran)), plan(ran)
    heads = {
        label: load_weights(folder / stage_of(planned, label).train_key / "heads")
        for label in ("theirs", "mlm", "theirs_then_mlm")
    }
    assert heads["theirs"]
    for name, tensor in heads["theirs"].items():
        assert torch.allclose(heads["theirs_then_mlm"][name], tensor, atol=1e-6)
    assert not all(torch.allclose(heads["mlm"][name], tensor, atol=1e-4) for name, tensor in heads["theirs"].items())


def test_a_member_that_is_an_adapter_is_merged_with_its_encoder(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    tuned = {"task": "cldr_names", "tuning": "lora", "name": "tuned"}
    ran = study(tmp_path, intermediates=["none", tuned, {"merge": ["tuned"], "name": "alone"},
                                         {"sequence": ["tuned", "cldr_same"], "name": "chain"}])  # fmt: skip
    graph = run_here(ran)
    assert set(graph.state.values()) == {"finished"}
    kept = Path(checkpoints_folder(ran)) / stage_of(plan(ran), "tuned").train_key
    whole = pretrained(describe_encoder(ran.encoder)).whole(kept)
    merged = weights(ran, "alone")
    assert all(torch.equal(merged[name], whole[name]) for name in merged)
    assert scores(ran, "alone") == scores(ran, "tuned")


@pytest.mark.parametrize(
    "schedule",
    [{"halve": {"keep": ["all", 2, 1]}}, {"top_two": {"runs": 9, "round_size": 2}}],
    ids=["halve", "top_two"],
)
def test_a_schedule_trains_what_its_composed_arms_are_made_of(tmp_path: Path, schedule: dict[str, Any]) -> None:
    members = ["cldr_names", "cldr_same"]
    arms = ["none", *members, {"merge": members, "name": "mean"}, {"sequence": members, "name": "chain"}]
    targets = [{"task": "cldr_units", "languages": ["en"]}]
    ran = study(tmp_path, intermediates=arms, targets=targets, seeds=[0, 1, 2], schedule=schedule)
    run_here(ran)
    finished = list(Ledger(results_folder(ran)).finished().values())
    runs = {(row.intermediate, row.seed) for row in finished if row.kind == "target"}
    made = {(row.intermediate, row.seed) for row in finished if row.kind == "intermediate"}
    needed = {"mean": {"mean", *members}, "chain": {"chain", "cldr_names"}}
    expected = {(part, seed) for arm, seed in runs if arm != "none" for part in needed.get(arm, {arm})}
    assert made == expected, "no more and no less than what its runs start from"
    assert {arm for arm, seed in runs if seed == 0} == {"none", *members, "mean", "chain"}
    assert len(runs) < len(arms) * 3, "the schedule leaves some out"
    run_here(ran)
    assert len(Ledger(results_folder(ran)).finished()) == len(finished), "nothing is left to train"
    [answer] = Results(results_folder(ran)).answers()
    assert {arm.intermediate for arm in answer.arms} == {"none", *members, "mean", "chain"}
