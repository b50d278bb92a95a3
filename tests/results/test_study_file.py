"""`study.json` of another version is read as far as it is understood."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from raystilts.errors import UserError
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results

from .examples import study, write_results


def _changed(folder: Path, **changes: Any) -> Path:
    """Results whose study.json has other top-level fields."""
    write_results(folder)
    file = folder / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def test_a_study_of_this_version_is_read_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Results(write_results(tmp_path)).study() == study()


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"colour": "green"}, "colour left out"),
        ({"schedule": "oracle"}, "schedule left out"),
        ({"schedule": {"oracle": {"depth": 3}}}, "schedule left out"),
        ({"encoder": {"model_name_or_path": "x", "shape": "round"}}, "encoder.shape left out"),
        ({"targets": [{"task": "xnli", "languages": ["en", "de"], "mood": 1}]}, "targets.0.mood left out"),
        ({"colour": "green", "mood": 1}, "colour, mood left out"),
    ],
)
def test_what_a_newer_version_has_added_is_left_out(tmp_path: Path, changes: dict[str, Any], left_out: str) -> None:
    folder = _changed(tmp_path, **changes)
    with pytest.warns(ResultsWarning, match=left_out):
        found = Results(folder).study()
    assert found is not None
    assert found.targets == study().targets
    with pytest.warns(ResultsWarning, match=left_out):
        assert Results(folder).answers()[0].best == ("squad",)


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}"])
def test_what_is_no_study_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    (write_results(tmp_path) / "study.json").write_text(text)
    with pytest.raises(UserError, match=r"study\.json does not fit any more: .*; run the study again"):
        Results(tmp_path).study()
