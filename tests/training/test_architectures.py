"""Each architecture in each kind of stage: it runs and equals plain transformers, or it is refused with a line.

docs/reference/encoders.md has the table that this file makes. Run it as a script to write the table anew.
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from raystilts.errors import UserError
from raystilts.planning.stages import plan
from raystilts.training.rehearsal import compare_stage

from .architectures import checkpoint, configurations
from .examples import study

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "encoders.md"
BEGIN, END = "<!-- table: tests/training/test_architectures.py -->", "<!-- end of table -->"
#: For each kind of stage of the table: the kind in a plan, and what it is in a study.
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "classification": ("target", {"targets": [{"task": "cldr_units", "languages": ["de"]}]}),
    "choice": ("target", {"targets": [{"task": "cldr_choice", "languages": ["de"]}]}),
    "span": ("target", {"targets": [{"task": "cldr_span", "languages": ["de"]}]}),
    "tagging": ("target", {"targets": [{"task": "cldr_dates", "languages": ["de"]}]}),
    "retrieval": ("retrieval", {"targets": [{"task": "cldr_match", "languages": ["de"]}]}),
    "LoRA": ("target", {"targets": [{"task": "cldr_units", "languages": ["de"], "tuning": "lora"}]}),
    "BitFit": ("target", {"targets": [{"task": "cldr_units", "languages": ["de"], "tuning": "bitfit"}]}),
    "masked LM": ("intermediate", {"intermediates": [{"masked_lm": {"text_of": "cldr_units", "max_steps": 1}}]}),
}


def outcome(folder: Path, kind: str) -> str:
    """"yes", or the line with which it is refused."""
    wanted, changes = KINDS[kind]
    try:
        planned = plan(study(folder, **({"intermediates": ["none"]} | changes)))
        compare_stage(planned.of_kind(wanted)[0], planned.study, device="cpu", encoder=planned.encoder)
    except UserError as error:
        return str(error)
    return "yes"


def row(name: str, tokenizer: Any, folder: Path) -> list[str]:
    """What the table says of an architecture."""
    place = checkpoint(name, tokenizer, folder)
    return [outcome(place, kind) for kind in KINDS]


def documented() -> dict[str, list[str]]:
    """The rows of the table in the documentation."""
    table = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    return {first: rest for first, *rest in cells[2:]}


@pytest.mark.slow
@pytest.mark.parametrize("name", configurations())
def test_the_documentation_says_what_each_architecture_does(name: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    assert row(name, tiny_tokenizer, tmp_path) == documented()[name]


def test_the_table_has_every_architecture() -> None:
    assert list(documented()) == list(configurations())


def main() -> None:
    """Writes the table."""
    tokenizer = import_module("tests.conftest").make_tokenizer()
    lines = [f"|architecture|{'|'.join(KINDS)}|", f"|{'---|' * (len(KINDS) + 1)}"]
    for name in configurations():
        with tempfile.TemporaryDirectory() as folder:
            lines.append(f"|{name}|{'|'.join(row(name, tokenizer, Path(folder)))}|")
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    text = "\n".join([BEGIN, "", *lines, "", END])
    DOCUMENT.write_text(before + text + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
