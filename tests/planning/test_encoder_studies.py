"""The study files of single encoders plan without their weights and without a network."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from raystilts.planning.resolve import load_study
from raystilts.planning.stages import plan

FOLDER = Path(__file__).parents[2] / "search_spaces"
#: Name of the file, the model on the hub, and its distinct stages: 3 seeds of 3 intermediates and 5 targets of 4 arms.
STUDIES = {
    "mmbert_base": "jhu-clsp/mmBERT-base",
    "xlmr_base": "FacebookAI/xlm-roberta-base",
    "xlmr_large": "FacebookAI/xlm-roberta-large",
    "mdeberta_v3": "microsoft/mdeberta-v3-base",
    "eurobert_210m": "EuroBERT/EuroBERT-210m",
    "me5_base": "intfloat/multilingual-e5-base",
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_study_of_an_encoder_plans(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: object, **more: object) -> None:
        raise AssertionError("a plan asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    file = FOLDER / f"{name}.yaml"
    study = load_study(file)
    assert study.name == name
    assert study.encoder.model_name_or_path == STUDIES[name]
    found = plan(study)
    assert (len(found.of_kind("intermediate")), len(found.of_kind("target"))) == (9, 60)
    head = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any("read" in line and "at" in line for line in head), "a source, and where it was read"
