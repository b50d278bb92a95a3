"""What was tried once on a machine is not tried again, unless something that it hangs on has changed."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from raystilts.errors import UserError
from raystilts.planning.encoders import EMBEDDED, describe_encoder
from raystilts.planning.stages import Plan, plan
from raystilts.scheduling import rehearse as trying
from raystilts.scheduling.rehearse import check_encoder, notes_of, rehearse, remember
from raystilts.study.encoder import Encoder
from raystilts.training import encoder as opening
from raystilts.training import rehearsal

from .examples import study


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tried"


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    return plan(study(tmp_path / "results"))


def calls(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[object]:
    """What a function is called with from now on."""
    real: Callable[..., object] = getattr(module, name)
    seen: list[object] = []

    def called(first: object, *more: object, **named: object) -> object:
        seen.append(first)
        return real(first, *more, **named)

    monkeypatch.setattr(module, name, called)
    return seen


def tries(planned: Plan, *, again: bool = False) -> tuple[int, list[str], str]:
    """Rehearses all stages: how many kinds there are, what is said on the way, and the notes."""
    said: list[str] = []
    console = Console(file=io.StringIO(), width=500)
    number = rehearse(planned, planned.stages.keys(), console, said.append, again=again)
    assert isinstance(console.file, io.StringIO)
    return number, said, console.file.getvalue()


def test_notes_come_back_as_they_were(cache: Path) -> None:
    assert notes_of(("stage", "a")) is None
    remember(("stage", "a"), ["one", "two"])
    remember(("stage", "b"))
    assert (notes_of(("stage", "a")), notes_of(("stage", "b")), notes_of(("stage", "c"))) == (["one", "two"], [], None)
    assert len(list(cache.iterdir())) == 2


def test_other_programs_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    remember(("stage", "a"))
    monkeypatch.setattr(trying, "code_digest", lambda: "other")
    assert notes_of(("stage", "a")) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"notes": 1}', '{"notes": [1]}', "\xff"])
def test_a_file_that_cannot_be_read_is_none(cache: Path, content: str) -> None:
    remember(("stage", "a"))
    [file] = cache.iterdir()
    file.write_text(content, encoding="latin-1")
    assert notes_of(("stage", "a")) is None


def test_without_a_place_nothing_is_kept(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file in the folder's place")
    remember(("stage", "a"))
    assert notes_of(("stage", "a")) is None


def test_an_encoder_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = calls(monkeypatch, opening, "pretrained")
    info = describe_encoder(Encoder())
    check_encoder(info)
    check_encoder(info)
    assert opened == [info]


def test_an_encoder_that_does_not_open_is_tried_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "encoder"
    folder.mkdir()
    for path in EMBEDDED["raystilts-mini"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"num_hidden_layers": ', '"num_hidden_layers": 1'))
    opened = calls(monkeypatch, opening, "pretrained")
    encoder = Encoder(model_name_or_path=str(folder))
    for _ in range(2):
        with pytest.raises(UserError, match="missing"):
            check_encoder(describe_encoder(encoder))
    (folder / "config.json").write_text(config)
    check_encoder(describe_encoder(encoder))
    assert len(opened) == 3


def test_a_kind_of_stage_is_rehearsed_once(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "tokenizer_notes", lambda loaded: ["worth knowing"])
    compared = calls(monkeypatch, rehearsal, "compare_stage")
    number, said, notes = tries(planned)
    assert number == len(compared) == len(said) > 1
    assert notes == "note: worth knowing\n"
    before = f"rehearsed before on this machine: {number} of {number} kinds of stages"
    assert tries(planned) == (number, [before], notes)
    assert len(compared) == number
    assert tries(planned, again=True) == (number, said, notes)
    assert len(compared) == 2 * number


def test_what_fails_is_rehearsed_again(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rehearsal.compare_stage

    def failing(*given: object, **named: object) -> list[str]:
        raise ArithmeticError("no score today")

    monkeypatch.setattr(rehearsal, "compare_stage", failing)
    number, _, notes = tries(planned)
    assert notes.count("was not rehearsed: ArithmeticError: no score today") == number
    monkeypatch.setattr(rehearsal, "compare_stage", real)
    assert len(tries(planned)[1]) == number
