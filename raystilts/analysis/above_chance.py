"""Whether a study trained enough to compare anything: how many of its target stages learnt their task."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from raystilts.errors import UserError
from raystilts.planning.data import data_folder
from raystilts.ranking.degenerate import chance_p_value
from raystilts.results.answers import TargetAnswer
from raystilts.results.results import Results
from raystilts.tasks.check import constant_score
from raystilts.tasks.registry import all_tasks, get_task


@dataclass(frozen=True, slots=True)
class AboveChance:
    """Trained target stages whose final English dev score is above that of the best constant answer.

    Attributes:
        above: Stages above it, one-sided binomial test at .05 with the number of dev rows (F1 scores are treated as
            shares of rows; where no constant answer scores, such as span questions, any score above 0 counts).
        stages: Finished trained target stages with an English dev score.
        by_target: The same two numbers by target.
    """

    above: int
    stages: int
    by_target: dict[str, tuple[int, int]]


def above_chance(results: Results) -> AboveChance | None:
    """The share of trained target stages that learnt their task; None for tables without their study.

    Reads the dev data again, for the score of constant answers.
    """
    study = results.study()
    if study is None:
        return None
    folder, limit, known = data_folder(study), study.evaluation.max_dev_samples, all_tasks()
    scores = results.scores(split="dev", final=True)
    wanted = scores[scores["kind"] == "target"]
    counts: dict[str, tuple[int, int]] = {}
    columns = (wanted[name].tolist() for name in ("target", "language", "value", "examples", "metric"))
    for name, language, value, examples, metric in zip(*columns, strict=True):
        if name.partition("@")[0] not in known:  # of an earlier study of this folder, whose task file was not run
            continue
        if language == get_task(name).train_languages[0]:
            chance = constant_score(name, language, limit, folder, metric)
            learnt = value > chance and (chance == 0 or chance_p_value(value, examples, chance) < 0.05)
            above, stages = counts.get(name, (0, 0))
            counts[name] = (above + learnt, stages + 1)
    return AboveChance(sum(a for a, _ in counts.values()), sum(n for _, n in counts.values()), counts)


def with_constants(results: Results, answers: Sequence[TargetAnswer]) -> list[TargetAnswer]:
    """The answers, with the dev score of the best constant answer for targets that are not learnt; reads their data."""
    study = results.study() if any(not answer.learnt for answer in answers) else None
    if study is None:
        return list(answers)
    folder, limit = data_folder(study), study.evaluation.max_dev_samples
    found = []
    for answer in answers:
        if not answer.learnt:
            with suppress(UserError, OSError):  # the data is not here any more
                language = get_task(answer.target).train_languages[0]
                answer = replace(answer, constant=constant_score(answer.target, language, limit, folder))
        found.append(answer)
    return found
