"""The command that follows a run from another terminal or machine."""

from __future__ import annotations

import typer

from raystilts.cli.common import ResultsFolder, app, say


@app.command()
def watch(results: ResultsFolder) -> None:
    """Follow a run from another terminal, or from another machine on the same storage.

    It ends when the run does. Exit code 0: every stage has finished; 1: some have failed; 3: the run was stopped, or
    gives no sign of life, and the same command goes on with it.

    Example: raystilts watch s3://bucket/results/my_study
    """
    from raystilts.cli.common import output
    from raystilts.scheduling.watching import Outcome, Watch

    outcome = Watch(results, output()).follow()
    if outcome is not Outcome.unfinished:
        say(_answer(results), end="")
    raise typer.Exit(int(outcome))


def _answer(results: str) -> str:
    """What the tables say now: a verdict for each target, of each encoder."""
    from raystilts.analysis.above_chance import with_constants
    from raystilts.analysis.presentation import wrap
    from raystilts.errors import UserError
    from raystilts.report.text import verdict
    from raystilts.results.results import Results

    try:
        answered = [(part, with_constants(part, part.answers())) for part in Results(results).by_encoder()]
    except UserError:  # a search, or nothing that can be compared yet
        return ""
    lines = []
    for part, answers in answered:
        whose = f" ({part.encoder})" if len(answered) > 1 else ""
        lines += [line for one in answers for line in wrap(f"{one.label}{whose}: {verdict(one)}")]
    return "".join(f"{line}\n" for line in lines)
