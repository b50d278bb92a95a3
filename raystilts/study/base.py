"""What models of a study file share: their base, and types of values.

What is wrong with a study file, in one line.

Study files in YAML, read by the rules of YAML 1.2's core schema.

PyYAML follows YAML 1.1, where `1e-5` is a text, `no` (Norwegian) is false and `012` is ten. Here `1e-5` is a number,
`no`, `yes`, `on` and `off` are texts, `012` is twelve, and a key given twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from raystilts.errors import UserError, did_you_mean


def _code(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError(f'{value!r} is not a language code; write it in quotes (Norwegian Bokmal is "nb")')
    return value


Language = Annotated[str, BeforeValidator(_code)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Model(BaseModel):
    """A part of a study file: frozen, and without fields that nobody knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def first_problem(error: ValidationError, fields_at: Callable[[tuple[int | str, ...]], Sequence[str]]) -> str:
    """One line for the first problem of a pydantic error, with the place in the file and the value given.

    Args:
        fields_at: Names of the fields at a place of the file.
    """
    # A list whose items are wrong also counts as too short; that is no second problem.
    problems = [p for p in error.errors() if p["type"] != "too_short" or not p["input"]]
    problem = problems[0]
    place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("function-"))
    message = re.sub(r"^Value error, ", "", problem["msg"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such field; {did_you_mean(str(problem['loc'][-1]), fields_at(problem['loc'][:-1]))}"
    given = "" if problem["type"] in ("value_error", "missing") else f" (given: {problem['input']!r})"
    more = f" [and {len(problems) - 1} more]" if len(problems) > 1 else ""
    return f"{place}: {message}{given}{more}" if place else f"{message}{more}"


class _CoreLoader(yaml.SafeLoader):
    """A safe loader whose plain scalars follow the core schema."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is given twice; keep one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# A fresh table: the inherited one holds the rules of YAML 1.1.
_CoreLoader.yaml_implicit_resolvers = {}


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(node.value, 10)


def _real(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


_CoreLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_CoreLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_CoreLoader.add_constructor("tag:yaml.org,2002:int", _decimal)
_CoreLoader.add_constructor("tag:yaml.org,2002:float", _real)


def parse_yaml(text: str, origin: str) -> Any:
    """Parses YAML text; `origin` names it in errors.

    Raises:
        UserError: the text is not YAML, with line and column.
    """
    try:
        return yaml.load(text, Loader=_CoreLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{origin}, line {mark.line + 1}" if mark else origin
        raise UserError(f"{place}: {getattr(error, 'problem', None) or 'not valid YAML'}") from None


def read_yaml(path: Path) -> Any:
    """Reads a YAML file.

    Raises:
        UserError: the file is missing, unreadable or not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such study file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a text file ({error})") from None
    return parse_yaml(text, str(path))


def set_key(data: dict[str, Any], assignment: str) -> None:
    """Applies one `key.path=value` (the value in YAML) to parsed study data, in place.

    Raises:
        UserError: not of that form, or the path runs through something that is not a mapping.
    """
    path, equals, value = assignment.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise UserError(f"--set {assignment}: expected key.path=value, for instance --set encoder.revision=main")
    place = data
    for key in keys[:-1]:
        child = place.setdefault(key, {})
        if not isinstance(child, dict):
            raise UserError(f"--set {assignment}: {key!r} is a {type(child).__name__}, not a mapping")
        place = child
    place[keys[-1]] = parse_yaml(value, f"--set {assignment}")
