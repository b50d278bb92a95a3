"""The card of shared results: what was asked, what came out, what each table holds, and under which terms."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from raystilts.report.completeness import completeness
from raystilts.report.html.provenance import runs_hash, versions
from raystilts.report.matrix import gains_text
from raystilts.report.text import verdict
from raystilts.results.answers import TargetAnswer
from raystilts.results.results import Results
from raystilts.study.schema import Study

#: What a row of each table is.
TABLES = {
    "finals": "one score a run, split and language: what the answers are made of, safe to average",
    "answers": "one row a target and arm: mean, gain over none with a 95 % interval, P(best), seeds",
    "gains": "one row a run and language (`macro` is their mean): score and gain over none with the same seed",
    "runs": "one attempt at a stage: hyperparameters, seed, data and weights by hash, seconds, versions",
    "scores": "every score of every metric, also along the training",
    "decisions": "what early stopping decided, from which scores",
}
_CODE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table of the data set, `<name>.parquet`."""

    name: str
    rows: int


def dataset_card(
    results: Results, answers: Sequence[TargetAnswer], tables: Sequence[SharedTable], study: Study | None
) -> str:
    """The card as Markdown, with the header that the Hugging Face hub and `datasets` read."""
    runs = results.runs()
    name = study.name if study is not None else (str(runs["study"].iloc[0]) if len(runs) else "results")
    found = completeness(results)
    parts = [
        _header(name, answers, tables),
        f"# {name}",
        "Results of a transfer study with raystilts: an encoder is trained on an intermediate task, or on none, then "
        "on a target task, and is scored on the target in several languages. Which intermediate helps which target, by "
        "how much, and how sure is that?",
        "## Answers",
        *([] if found is None else [found.sentence()]),
        f"```text\n{gains_text(answers).rstrip()}\n```",
        "\n".join(f"- {answer.target}: {verdict(answer)}" for answer in answers),
        "## Tables",
        _tables(tables),
        f"```python\nfrom datasets import load_dataset\n\nfinals = load_dataset(ID_OR_FOLDER, {tables[0].name!r})"
        '["train"].to_pandas()\n```',
        "`train` is the only split that these tables have: it is what `datasets` calls a table without splits. Scores "
        "lie between 0 and 1, higher is better. The column `split` says whether a score is of dev or test data.",
        "## How they were made",
        _made(runs),
        "## Data",
        _data(results, answers, runs),
        *_again(study),
    ]
    return "\n\n".join(parts) + "\n"


def _header(name: str, answers: Sequence[TargetAnswer], tables: Sequence[SharedTable]) -> str:
    """YAML, written as JSON values, which YAML holds."""
    languages = sorted({code for answer in answers for code in answer.languages if _CODE.fullmatch(code)})
    configs = [
        {"config_name": one.name, "data_files": f"{one.name}.parquet"} | ({"default": True} if i == 0 else {})
        for i, one in enumerate(tables)
    ]
    values = {
        "pretty_name": f"{name} (transfer study)",
        "language": languages,
        "tags": ["raystilts", "transfer-learning", "cross-lingual", "evaluation-results"],
        "configs": configs,
    }
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in values.items()), "---"])


def _tables(tables: Sequence[SharedTable]) -> str:
    lines = ["| configuration | rows | a row is |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{one.name}` | {one.rows:,} | {TABLES[one.name]} |" for one in tables)])


def _made(runs: pd.DataFrame) -> str:
    seeds = sorted({int(seed) for seed in runs["seed"].dropna()})
    devices = sorted({str(device) for device in runs["device"].dropna()} - {""})
    weights = sorted({str(one) for one in runs["encoder_fingerprint"].dropna()} - {""})
    hours = float((runs["seconds"] * runs["device_share"]).sum()) / 3600
    facts = {
        "weights of the encoder": ", ".join(f"`{one}`" for one in weights),
        "seeds": ", ".join(map(str, seeds)),
        "checkpoints and arms picked on": ", ".join(sorted(set(runs["selection"].dropna()))),
        "devices": ", ".join(devices),
        "device hours": f"{hours:.2f}" if hours else "",
        "versions": versions(runs),
        "hash of the runs": f"`{runs_hash(runs)}`",
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _data(results: Results, answers: Sequence[TargetAnswer], runs: pd.DataFrame) -> str:
    """A line a task."""
    known = results.tasks()
    arms = [part for name in dict.fromkeys(runs["intermediate"].dropna()) for part in known.parts(str(name))]
    lines = []
    for name in dict.fromkeys((*sorted({answer.target for answer in answers}), *sorted(set(arms) - {"none", "mlm"}))):
        facts = known.get(name)
        if facts is None:
            lines.append(f"- {name}: not known to raystilts")
            continue
        home = f" <{facts.url}>" if facts.url.startswith(("http://", "https://")) else ""
        data = "" if not facts.data or facts.data.startswith("folder") else f"{facts.data}; "
        lines.append(f"- {name}:{home} {data}licence of the data: {facts.licence or 'not stated'}")
    lines.append("\nCite the papers of the data that you use the scores of.")
    return "\n".join(lines)


def _again(study: Study | None) -> list[str]:
    if study is None:
        return []
    return [
        "## Run it again",
        "`study.yaml` is the study; folders of data and results are left out. Machines, folders and error messages are "
        "in none of the tables.",
        "```sh\npip install raystilts\nraystilts run study.yaml\n```",
    ]
