"""A study on data from the hub, which a stand-in on this machine plays: asked once, then read without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from raystilts.planning.encoders import EMBEDDED
from raystilts.results.results import Results
from raystilts.tasks.github import MIRROR
from raystilts.tasks.registry import get_task
from raystilts.tasks.source import Source

from .hub_standin import Standin, serving

ROOT = Path(__file__).parents[2]
#: The commit of Wikipedia's texts that masked-LM co-training reads.
WIKIPEDIA = "b04c8d1ceb2f5cd4588862100d08de323dccfbaa"

#: What the environment of these tests says of data.
HERE = ("RAYSTILTS_DATA_DIR", "HF_HUB_OFFLINE")

STUDY = """
name: from_the_hub
encoder: {model_name_or_path: raystilts-mini}
intermediates: [none, mrpc]
targets: [{task: xnli, languages: [de, sw]}, {task: tatoeba, languages: [de]}]
seeds: [0]
hyperparameters: {max_steps: 3, per_device_train_batch_size: 4, max_length: 32}
storage_path: results
"""

#: The command line, without a program of its own.
CALL = "import sys; sys.argv[0] = 'raystilts'; from raystilts.cli import script; script()"

#: What a run does before it trains: the encoder is fetched, every row is read and checked, the plan is made of it.
START = """
from raystilts import plan
from raystilts.planning.encoders import fetch_encoder
from raystilts.planning.resolve import load_study, resolve
from raystilts.scheduling.preflight import check_data
study = load_study("study.yaml")
assert fetch_encoder(study.encoder).verified
check_data(resolve(study))
print(plan(study).verified)
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine whose hub is a stand-in: a folder to work in, and an empty cache."""

    standin: Standin
    folder: Path
    environment: dict[str, str]

    def call(self, *command: str, **more: str) -> str:
        """What a program prints that works with this hub."""
        done = subprocess.run(
            [sys.executable, *command], cwd=self.folder, env=self.environment | more, capture_output=True, text=True,
            timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def asked(self, **more: str) -> list[str]:
        """Requests of a start, but for those of `huggingface_hub` for itself."""
        before = len(self.standin.asked)
        assert self.call("-c", START, **more) == "True\n"
        return [path for path in self.standin.asked[before:] if path != "/api/agent-harnesses"]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """With an empty hub."""
    standin = Standin()
    with serving(standin) as address:
        environment = {name: value for name, value in os.environ.items() if name not in HERE}
        own = {"HF_ENDPOINT": address, MIRROR: f"{address}/github", "HF_HOME": str(tmp_path / "home")}
        own["PYTHONPATH"] = os.pathsep.join(sys.path)
        yield Machine(standin, tmp_path, environment | own)


def listings(asked: list[str]) -> list[str]:
    """Which data sets were asked for their files."""
    return [path.split("/datasets/")[1].split("/revision/")[0] for path in asked if path.startswith("/api/datasets/")]


def test_a_start_on_a_warm_cache_asks_nothing_and_works_offline(machine: Machine, data_dir: Path) -> None:
    for name in ("mrpc", "xnli", "tatoeba"):
        machine.standin.add(get_task(name), data_dir, rows=40)
    (machine.folder / "study.yaml").write_text(STUDY)
    assert 0 < len(machine.asked()) <= 40
    assert machine.asked() == []
    assert machine.asked(HF_HUB_OFFLINE="1") == []


def phang2020() -> dict[str, Any]:
    """The grid of search_spaces/phang2020.yaml, whole: what only a folder has stands before the hub, as its users do.

    One setting is another: the encoder that is served has fewer layers than the one that has its name.
    """
    study: dict[str, Any] = yaml.safe_load((ROOT / "search_spaces" / "phang2020.yaml").read_text())
    encoder = study["encoder"] | {"retrieval_layer": 1}
    return study | {"encoder": encoder, "storage_path": "results", "data_dir": ["folder", "hub"]}


def write_folder(folder: Path, data_dir: Path) -> None:
    """What the hub has not: CCGbank, BUCC with all its sentences, and translated training data."""

    def put(name: str, table: pa.Table) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name)

    for split in ("train", "validation"):
        tags = [[i % 9, 5] for i in range(60)]
        put(f"ccg/en/{split}.parquet", pa.table({"tokens": [[split, str(i)] for i in range(60)], "tags": tags}))
    for language in ("de", "fr", "ru", "zh"):
        for part in ("", "test_"):
            for side, code in (("source", language), ("target", "en")):
                ids = [f"{code}-{part}{i}" for i in range(9)]
                put(f"bucc2018/{language}/{part}pool_{side}.parquet", pa.table({"id": ids, "sentence": ids}))
            gold = {"source_id": [f"{language}-{part}1"], "target_id": [f"en-{part}1"]}
            put(f"bucc2018/{language}/{part.strip('_') or 'validation'}.parquet", pa.table(gold))
    for task in ("mnli", "squad", "hellaswag"):
        for language in ("de", "ru", "sw"):
            rows = pq.read_table(data_dir / task / "en" / "train.parquet", partitioning=None).slice(0, 400)
            put(f"{task}/{language}/train.parquet", rows)


def test_the_whole_grid_of_a_paper_asks_each_data_set_once_and_a_second_start_for_nothing(
    machine: Machine, data_dir: Path
) -> None:
    study = phang2020()
    (machine.folder / "study.yaml").write_text(yaml.safe_dump(study))
    write_folder(machine.folder / "folder", data_dir)
    encoder = study["encoder"]
    machine.standin.add_model(encoder["model_name_or_path"], encoder["revision"], EMBEDDED["raystilts-mini"])
    arms = ("mnli", "anli", "snli", "qqp", "squad", "squad_v2", "hellaswag", "cosmos_qa", "commonsense_qa")
    for name in (*arms, *(target["task"] for target in study["targets"])):
        machine.standin.add(get_task(name), data_dir, rows=400)  # a cut of 2 % must have rows too
    with_texts = next(arm for arm in study["intermediates"] if isinstance(arm, dict) and "masked_lm" in arm)
    for language in with_texts["masked_lm"]["languages"]:
        wikipedia = Source(
            dataset="mono", split="train", path="wikimedia/wikipedia", revision=WIKIPEDIA, name="20231101.{language}"
        )
        texts = pa.table({"text": [f"{language} is a language, said {i} people in a text." for i in range(30)]})
        machine.standin._put(wikipedia, f"20231101.{language}", "train", texts, language)
    first = machine.asked()
    assert len(listings(first)) == len(set(listings(first))) > 10
    assert any("/xlm-roberta-large/resolve/" in path for path in first)
    assert machine.asked() == []


@pytest.mark.slow
def test_a_small_study_runs_from_the_hub_to_an_answer(machine: Machine, data_dir: Path) -> None:
    for name in ("mrpc", "xnli", "tatoeba", "stsb"):
        machine.standin.add(get_task(name), data_dir, rows=40)
    with_similarity = STUDY.replace("targets: [", "targets: [{task: stsb, languages: [de]}, ")
    (machine.folder / "study.yaml").write_text(with_similarity)
    machine.call("-c", CALL, "run", "study.yaml")
    asked = len(machine.standin.asked)
    arms = json.loads(machine.call("-c", CALL, "best", "results/from_the_hub", "--json", HF_HUB_OFFLINE="1"))
    assert {arm["target"] for arm in arms} == {"xnli", "tatoeba", "stsb"}
    assert {(arm["intermediate"], arm["seeds"]) for arm in arms} == {("none", 1), ("mrpc", 1)}
    attempts = len(Results(machine.folder / "results" / "from_the_hub").runs(all_attempts=True))
    machine.call("-c", CALL, "run", "study.yaml", HF_HUB_OFFLINE="1")
    assert len(Results(machine.folder / "results" / "from_the_hub").runs(all_attempts=True)) == attempts == 7
    assert not [path for path in machine.standin.asked[asked:] if "/datasets/" in path]
