"""The page of the command line, from typer's own description of the commands."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer
from reference_text import table

import raystilts.cli  # noqa: F401 (adds the commands)
from raystilts.cli.common import app

_WORDS = {int: "INTEGER", float: "NUMBER", Path: "PATH"}


def page(made: str) -> Iterator[str]:
    """Lines of the page; `made` says what makes it."""
    yield from ("# The command line", "", made, "")
    yield (
        "`raystilts COMMAND --help` prints the same. Answers go to standard output, everything else to standard error."
        " Exit codes: 0 done; 1 something failed, or is missing; 2 a mistake in what was given, named in one to three"
        " lines before anything is trained; 128 plus the signal's number for a run that a signal has ended."
    )
    yield ""
    for name, command in commands(typer.main.get_command(app), ()):
        yield from _described(name, command)


def commands(command: Any, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that can be called, with the words that call it, in the order of the help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield before, command
        return
    for name, one in inner.items():
        if not one.hidden:
            yield from commands(one, (*before, name))


def _described(name: tuple[str, ...], command: Any) -> Iterator[str]:
    yield from (f"## raystilts {' '.join(name)}", "")
    told, _, example = (command.help or "").partition("Example: ")
    yield from (" ".join(told.split()), "")
    if example:
        yield from ("```console", f"$ {' '.join(example.split())}", "```", "")
    kinds = typing.get_type_hints(inspect.unwrap(command.callback))
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    if arguments:
        rows = [(f"`{one.name.upper()}`{'' if one.required else ' (optional)'}", _help(one)) for one in arguments]
        yield from (*table(("argument", "meaning"), rows), "")
    if options:
        known = [(_option(one, kinds.get(one.name, str)), _default(one), _help(one)) for one in options]
        yield from (*table(("option", "default", "meaning"), known), "")


def _option(one: Any, kind: Any) -> str:
    """Its names, and what stands behind them; typer's own types differ from version to version."""
    names = ", ".join(f"`{name}`" for name in one.opts)
    if one.is_flag:
        return names
    inner = [part for part in typing.get_args(kind) if part is not type(None)]
    plain = inner[0] if inner else kind
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return f"{names} {' or '.join(f'`{choice}`' for choice in plain)}"
    return f"{names} {_WORDS.get(plain, 'TEXT')}"


def _default(one: Any) -> str:
    value = getattr(one.default, "value", one.default)
    said = isinstance(value, str | int | float) and value is not False and value != ""
    return f"`{value}`" if said else ""


def _help(one: Any) -> str:
    return " ".join((one.help or "").split())
