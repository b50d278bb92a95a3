"""`raystilts export` on a small study that was run here: what plain transformers opens scores what the tables say."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from scheduling.here import run_here

from raystilts import cli
from raystilts.cli.common import read_study
from raystilts.planning.cost import results_folder
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import plan
from raystilts.report.model_card import wilson
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.scheduling.driver import write_study
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.tasks.splits import fixed_sample


def small(encoder: Path, storage: Path, **changes: Any) -> Study:
    """Two seeds, a target of each type and one that is not trained."""
    fields: dict[str, Any] = {
        "name": "small",
        "encoder": {"model_name_or_path": str(encoder)},
        "intermediates": ["none", "cldr_names"],
        "targets": [
            {"task": "cldr_units", "languages": ["en", "de"]},
            {"task": "cldr_choice", "languages": ["en"]},
            {"task": "cldr_dates", "languages": ["en"]},
            {"task": "cldr_span", "languages": ["en"]},
            {"task": "cldr_match", "languages": ["de"]},
        ],
        "seeds": [0, 1],
        "hyperparameters": {"max_train_samples": 32, "learning_rate": 3e-3, "num_train_epochs": 2, "max_length": 48,
                            "per_device_train_batch_size": 8},
        "evaluation": {"max_dev_samples": 32, "max_test_samples": 64},
        "keep": "all",
        "keep_targets": "all",
        "storage_path": str(storage),
    }  # fmt: skip
    return Study.model_validate(fields | changes)


def ran(study: Study) -> str:
    write_study(results_folder(study), resolve(study))
    run_here(study)
    return results_folder(study)


@pytest.fixture(scope="module")
def results(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    storage = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSTILTS_CACHE_DIR", str(storage / "cache"))
        return ran(small(tiny_encoder, storage / "results"))


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["raystilts", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(left.value.code or 0)

    return call


def test_a_classifier_scores_what_the_tables_say(results: str, export: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(results, "--target", "cldr_units", "--intermediate", "cldr_names", "--seed", 1, "-o", out) == 0
    task = get_task("cldr_units")
    rows = task.load_test("de", None)
    rows = rows.take(fixed_sample(rows.num_rows, 64))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    given = tokenizer(rows["text"].to_pylist(), padding=True, truncation=True, max_length=48, return_tensors="pt")
    with torch.no_grad():
        said = model(**given).logits.argmax(-1).tolist()
    gold = task.type.gold(rows)
    accuracy = sum(one == other for one, other in zip(said, gold, strict=True)) / len(gold)
    table = Results(results).scores(target="cldr_units", language="de", split="test", final=True)
    [recorded] = table[(table["intermediate"] == "cldr_names") & (table["seed"] == 1)]["value"]
    assert accuracy == pytest.approx(recorded)
    assert [model.config.id2label[i] for i in range(len(task.type.labels))] == list(task.type.labels)  # type: ignore[union-attr]
    card = (out / "README.md").read_text()
    low, high = wilson(recorded, 64)
    assert f"| test | de | accuracy | {100 * recorded:.1f} | {100 * low:.1f} to {100 * high:.1f} | 64 |" in card
    assert f"Licence of the data: {task.licence}" in card
    command = f"raystilts export {results} --target cldr_units --intermediate cldr_names --seed 1 -o {out}"
    assert command in card


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("cldr_choice", "BertForMultipleChoice"),
        ("cldr_dates", "BertForTokenClassification"),
        ("cldr_span", "BertForQuestionAnswering"),
        ("cldr_match", "SentenceTransformer"),
    ],
)
def test_every_type_is_exported(
    results: str, export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, name: str
) -> None:
    out = tmp_path / "out"
    assert export(results, "--target", target, "--intermediate", "cldr_names", "--seed", 0, "-o", out) == 0
    assert capsys.readouterr().out.endswith(f"opens as {name}\n")
    assert (out / "README.md").is_file()


def test_the_best_seed_is_that_with_the_best_dev_score(results: str, export: Any, tmp_path: Path) -> None:
    assert export(results, "--target", "cldr_units", "--intermediate", "none", "--best", "-o", tmp_path / "out") == 0
    table = Results(results).scores(target="cldr_units", language="en", split="dev", final=True)
    mine = table[table["intermediate"] == "none"].sort_values(["value", "seed"], ascending=[False, True])
    best = mine["seed"].tolist()[0]
    assert f"the pretrained encoder, then cldr_units, seed {best}." in (tmp_path / "out" / "README.md").read_text()


def test_the_pretrained_encoder_itself(results: str, export: Any, tmp_path: Path) -> None:
    assert export(results, "--target", "cldr_match", "--intermediate", "none", "-o", tmp_path / "out") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "cldr_unit"), "did you mean 'cldr_units'"),
        (("--target", "cldr_units", "--intermediate", "mnli"), "known: cldr_names, none"),
        (("--target", "cldr_units", "--seed", 7), "there are 0, 1"),
        (("--target", "cldr_units"), "give --seed, or --best"),
        (("--target", "cldr_units", "--seed", 1, "--best"), "exclude each other"),
    ],
)
def test_what_is_not_there(
    results: str, export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Any, message: str
) -> None:
    assert export(results, *arguments, "-o", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["cldr_units", "cldr_match"])
def test_what_was_not_kept_is_said_with_a_command_that_trains_it(
    tiny_encoder: Path, export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    targets = [{"task": target, "languages": ["de"]}]
    one = small(tiny_encoder, tmp_path / "results", keep_targets="none", seeds=[0], targets=targets)
    folder = ran(one)
    for stage in plan(one).of_kind("intermediate"):
        weights = tmp_path / "results" / "checkpoints" / stage.train_key
        weights.rename(weights.with_name("gone"))
    wanted = ("--target", target, "--intermediate", "cldr_names", "-o", tmp_path / "out")
    assert export(folder, *wanted) == 2
    said = capsys.readouterr().err
    assert "were not kept" in said
    command = shlex.split(said.splitlines()[-1])
    assert command[:2] == ["raystilts", "run"]
    again = read_study(Path(command[2]), command[6::2], command[4])
    ran(again)
    assert export(results_folder(again), *wanted) == 0
    stages = {row.stage for row in Ledger(folder).rows() if row.target == target and row.intermediate == "cldr_names"}
    assert stages == {row.stage for row in Ledger(results_folder(again)).rows() if row.target == target}
