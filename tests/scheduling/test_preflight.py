from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from raystilts.errors import StorageError, UserError
from raystilts.planning.encoders import EMBEDDED, describe_encoder
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import plan
from raystilts.scheduling.preflight import check_data, check_storage, splits
from raystilts.scheduling.rehearse import check_encoder, slow_bfloat16
from raystilts.study.encoder import Encoder
from raystilts.study.schema import Study
from raystilts.training import fast_ops

from .examples import study

PAIRS = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, 1]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """English and German XNLI test data, and what it trains on, two rows each."""
    data = tmp_path / "data"
    for dataset, language, split in (
        ("mnli", "en", "train"), ("xnli", "en", "validation"), ("xnli", "de", "validation"), ("xnli", "de", "test"),
    ):  # fmt: skip
        put(data / dataset / language / f"{split}.parquet", PAIRS)
    return data


def put(path: Path, columns: dict[str, list[object]] | dict[str, list[str]] | dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def xnli(folder: Path) -> Study:
    targets = [{"task": "xnli", "languages": ["de"]}]
    return study(folder / "results", data_dir=str(folder), intermediates=["none"], targets=targets)


def test_every_split_is_looked_at(folder: Path) -> None:
    assert [(one.place, one.split, one.language) for one in splits(resolve(xnli(folder)))] == [
        ("targets.0 (xnli)", "train", None),
        ("targets.0 (xnli)", "dev", "en"),
        ("targets.0 (xnli)", "dev", "de"),
        ("targets.0 (xnli)", "test", "de"),
    ]
    assert check_data(resolve(xnli(folder))) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (None, r"^targets\.0 \(xnli\): .*test\.parquet"),
        ({"premise": [], "hypothesis": [], "label": []}, r"^targets\.0 \(xnli\): .*test\.parquet.*(empty|no rows)"),
        ({"premise": ["a"], "label": [0]}, r"^targets\.0 \(xnli\): .*hypothesis"),
        ({"premise": ["a"], "hypothesis": ["b"], "label": [7]}, r"^targets\.0 \(xnli\): .*de/test.parquet: unknown"),
        (
            {"premise": ["a"] * 999 + [None], "hypothesis": ["b"] * 1000, "label": [1] * 1000},
            r"^targets\.0 \(xnli\): .*de/test.parquet: no text in 'premise' in 1 row \(999\): null",
        ),
    ],
    ids=["missing", "empty", "columns", "label", "text"],
)
def test_faults_in_data_name_place_and_file(folder: Path, columns: dict[str, list[str]] | None, message: str) -> None:
    path = folder / "xnli" / "de" / "test.parquet"
    path.unlink()
    if columns is not None:
        put(path, columns)
    with pytest.raises(UserError, match=message):
        check_data(resolve(xnli(folder)))


def test_blank_texts_are_used_and_told(folder: Path) -> None:
    path = folder / "xnli" / "de" / "test.parquet"
    put(path, {"premise": ["a", " "], "hypothesis": ["b", "c"], "label": [0, 1]})
    assert check_data(resolve(xnli(folder))) == [f"{path}: empty 'premise' in 1 row (1)"]


def test_a_file_that_is_no_parquet(folder: Path) -> None:
    (folder / "xnli" / "de" / "test.parquet").write_text("text")
    with pytest.raises(UserError, match=r"^targets\.0 \(xnli\): .*test\.parquet"):
        check_data(resolve(xnli(folder)))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data_dir: .*data: no such folder; expected <dataset>/<language>/<split>"):
        check_data(resolve(xnli(tmp_path / "data")))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the embedded encoder without one of its tensors' rows."""
    folder = tmp_path / "encoder"
    shutil.copytree(EMBEDDED["raystilts-mini"], folder)
    return folder


def test_an_encoder_that_loads() -> None:
    check_encoder(describe_encoder(Encoder()))


def test_encoders_that_do_not_load(broken: Path) -> None:
    weights = load_file(broken / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    save_file(weights | {name: weights[name][:, :7].copy()}, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"^encoder\.model_name_or_path: .* does not load: "):
        check_encoder(describe_encoder(Encoder(model_name_or_path=str(broken))))


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not the configuration of a model; fetch"), ('{"model_type": "no-such-model"}', "does not load: ")],
)
def test_configurations_that_do_not_load(broken: Path, content: str, message: str) -> None:
    (broken / "config.json").write_text(content)
    with pytest.raises(UserError, match=rf"^encoder\.model_name_or_path: .* {message}"):
        check_encoder(describe_encoder(Encoder(model_name_or_path=str(broken))))


def test_a_missing_tokenizer(broken: Path) -> None:
    (broken / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"^encoder\.model_name_or_path: "):
        check_encoder(describe_encoder(Encoder(model_name_or_path=str(broken))))


@pytest.mark.parametrize(
    "given", [{"hidden_size": "x"}, {"hidden_size": 7}, {"pad_token_id": 99999999}, {"num_hidden_layers": "x"}]
)
def test_configurations_of_which_no_model_can_be_made(broken: Path, given: dict[str, Any]) -> None:
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | given))
    with pytest.raises(UserError, match=r"^encoder\.model_name_or_path: .* must be ") as error:
        check_encoder(describe_encoder(Encoder(model_name_or_path=str(broken))))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["study.json", ".driver.lock", "tasks.json", "progress.json"])
def test_a_folder_in_a_files_place(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=rf"^storage_path: .*{re.escape(name)} must be a file .*; move it away"):
        check_storage(tmp_path, None)


def test_a_file_in_the_checkpoints_place(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(UserError, match=r"^storage_path: .*checkpoints must be a folder .*; move it away"):
        check_storage(tmp_path / "study", None)


def test_storage(tmp_path: Path) -> None:
    check_storage(tmp_path / "new" / "folder", 1)
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"^storage_path: .*results: cannot be written \(.*\); choose another: --storage-path"
    ):
        check_storage(tmp_path / "file" / "results", None)
    with pytest.raises(StorageError, match="GB are free, the checkpoints take 1000000000"):
        check_storage(tmp_path, 10**18)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"cannot be written \(Permission denied\)"):
        check_storage(tmp_path / "results", None)


@pytest.mark.parametrize(("bf16", "products"), [(True, False), (True, True), (False, False)])
def test_bfloat16_on_a_processor_without_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bf16: bool, products: bool
) -> None:
    monkeypatch.setattr(fast_ops, "has_bfloat16_products", lambda: products)
    planned = plan(study(tmp_path, hyperparameters={"bf16": bf16}))
    said = slow_bfloat16(planned.stages.values())
    assert (said is not None) is (bf16 and not products)
    assert said is None or said.startswith("bf16: true: this processor emulates bfloat16")
