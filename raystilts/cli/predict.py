"""`raystilts predict`: ranks intermediates before any target is trained."""

from __future__ import annotations

from typing import Annotated

import typer

from raystilts.cli.analyze import CsvFile, check_files
from raystilts.cli.common import AsJson, Assignments, Storage, StudyFile, app


@app.command()
def predict(
    study: StudyFile,
    storage_path: Storage = None,
    assignments: Assignments = None,
    samples: Annotated[int, typer.Option(help="Training examples of each target that are read.", min=32)] = 500,
    as_json: AsJson = False,
    csv: CsvFile = None,
) -> None:
    """Rank intermediates for each target by LogME and H-score, from their checkpoints, before targets are trained.

    Example: raystilts predict search_spaces/domain_shift_small.yaml
    """
    check_files(csv, None)
    from raystilts.analysis.transferability import predict_study
    from raystilts.cli.run import _study
    from raystilts.report.analysis.predictions import prediction_rows, predictions_text, scored_against
    from raystilts.report.analysis.table_rows import to_json, write_csv

    loaded = _study(study, assignments, storage_path)
    found = predict_study(loaded, samples)
    outcome = scored_against(loaded, found)
    if csv is not None:
        write_csv(prediction_rows(found), csv)
    if as_json:
        print(to_json({"study": loaded.name, "predictions": prediction_rows(found), "against_the_grid": outcome}))
        return
    print(predictions_text(found, outcome), end="")
