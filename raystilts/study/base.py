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
from typing import Annotated, Any, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from raystilts.errors import UserError, cut, did_you_mean, first_line, shown

#: Characters of a study file, and values in it once its aliases are written out: more is no study, but a mistake.
LARGEST_FILE, MOST_VALUES = 10**7, 10**6
#: Characters of the name of a study or an arm, which name files too (255 bytes on most disks, 3 a character).
LONGEST_NAME = 80
#: Characters of a message.
LONGEST_MESSAGE = 280


def _code(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError(f'{shown(value)} is not a language code; write it in quotes (Norwegian Bokmal is "nb")')
    return value


Language = Annotated[str, BeforeValidator(_code)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Model(BaseModel):
    """A part of a study file: frozen, and without fields that nobody knows; its numbers are finite, and no booleans."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python counts `true` as 1; whoever writes it means something else."""
        items = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(item, bool) for item in items):
            allowed = _types(cls.model_fields[info.field_name or ""].annotation)
            if bool not in allowed and allowed & {int, float}:
                raise ValueError(f"{shown(value)} is no number; write one")
        return value


def _types(annotation: Any) -> set[Any]:
    """The plain types that an annotation is made of."""
    parts = get_args(annotation)
    return {annotation} if not parts else set().union(*map(_types, parts))


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
        known = fields_at(problem["loc"][:-1])
        return f"{cut(place)}: no such field; {did_you_mean(str(problem['loc'][-1]), known)}"
    given = "" if problem["type"] in ("value_error", "missing") else f" (given: {shown(problem['input'])})"
    more = f" [and {len(problems) - 1} more]" if len(problems) > 1 else ""
    place, message = cut(place), cut(message, LONGEST_MESSAGE)
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
                    None, None, f"{shown(key.value)} is given twice; keep one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# A fresh table: the inherited one holds the rules of YAML 1.1.
_CoreLoader.yaml_implicit_resolvers = {}


_WORDS = {"true": True, "false": False}


def _or_refuse(read: Callable[[yaml.ScalarNode], Any], what: str) -> Callable[[yaml.SafeLoader, yaml.Node], Any]:
    """A constructor that says what a value is not: `!!int abc`, and numbers of too many digits."""

    def construct(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
        try:
            if isinstance(node, yaml.ScalarNode):
                return read(node)
        except (ValueError, KeyError):
            pass
        raise yaml.constructor.ConstructorError(None, None, f"{shown(node.value)} is not {what}", node.start_mark)

    return construct


def _refuse_tag(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    tag = cut(node.tag.replace("tag:yaml.org,2002:", "!!"))
    message = f"the tag {tag} means nothing here; leave it out (known: !!str, !!int, !!float, !!bool, !!null)"
    raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)


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
# A fresh table too: the inherited one makes sets, bytes and dates of tags, which no field takes.
_CoreLoader.yaml_constructors = {
    f"tag:yaml.org,2002:{kind}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
    for kind in ("null", "str", "seq", "map")
}
_CoreLoader.add_constructor("tag:yaml.org,2002:int", _or_refuse(lambda node: int(node.value, 10), "a whole number"))
_CoreLoader.add_constructor(
    "tag:yaml.org,2002:float",
    _or_refuse(lambda node: float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan")), "a number"),
)
_CoreLoader.add_constructor(
    "tag:yaml.org,2002:bool", _or_refuse(lambda node: _WORDS[node.value.lower()], "true or false")
)
_CoreLoader.add_constructor(None, _refuse_tag)


def _count(node: yaml.Node | None, counts: dict[int, int]) -> int:
    """Values below a node with its aliases written out; endless where it holds itself."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in counts:
        counts[id(node)] = MOST_VALUES + 1  # while it is counted: an alias to it inside itself
        parts = [one for pair in node.value for one in (pair if isinstance(pair, tuple) else (pair,))]
        counts[id(node)] = 1 + sum(_count(one, counts) for one in parts)
    return counts[id(node)]


def parse_yaml(text: str, origin: str) -> Any:
    """Parses YAML text; `origin` names it in errors.

    Raises:
        UserError: the text is not YAML, with line and column.
    """
    try:
        loader = _CoreLoader(text)
        try:
            node = loader.get_single_node()
            if _count(node, {}) > MOST_VALUES:
                raise UserError(f"{origin}: its aliases stand for more than {MOST_VALUES:,} values; write them out")
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{origin}, line {mark.line + 1}" if mark else origin
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not valid YAML"
        raise UserError(f"{place}: {cut(str(problem), LONGEST_MESSAGE)}") from None
    except RecursionError:
        raise UserError(f"{origin}: lists or mappings are nested too deeply; a study file has a few levels") from None


def expanded(path: str | Path, place: str = "") -> Path:
    """A path with `~` as a home folder; `place` names where it was given, for the message.

    Raises:
        UserError: it cannot be a path: no such home folder, a NUL in it, a name that is too long.
    """
    start = f"{place}: " if place else ""
    try:
        found = Path(path).expanduser()
        found.exists()
    except RuntimeError:
        raise UserError(f"{start}{cut(str(path))}: there is no such home folder; give a path without ~") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds a NUL"
        raise UserError(f"{start}{shown(str(path))}: this cannot be used as a path ({reason}); give another") from None
    if "\0" in str(path):
        raise UserError(f"{start}{shown(str(path))}: it holds a NUL, which no path can; take it out")
    return found


def read_yaml(path: Path) -> Any:
    """Reads a YAML file.

    Raises:
        UserError: the file is missing, unreadable or not YAML.
    """
    path = expanded(path)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such study file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as a text file ({first_line(error)}); give a study file in YAML"
        ) from None
    if len(text) > LARGEST_FILE:
        raise UserError(f"{path}: more than {LARGEST_FILE:,} characters; a study file is a few pages of YAML")
    return parse_yaml(text, str(path))


def set_key(data: dict[str, Any], assignment: str) -> None:
    """Applies one `key.path=value` (the value in YAML) to parsed study data, in place.

    Raises:
        UserError: not of that form, or the path runs through something that is not a mapping.
    """
    path, equals, value = assignment.partition("=")
    keys, assignment = path.split("."), cut(assignment)
    if not equals or not all(keys):
        raise UserError(f"--set {assignment}: expected key.path=value, for instance --set encoder.revision=main")
    place = data
    for key in keys[:-1]:
        child = place.setdefault(key, {})
        if not isinstance(child, dict):
            raise UserError(f"--set {assignment}: {key!r} is a {type(child).__name__}, not a mapping")
        place = child
    place[keys[-1]] = parse_yaml(value, f"--set {assignment}")
