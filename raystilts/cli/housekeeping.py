"""Commands that keep order among studies: stop."""

from __future__ import annotations

from raystilts.cli.common import ResultsFolder, app, output


@app.command()
def stop(results: ResultsFolder) -> None:
    """End the run of a study as Ctrl-C does: what has finished is kept, and the same command goes on.

    From another terminal of the machine that it was started on.

    Example: raystilts stop ~/raystilts_results/quickstart
    """
    from raystilts.scheduling.lock import stop_driver

    pid = stop_driver(results)
    output().print(f"{results}: process {pid} was asked to stop", highlight=False, soft_wrap=True)
