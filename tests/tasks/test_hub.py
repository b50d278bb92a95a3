from __future__ import annotations

import pytest

from raystilts.errors import UserError
from raystilts.tasks import hub
from raystilts.tasks.loading import load
from raystilts.tasks.source import Source


@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("PAN-X.{language}", "de", "PAN-X.de"),
        ("udpos.{language_name}", "de", "udpos.German"),
        ("{flores}", "zh", "zho_Hans"),
        ("tatoeba.{iso3}", "sw", "tatoeba.swh"),
        (None, "de", None),
    ],
)
def test_configuration_of_a_language(name: str | None, language: str, expected: str | None) -> None:
    source = Source(dataset="set", split="train", path="owner/set", name=name)
    assert hub.names(source, language) == (expected, "train")


def test_own_codes_of_the_hub_win() -> None:
    source = Source(dataset="s", split="t", path="o/s", name="tatoeba.{iso3}", language_codes={"zh": "cmn"})
    assert hub.names(source, "zh")[0] == "tatoeba.cmn"
    assert hub.names(source, "de")[0] == "tatoeba.deu"


def test_class_indices_become_names() -> None:
    datasets = pytest.importorskip("datasets")
    names = datasets.ClassLabel(names=["O", "B-PER"])
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(names),
            "label": names,
            "answers": datasets.Sequence({"text": datasets.Value("string"), "answer_start": datasets.Value("int32")}),
        }
    )
    found = datasets.Dataset.from_dict(
        {
            "tokens": [["a", "b"], []],
            "ner_tags": [[1, 0], []],
            "label": [1, -1],
            "answers": [{"text": ["a"], "answer_start": [0]}, {"text": [], "answer_start": []}],
        },
        features=features,
    )
    table = hub.to_table(found)
    assert table["ner_tags"].to_pylist() == [["B-PER", "O"], []]
    assert table["label"].to_pylist() == ["B-PER", "-1"]
    assert table["answers"].to_pylist()[0] == {"text": ["a"], "answer_start": [0]}


def test_subset_of_a_dataset_keeps_only_its_rows() -> None:
    datasets = pytest.importorskip("datasets")
    found = datasets.Dataset.from_dict({"id": ["a", "b", "c"]}).select([2, 0])
    assert hub.to_table(found)["id"].to_pylist() == ["c", "a"]


def test_without_a_network_the_error_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    source = Source(dataset="set", split="train", path="raystilts-tests/never-there", revision="0" * 40)
    with pytest.raises(UserError, match=r"(?s)cannot be read from the hub.*data_dir.*set/en/train.parquet"):
        load(source, "en", None)


def test_data_that_is_not_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    with pytest.raises(UserError, match=r"set: not on the hub.*set/en/train.parquet"):
        load(Source(dataset="set", split="train"), "en", None)


def test_nothing_is_cached_of_what_is_not_there() -> None:
    assert not hub.is_cached(Source(dataset="set", split="train", path="raystilts-tests/never-there", revision="a"))
