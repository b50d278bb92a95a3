"""What every command shares: the application, its usual arguments, the study file, the width of its output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import typer.core

from raystilts.analysis.presentation import printable
from raystilts.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from raystilts.results.results import Results
    from raystilts.study.schema import Study


F = TypeVar("F", bound=Callable[..., Any])


class _EachOnce:
    """Refuses an option of one value that is given again: all but the last would be dropped without a word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the command has it, after a look at what is there."""
        this: Any = self
        _, _, given = this.make_parser(ctx).parse_args(list(args))
        if not ctx.resilient_parsing and not any(one.is_eager for one in given):  # completion, --help
            _refuse_repeated(given)
        found: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        return found


def _refuse_repeated(given: Sequence[Any]) -> None:
    for option in given:
        times = given.count(option)
        if times > 1 and not option.multiple and not getattr(option, "is_flag", False):
            name = max(option.opts, key=len)
            raise UserError(f"{name} is given {times} times and takes one value; give it once, in a command for each")


class _Command(_EachOnce, typer.core.TyperCommand):
    pass


class _Group(_EachOnce, typer.core.TyperGroup):
    pass


class Commands(typer.Typer):
    """Commands that belong together."""

    def __init__(self, **how: Any) -> None:
        super().__init__(cls=_Group, **how)

    def command(self, name: str | None = None, **how: Any) -> Callable[[F], F]:
        """Adds a command."""
        return super().command(name, cls=_Command, **how)


app = Commands(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        from raystilts import __version__

        print(f"raystilts {__version__}")
        raise typer.Exit


@app.callback()
def common_options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Which intermediate task helps which target, in which language, with what certainty."""


StudyFile = Annotated[Path, typer.Argument(help="A study file (YAML), or the name of one in search_spaces/.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value on top of the study file; may be repeated.")
]
Storage = Annotated[str | None, typer.Option(help="Folder of the results; they go into STORAGE_PATH/<study name>.")]
ResultsFolder = Annotated[str, typer.Argument(help="A results folder: <storage_path>/<study name>.")]
EncoderName = Annotated[str | None, typer.Option("--encoder", help="Of several encoders this one alone.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


def say(text: str, end: str = "\n") -> None:
    """Prints an answer; what a terminal would obey in it (of names from elsewhere) is made harmless."""
    print(printable(text), end=end)


def output() -> Console:
    """Standard output; full lines where nobody looks at them."""
    return _console(width=None if sys.stdout.isatty() else 100)


def messages() -> Console:
    """Standard error, for what is told beside the answer."""
    return _console(stderr=True)


def open_results(path: str, encoder: str | None) -> Results:
    """The results of a folder, or the part of one encoder.

    Raises:
        UserError: there is no such folder, or encoder.
    """
    from raystilts.results.results import Results

    loaded = Results(path)
    return loaded if encoder is None else loaded.of_encoder(encoder)


def print_completeness(results: Results) -> None:
    """What an answer begins with: how much of the study is there."""
    from raystilts.analysis.presentation import wrap
    from raystilts.report.completeness import completeness

    found = completeness(results)
    if found is not None:
        say("\n".join(wrap(found.sentence())))


def _console(width: int | None = None, *, stderr: bool = False) -> Console:
    # Here: many questions are answered without it, and it takes a while to load.
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class PrintableConsole(Console):
        """As `say`."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    return PrintableConsole(width=width, stderr=stderr, markup=False, emoji=False, highlight=False)


def read_study(path: Path, assignments: list[str] | None = None, storage_path: str | None = None) -> Study:
    """The study of a command line. Its task files are run, and named on standard error."""
    from raystilts.planning.checks import unused_settings
    from raystilts.planning.resolve import load_study

    extra = [] if storage_path is None else [f"storage_path={json.dumps(storage_path, ensure_ascii=False)}"]
    study = load_study(find_study(path), (*(assignments or ()), *extra))
    if study.task_files:
        messages().print(f"tasks from {', '.join(study.task_files)}", soft_wrap=True)
    if unused := unused_settings(study):
        text = f"note: hyperparameters.tasks: not trained in this study, and not used: {', '.join(unused)}"
        messages().print(text, soft_wrap=True)
    return study


def find_study(path: Path) -> Path:
    """A study file as given, or one that ships with the package."""
    from raystilts.study.base import expanded

    path = expanded(path)
    if path.exists():
        return path
    shipped = Path(__file__).parents[1] / "search_spaces"
    shipped = shipped if shipped.is_dir() else Path(__file__).parents[2] / "search_spaces"
    for candidate in (shipped / path.name, shipped / f"{path.name}.yaml"):
        if candidate.is_file():
            return candidate
    return path
