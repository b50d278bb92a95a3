"""What run, plan and best say of a study that is a hyperparameter search; and its export for Optuna."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from raystilts.cli.common import ResultsFolder, app, output

if TYPE_CHECKING:
    from rich.console import Console

    from raystilts.results.results import Results
    from raystilts.scheduling.run_search import SearchOutcome
    from raystilts.study.schema import Study


def print_search(results: Results, study: Study, unit: str | None, *, as_json: bool) -> None:
    """The answer of a search: best values, importance, convergence."""
    from raystilts.report.search_text import search_json, search_table
    from raystilts.scheduling.trial_history import outcomes

    found = outcomes(results, study, unit)
    if as_json:
        print(json.dumps(search_json(found), indent=1))
        return
    out = output()
    for one in found:
        out.print(search_table(one))


def print_search_plan(study: Study, *, as_json: bool) -> None:
    """What a search would try."""
    from raystilts.scheduling.run_search import trials_left
    from raystilts.tuning.trials import settings, space_of, units

    left = trials_left(study)
    rows = [
        {"name": unit.name, "role": unit.role, "trials": settings(study).samples_of(unit.name), "left": left[unit],
         "space": {name: one.model_dump(exclude_none=True) for name, one in space_of(study, unit).items()}}
        for unit in units(study)
    ]  # fmt: skip
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    out = output()
    search = settings(study)
    kind = "together with the choice of the intermediate" if search.joint else "on its own"
    schedule = "no early stopping" if search.schedule == "full" else "single trials stopped early (asha)"
    out.print(f"{study.name}: a search ({search.sampler}); each task {kind}; {schedule}")
    for row in rows:
        names = ", ".join(row["space"])  # type: ignore[arg-type]
        out.print(f"  {row['name']} ({row['role']}): {row['trials']} trials, {row['left']} left; {names}")


def print_search_outcome(outcome: SearchOutcome, log: Console) -> None:
    """How a run of a search ended.

    Raises:
        typer.Exit: trials failed.
    """
    from raystilts.results.results import Results
    from raystilts.scheduling.status import clock

    log.print(f"{outcome.trials} trials, {outcome.already} were there already; {clock(outcome.seconds)}")
    results = Results(outcome.results)
    study = results.study()
    if study is not None:
        print_search(results, study, None, as_json=False)
    out = output()
    out.print("Next: a grid with these values: in its study file")
    out.print(f"  hyperparameters: {{from: {outcome.results}/hyperparameters.yaml}}", soft_wrap=True)
    if outcome.failed:
        log.print(f"{outcome.failed} trials failed:")
        for error in outcome.errors[:10]:
            log.print(f"  {error}", soft_wrap=True)
        raise typer.Exit(1)


@app.command("export-optuna")
def export_optuna(
    results: ResultsFolder,
    storage: Annotated[str, typer.Argument(help="An Optuna storage, such as sqlite:///search.db")],
) -> None:
    """Write a search's trials to an Optuna storage, for optuna-dashboard.

    Example: raystilts export-optuna ~/raystilts_results/tune_xtreme_small sqlite:///search.db
    """
    from raystilts.errors import UserError
    from raystilts.report.search_text import search_of
    from raystilts.results.results import Results
    from raystilts.scheduling.trial_history import outcomes
    from raystilts.tuning.outcome import export
    from raystilts.tuning.trials import space_of

    loaded = Results(results)
    study = search_of(loaded)
    if study is None:
        raise UserError(f"{results}: not the results of a search; only these are Optuna trials")
    found = [(space_of(study, one.unit), one) for one in outcomes(loaded, study)]
    for name in export(storage, study.name, found):
        output().print(name)
