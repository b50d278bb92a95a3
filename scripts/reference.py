"""Writes the pages of docs/reference/ that the code itself knows best.

    python scripts/reference.py            # writes them
    python scripts/reference.py --check    # writes nothing; exit 1 where a page is not as it would be written

The study file from its pydantic models, the command line from typer, the Python API from its docstrings, and the
columns of the tables from `raystilts/results/schema.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import inspect
import sys
from pathlib import Path
from typing import Any

import reference_commands
from pydantic import BaseModel
from reference_text import Doc, default_of, meanings, read_doc, table, words

import raystilts
from raystilts import schedules
from raystilts.report.html.gather import gather
from raystilts.report.html.page import page
from raystilts.results.schema import ROWS
from raystilts.study import (
    adapters,
    composed,
    encoder,
    hyperparameters,
    intermediate,
    resources,
    schema,
    search,
    target,
)
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.mining import Mining
from raystilts.tasks.types.multiple_choice import MultipleChoice
from raystilts.tasks.types.regression import Regression
from raystilts.tasks.types.retrieval import AnswerRetrieval, Retrieval
from raystilts.tasks.types.span_qa import SpanQA
from raystilts.tasks.types.tagging import Tagging
from raystilts.testing.replay import Curves, Replayed, replay
from raystilts.testing.tasks import task_contract

DOCS = Path(__file__).parents[1] / "docs" / "reference"
BEGIN, END = "<!-- columns: scripts/reference.py -->", "<!-- end of columns -->"
MADE = "<!-- This page is made by `python scripts/reference.py`; change the docstrings that it reads. -->"

#: Sections of the study file: the model, and what it is in the file.
STUDY: tuple[tuple[type[BaseModel], str], ...] = (
    (schema.Study, "The whole file"),
    (encoder.Encoder, "`encoder`"),
    (intermediate.Intermediate, "an entry of `intermediates`"),
    (intermediate.MaskedLM, "`masked_lm` of an intermediate"),
    (intermediate.Alignment, "`align` of an intermediate"),
    (composed.Foreign, "`checkpoint` of an intermediate, and what stands beside it"),
    (composed.Trainings, "`sequence` of an intermediate, and what stands beside it"),
    (composed.Merge, "`merge` of an intermediate, and what stands beside it"),
    (target.Target, "an entry of `targets`"),
    (schema.Fractions, "`intermediate_fractions`, `target_fractions`"),
    (adapters.Tuning, "`tuning` of the study, an intermediate or a target: [adapters](adapters.md)"),
    (hyperparameters.StudyHyperparameters, "`hyperparameters`"),
    (schema.Evaluation, "`evaluation`"),
    (resources.Resources, "`resources`"),
    (resources.StageResources, "an entry of `resources.by_kind`"),
    *((model, f"`schedule: {{{name}: ...}}`") for name, model in schedules._MODELS.items()),
    (search.Search, "`search`"),
    (search.TaskSearch, "an entry of `search.tasks`"),
)
ENTRY_FORMS = {
    intermediate.Intermediate: "Short forms: `none`, the name of a task, or a mapping with the fields below. `task` may"
    " be written for `tasks`.",
    target.Target: "Short form: the name of a task.",
    adapters.Tuning: "Short form: the name of a method. More: [adapters](adapters.md).",
    schema.Fractions: "Short form: the list of `values`.",
    resources.Resources: "Short form: `auto`.",
    hyperparameters.StudyHyperparameters: "The names are those of Hugging Face's `TrainingArguments`. `from: FILE`"
    " takes the values that a [search](../howto/search.md) has found.",
    search.Search: "A range is one of `{loguniform: [1e-6, 1e-4]}`, `{uniform: [0, 0.1]}`, `{int: [1, 5]}` and"
    " `{choice: [16, 32, 64]}`. Both ends belong to it.",
}

API: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("A study", (raystilts.Study, raystilts.plan, raystilts.run)),
    ("Results", (raystilts.Results, gather, page)),
    ("Tasks", (Task, Source, task_contract)),
    (
        "Types of tasks",
        (SequenceClassification, Regression, MultipleChoice, SpanQA, Tagging, Retrieval, AnswerRetrieval, Mining),
    ),
    ("Replays of schedules", (Curves, replay, Replayed)),
)
#: Methods of these are part of the API too.
WITH_METHODS = (raystilts.Results, Curves)


def main() -> int:
    """Writes the pages, or says which differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page differs")
    check = parser.parse_args().check
    differ = 0
    for name, wanted in pages().items():
        path = DOCS / name
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if there == wanted:
            continue
        differ += 1
        if check:
            print(f"{path.relative_to(DOCS.parents[1])} is not current: run python scripts/reference.py")
            lines = difflib.unified_diff(there.splitlines(), wanted.splitlines(), "committed", "made", n=0, lineterm="")
            print("\n".join(list(lines)[:10]))
        else:
            path.write_text(wanted, encoding="utf-8")
            print(path)
    return int(bool(differ and check))


def pages() -> dict[str, str]:
    """Every generated page, by its name."""
    tables = (DOCS / "tables.md").read_text(encoding="utf-8")
    return {
        "study_file.md": _joined(study_page()),
        "command_line.md": _joined([*reference_commands.page(MADE)]),
        "python_api.md": _joined(api_page()),
        "tables.md": with_columns(tables),
    }


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def study_page() -> list[str]:
    """The fields of a study file, from the models that read it."""
    link = {model: _anchor(model) for model, _ in STUDY}
    lines = [
        "# The study file", "", MADE, "",
        "A study file is YAML, read by the rules of YAML 1.2: `1e-5` is a number and `no` is text. Any value can be set"
        " on the command line too: `--set hyperparameters.learning_rate=1e-5 --set 'seeds=[0, 1]'`. In Python,"
        " `raystilts.Study(name=..., intermediates=..., ...)` takes the same fields.", "",
        "A field that is not listed is refused, and so is a value of another type. Results go to"
        " `<storage_path>/<name>`.", "",
    ]  # fmt: skip
    for model, where in STUDY:
        doc = read_doc(model)
        lines += [f"## {model.__name__}", "", f"{_upper(where)}. {_said(doc)}", ""]
        if model in ENTRY_FORMS:
            lines += [ENTRY_FORMS[model], ""]
        lines += [*table(("field", "type", "default", "meaning"), _fields(model, link)), ""]
    return lines


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _anchor(model: type) -> str:
    return model.__name__.lower()


def _said(doc: Doc) -> str:
    return " ".join(f"{doc.first} {doc.more}".split())


def _fields(model: type[BaseModel], link: dict[type, str]) -> list[tuple[str, ...]]:
    """A row for each field of a model."""
    said = meanings(model)
    missing = [name for name in model.model_fields if name not in said]
    if missing:
        raise SystemExit(f"{model.__name__}: its docstring does not say what {', '.join(missing)} means")
    others = {one: anchor for one, anchor in link.items() if one is not model}
    return [
        (f"`{name}`", _type(model, name, others), default_of(one), said[name].replace("None", "null"))
        for name, one in model.model_fields.items()
    ]


def _type(model: type[BaseModel], name: str, link: dict[type, str]) -> str:
    if name == "schedule":
        return _schedules(link)
    one = model.model_fields[name]
    return words(one.annotation, one.metadata, link)


def _schedules(link: dict[type, str]) -> str:
    """The schedules by name, each with its section."""
    return ", ".join(["`full`", *(f"[`{name}`](#{link[model]})" for name, model in schedules._MODELS.items())])


def with_columns(text: str) -> str:
    """The page of tables, with the columns of each between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = []
    for name, row in ROWS.items():
        hints = inspect.get_annotations(row, eval_str=True)
        said = meanings(row)
        missing = [one.name for one in dataclasses.fields(row) if one.name not in said]
        if missing:
            raise SystemExit(f"{row.__name__}: its docstring does not say what {', '.join(missing)} means")
        rows = [(f"`{one.name}`", words(hints[one.name]), said[one.name]) for one in dataclasses.fields(row)]
        lines += ["", f"### `{name}`", "", read_doc(row).first, "", *table(("column", "type", "meaning"), rows)]
    return f"{before}{BEGIN}\n{chr(10).join(lines)}\n\n{END}{after}"


def api_page() -> list[str]:
    """The public functions and classes, from their docstrings."""
    lines = ["# Python API", "", MADE, ""]
    lines += [
        "`from raystilts import Results, Study, plan, run` gives what the command line uses. The other names are"
        " imported from the modules that stand beside them.", "",
    ]  # fmt: skip
    for title, things in API:
        lines += [f"## {title}", ""]
        for thing in things:
            lines += _described(thing, f"{_home(thing)}.{thing.__name__}", 3)
            if thing in WITH_METHODS:
                for name, method in inspect.getmembers(thing, inspect.isroutine):
                    if not name.startswith("_") and method.__doc__:
                        lines += _described(method, f"{thing.__name__}.{name}", 4)
    return lines


def _home(thing: Any) -> str:
    """The module that a name is imported from."""
    name = str(thing.__name__)
    ours = name in raystilts.__all__ and getattr(raystilts, name) is thing
    return "raystilts" if ours else str(thing.__module__)


def _described(thing: Any, name: str, level: int) -> list[str]:
    """A heading, the signature, and what the docstring says."""
    doc = read_doc(thing)
    lines = [f"{'#' * level} {name}", ""]
    model = isinstance(thing, type) and issubclass(thing, BaseModel)
    if not model:
        lines += ["```python", _signature(thing), "```", ""]
    lines += [doc.first, ""]
    lines += [doc.more, ""] if doc.more else []
    if thing is raystilts.Study:
        return [*lines, "Its fields are those of [the study file](study_file.md).", ""]
    if model:
        said = meanings(thing)
        rows = [
            (f"`{name}`", words(one.annotation, one.metadata), default_of(one), said.get(name, ""))
            for name, one in thing.model_fields.items()
            if name != "kind"
        ]
        return [*lines, *table(("field", "type", "default", "meaning"), rows), ""]
    for section in ("Args", "Attributes", "Returns", "Raises"):
        if section in doc.named:
            lines += [f"**{section}**", ""]
            lines += [*(f"- `{name}`: {text}" for name, text in doc.named[section].items()), ""]
        elif section in doc.plain:
            lines += [f"**{section}**: {doc.plain[section]}", ""]
    return lines


def _signature(thing: Any) -> str:
    """The call, one parameter a line where it is long."""
    found = inspect.signature(thing)
    if isinstance(thing, type):
        found = found.replace(return_annotation=inspect.Signature.empty)
    keep = [_plain(one) for one in found.parameters.values() if one.name not in ("self", "cls")]
    text = f"{thing.__name__}{found.replace(parameters=keep)}".replace("'", "")
    if len(text) <= 100:
        return text
    parts, star = [], False
    for one in keep:
        if one.kind is one.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        parts.append(str(one).replace("'", ""))
    returned = text.rpartition(") -> ")[2] if ") -> " in text else ""
    return f"{thing.__name__}(\n    " + ",\n    ".join(parts) + ",\n)" + (f" -> {returned}" if returned else "")


def _plain(one: inspect.Parameter) -> inspect.Parameter:
    """A parameter whose default, if it is a function, does not say where it lies in memory."""
    return one.replace(default=...) if inspect.isroutine(one.default) else one


if __name__ == "__main__":
    sys.exit(main())
