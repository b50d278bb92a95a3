"""The command that takes a model out of a study."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from raystilts.cli.common import EncoderName, ResultsFolder, app, messages, open_results, output
from raystilts.errors import UserError


@app.command()
def export(
    results: ResultsFolder,
    target: Annotated[str, typer.Option(help="The target that the model is trained for.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The folder to write; empty, or not there yet.")],
    intermediate: Annotated[
        str | None, typer.Option(help="The arm; default the one that is ranked first on the target.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which of its seeds.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The seed with the best dev score.")] = False,
    encoder: EncoderName = None,
    adapter: Annotated[bool, typer.Option("--adapter", help="LoRA's weights and the head alone, for peft.")] = False,
) -> None:
    """Write a trained model as a folder that transformers opens, with a model card.

    The study must have kept it (keep_targets: best or all). A target of the retrieval kind gives a folder for
    sentence-transformers.

    Example: raystilts export ~/raystilts_results/quickstart --target cldr_date_match --best -o dates
    """
    if best and seed is not None:
        raise UserError("--seed and --best exclude each other; drop one of them")
    from raystilts.analysis.kept_models import choose_model, export_model
    from raystilts.report.model_card import model_card

    loaded = open_results(results, encoder)
    chosen = choose_model(loaded, target, intermediate, seed, best=best)
    exact = ["raystilts", "export", results, "--target", target, "--intermediate", chosen.intermediate]
    exact += [] if chosen.seed is None else ["--seed", str(chosen.seed)]
    exact += [] if encoder is None else ["--encoder", encoder]
    exact += ["--adapter"] if adapter else []
    name = export_model(loaded, chosen, out, model_card(chosen, shlex.join([*exact, "-o", str(out)])), adapter=adapter)
    what = f"{chosen.intermediate} -> {chosen.target}" + ("" if chosen.seed is None else f", seed {chosen.seed}")
    if chosen.chosen:
        messages().print(f"{what}: {chosen.chosen}", soft_wrap=True)
    output().print(f"{out}: {what}, opens as {name}", soft_wrap=True)
