"""Shared results: `datasets` opens what the card says is there, and nothing of the sharer is in it."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from results.rows import run_row

from raystilts.errors import UserError
from raystilts.report.html.provenance import study_yaml
from raystilts.report.share import PRIVATE, public_encoder, public_study, shared
from raystilts.results.finals import finals
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results
from raystilts.study.schema import Study

from .pages import write_everything


def study(**changes: object) -> Study:
    fields: dict[str, object] = {
        "name": "study", "intermediates": ["none", "squad", "mnli"], "targets": ["xnli", "udpos"], "seeds": [0, 1, 2],
        "storage_path": "/home/anna/results", "data_dir": "/home/anna/data", "task_files": ["/home/anna/my/task.py"],
        "encoder": {"model_name_or_path": "/home/anna/models/xlmr-small"},
    }  # fmt: skip
    return Study.model_validate(fields | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, with rows that name a machine, folders and a trace."""
    found = write_everything(tmp_path_factory.mktemp("results"))
    failed = run_row("failed.9", intermediate="squad", intermediate_fraction=1.0, seed=9, status="failed",
                     stop_reason="error", hostname=socket.gethostname(), encoder="/home/anna/models/xlmr-small",
                     checkpoint="/home/anna/results/checkpoints/x", source="/home/anna/t.csv",
                     error=f'File "{Path.home()}/x.py"\nKeyError: 1')  # fmt: skip
    write_attempt(found, failed, [])
    (found / "study.json").write_text(study().model_dump_json())
    return found


@pytest.fixture(scope="module")
def written(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shared")
    for name, data in shared(Results(folder)).files.items():
        (out / name).write_bytes(data)
    return out


def test_datasets_opens_every_configuration_of_the_card(folder: Path, written: Path, tmp_path: Path) -> None:
    header = yaml.safe_load((written / "README.md").read_text().split("---")[1])
    names = [config["config_name"] for config in header["configs"]]
    assert names[:5] == ["finals", "answers", "gains", "runs", "scores"]
    code = (
        "import sys, json; from datasets import load_dataset, get_dataset_config_names as names\n"
        "print(json.dumps({n: load_dataset(sys.argv[1], n)['train'].num_rows for n in names(sys.argv[1])} | "
        "{'default': load_dataset(sys.argv[1])['train'].num_rows}))"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(written)], env=environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    rows = json.loads(done.stdout.splitlines()[-1])
    results = Results(folder)
    assert rows.keys() == {*names, "default"}
    assert rows["finals"] == rows["default"] == len(finals(results)) > 0
    assert rows["runs"] == len(results.runs(all_attempts=True))
    assert rows["scores"] == len(results.scores())
    assert rows["answers"] == len(results.best())


def test_means_of_the_finals_are_those_of_the_answers(folder: Path, written: Path) -> None:
    finals = pd.read_parquet(written / "finals.parquet").query("split == 'test' and compared")
    means = finals.groupby(["target", "intermediate"])["value"].mean()
    best = pd.read_parquet(written / "answers.parquet").query("competes")
    for target, intermediate, mean in zip(best["target"], best["intermediate"], best["mean"], strict=True):
        assert means.loc[(target, intermediate)] == pytest.approx(mean)


def test_nothing_of_the_sharer_is_in_it(folder: Path) -> None:
    found = shared(Results(folder))
    for name, data in found.files.items():
        text = data.decode() if not name.endswith(".parquet") else pq.read_table(io.BytesIO(data)).to_pandas().to_csv()
        for own in ("anna", "/home", str(Path.home()) + "/", "KeyError"):
            assert own not in text, (name, own)
        if name.endswith(".parquet"):
            assert not set(PRIVATE) & set(pq.read_schema(io.BytesIO(data)).names)
            assert b"pandas" not in (pq.read_schema(io.BytesIO(data)).metadata or {})
    assert yaml.safe_load(found.files["study.yaml"])["task_files"] == ["task.py"]


def test_the_card_has_the_answers(written: Path) -> None:
    card = (written / "README.md").read_text()
    assert "gain over none in points" in card
    assert "- xnli: " in card
    assert "licence of the data" in card
    header = yaml.safe_load(card.split("---")[1])
    assert {"en", "de"} <= set(header["language"])


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("FacebookAI/xlm-roberta-base", "FacebookAI/xlm-roberta-base"), ("raystilts-mini", "raystilts-mini"),
        ("/data/models/mine/", "mine"), ("~/mine", "mine"), ("./mine", "mine"), ("C:\\models\\mine", "mine"),
        ("a/b/c", "c"), ("s3://bucket/mine", "mine"),
    ],
)  # fmt: skip
def test_an_encoder_keeps_its_id_and_loses_its_folder(name: str, public: str) -> None:
    assert public_encoder(name) == public


def test_a_study_without_places_has_the_same_cells() -> None:
    one = study()
    found = public_study(one)
    assert (found.data_dir, found.storage_path) == (None, "~/raystilts_results")
    assert (found.intermediates, found.targets, found.seeds) == (one.intermediates, one.targets, one.seeds)


def test_no_folder_of_a_study_is_left() -> None:
    one = study(
        encoder=None, encoders=["raystilts-mini", {"model_name_or_path": "/home/anna/models/b", "name": "b"}],
        intermediates=["none", "squad", {"checkpoint": "/home/anna/mine"}, {"checkpoint": "them/squad-model"}],
        schedule={"top_two": {"prior": ["/home/anna/results/earlier"]}},
    )  # fmt: skip
    text = study_yaml(public_study(one))
    assert "anna" not in text
    again = Study.model_validate(yaml.safe_load(text))
    assert [arm.label for arm in again.intermediates] == [arm.label for arm in one.intermediates]
    assert [one.label for one in again.all_encoders] == ["raystilts-mini", "b"]


def test_a_name_that_is_a_folder_of_the_user_is_not_shared(tmp_path: Path) -> None:
    write_everything(tmp_path)
    write_attempt(tmp_path, run_row("odd", intermediate=f"{Path.home()}/arm", status="failed", seed=5), [])
    if str(Path.home()) == "/":
        pytest.skip("this user's home is /")
    with pytest.raises(UserError, match=r"not shared: column 'intermediate' of answers names .*give the study, "):
        shared(Results(tmp_path))


def test_a_search_is_not_shared(tmp_path: Path) -> None:
    write_everything(tmp_path)
    searched = study(search={"num_samples": 2, "space": {"learning_rate": {"loguniform": [1e-6, 1e-4]}}})
    (tmp_path / "study.json").write_text(searched.model_dump_json())
    with pytest.raises(UserError, match="a search has no answers to share"):
        shared(Results(tmp_path))
