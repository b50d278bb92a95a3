"""Which finished run of a target is taken away as a model, what is known of it, and its weights where they are kept."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raystilts.errors import UserError, did_you_mean
from raystilts.planning.cost import CHECKPOINTS
from raystilts.planning.encoders import describe_encoder
from raystilts.results.answers import ArmAnswer
from raystilts.results.notes import parsed
from raystilts.results.results import Results
from raystilts.results.task_facts import TaskFacts
from raystilts.study.arms import Arms
from raystilts.study.schema import Study
from raystilts.training.checkpoints import open_checkpoints
from raystilts.training.export import HeadKind, TrainedHead, check_free, export_classifier, export_sentence_encoder
from raystilts.training.export_adapter import export_adapter, whole_checkpoint

_HEADS: dict[str, HeadKind] = {
    "classification": "sequence",
    "regression": "regression",
    "multiple_choice": "choice",
    "tagging": "token",
    "span_qa": "span",
}


@dataclass(frozen=True, slots=True)
class ItemScore:
    """One score of the chosen model, 0 to 1, on so many items."""

    split: str
    language: str
    metric: str
    value: float
    examples: int


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A finished run of a target.

    Attributes:
        seed: None for retrieval with the pretrained encoder, which no seed changes.
        chosen: Why this one, in words, where there was a choice.
        run: Its row of the table of runs.
        tasks: Facts of the target and of the tasks of its intermediate, by name; those that are known.
        scores: Final main scores, test before dev.
        arm: What the study says of its arm, over all seeds; None where it says nothing.
    """

    study: Study
    target: str
    intermediate: str
    seed: int | None
    chosen: str
    run: dict[str, Any]
    tasks: dict[str, TaskFacts]
    scores: tuple[ItemScore, ...]
    arm: ArmAnswer | None

    @property
    def is_retrieval(self) -> bool:
        """Whether it is an encoder without head."""
        return bool(self.run["kind"] == "retrieval")


def choose_model(
    results: Results, target: str, intermediate: str | None = None, seed: int | None = None, *, best: bool = False
) -> ChosenModel:
    """The run that is asked for.

    Args:
        intermediate: The arm; default the one that the study ranks first on this target.
        seed: Which of its seeds; needed where there are several, unless `best`.
        best: The seed with the highest mean main score on dev data.

    Raises:
        UserError: there is no such run, or several.
    """
    study = results.study()
    if study is None:
        raise UserError(
            f"{results.folder.url}: tables without a study (study.json); only what raystilts ran has models"
        )
    rows = _finished(results, study, target)
    arms = list(dict.fromkeys(row["intermediate"] for row in rows))
    answers = [one for one in results.answers(target) if (one.target_fraction or 1.0) == _fraction(rows[0])]
    ranked = [arm for one in answers[:1] for arm in one.arms]
    chosen = []
    if intermediate is None:
        order = [arm.intermediate for arm in ranked if arm.competes and _of_arm(rows, arm)]
        intermediate = order[0] if order else arms[0]
        if len(arms) > 1:
            chosen.append("the arm that the study ranks first")
    elif intermediate not in arms:
        hint = did_you_mean(intermediate, arms)
        raise UserError(f"--intermediate {intermediate}: no finished run of it on {target}; {hint}")
    mine = [row for row in rows if row["intermediate"] == intermediate]
    known = next((arm for arm in ranked if arm.intermediate == intermediate and _of_arm(mine, arm)), None)
    if known is not None and len(_of_arm(mine, known)) < len(mine):
        mine = _of_arm(mine, known)
        chosen.append("the hyperparameters that it ranks first")
    row = _of_seed(results, study, mine, seed, best)
    if best and len(mine) > 1:
        chosen.append("the seed that is best on dev data")
    names = (target, *results.tasks().parts(intermediate))
    facts = {name: found for name in names if (found := results.tasks().get(name)) is not None}
    scores = sorted(_scores(results, row), key=lambda one: (one.split != "test", one.language))
    return ChosenModel(study, target, intermediate, row["seed"], " and ".join(chosen), row, facts, tuple(scores),
                       known)  # fmt: skip


def _of_arm(rows: list[dict[str, Any]], arm: ArmAnswer) -> list[dict[str, Any]]:
    """The runs of an arm, with its own hyperparameters."""
    return [
        row
        for row in rows
        if row["intermediate"] == arm.intermediate and dict(parsed(row["hyperparameters"])) == arm.hyperparameters
    ]


def _finished(results: Results, study: Study, target: str) -> list[dict[str, Any]]:
    """Finished runs of a target at its largest fraction and at the compared fraction of the intermediates."""
    table = results.runs()
    table = table.astype(object).where(table.notna(), None)
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    known = list(dict.fromkeys(row["target"] for row in rows if row["target"]))
    if target not in known:
        raise UserError(f"--target {target}: not in {results.folder.url}; {did_you_mean(target, known)}")
    finished = [row for row in rows if row["target"] == target and row["status"] == "finished"]
    finished = [row for row in finished if row["intermediate_fraction"] in (None, study.compared_fraction)]
    if not finished:
        raise UserError(f"--target {target}: none of its runs has finished; run the study again")
    largest = max(map(_fraction, finished))
    return [row for row in finished if _fraction(row) == largest]


def _fraction(row: dict[str, Any]) -> float:
    return float(row["target_fraction"] or 1.0)


def _of_seed(
    results: Results, study: Study, rows: list[dict[str, Any]], seed: int | None, best: bool
) -> dict[str, Any]:
    """The run of one seed; of several of one seed the one that was run last."""
    latest = {row["seed"]: row for row in sorted(rows, key=lambda row: row["ended_at"])}
    if len(latest) == 1 and (seed is None or seed in latest):
        return next(iter(latest.values()))
    seeds = ", ".join(map(str, sorted(latest, key=str)))
    if seed is not None:
        if None in latest:
            raise UserError(f"--seed {seed}: no seed changes this model; leave --seed out")
        if seed not in latest:
            raise UserError(f"--seed {seed}: no finished run with it; there are {seeds}")
        return latest[seed]
    if not best:
        raise UserError(f"there are several seeds ({seeds}); give --seed, or --best for the best one on dev data")
    return max(latest.values(), key=lambda row: _dev_mean(results, study, row))


def _dev_mean(results: Results, study: Study, row: dict[str, Any]) -> float:
    """The mean main score on the dev data that the study chooses by."""
    dev = {one.language: one.value for one in _scores(results, row) if one.split == "dev"}
    language = results.tasks().train_language(row["target"])
    if study.selection == "en_dev" and language in dev:
        return dev[language]
    return sum(dev.values()) / len(dev) if dev else float("-inf")


def _scores(results: Results, row: dict[str, Any]) -> list[ItemScore]:
    table = results.scores(target=row["target"], final=True)
    table = table[table["stage"] == row["stage"]]
    columns = (table[name].tolist() for name in ("split", "language", "metric", "value", "examples"))
    return [ItemScore(*values) for values in zip(*columns, strict=True)]


def export_model(results: Results, chosen: ChosenModel, out: Path, card: str, *, adapter: bool = False) -> str:
    """Writes a chosen model as a folder for transformers (encoders of retrieval: sentence-transformers).

    Args:
        card: The model card.
        adapter: The adapter alone, for peft.

    Returns:
        The class that it opens as.

    Raises:
        UserError: its weights were not kept, or no class computes the same.
    """
    check_free(out)
    documents = {"README.md": card}
    head = None if chosen.is_retrieval else _trained_head(chosen)
    with _weights(results, chosen) as kept:
        if adapter:
            return export_adapter(kept, head, chosen.study, out, documents)
        with whole_checkpoint(kept, chosen.study) as folder:
            if head is None:
                return export_sentence_encoder(folder, chosen.study, out, documents)
            return export_classifier(folder, head, chosen.study, out, documents)


def _trained_head(chosen: ChosenModel) -> TrainedHead:
    """What an export is to know of a target's head.

    Raises:
        UserError: no class of transformers has one of its type.
    """
    facts = chosen.tasks.get(chosen.target)
    if facts is None or facts.type not in _HEADS:
        kind = "an unknown type" if facts is None else facts.type
        raise UserError(f"--target {chosen.target}: {kind} has no class in transformers; nothing was written")
    kind_of_head = _HEADS[facts.type]
    labels = facts.labels if kind_of_head in ("sequence", "token") else ()
    return TrainedHead(kind_of_head, labels, (facts.scale[0], facts.scale[1]) if facts.scale else (0.0, 1.0))


@contextmanager
def _weights(results: Results, chosen: ChosenModel) -> Iterator[Path]:
    """The folder of a model's weights for the length of the block.

    Raises:
        UserError: they are not kept; with the command that trains them.
    """
    if chosen.is_retrieval and chosen.run["parent_stage"] is None:
        folder = Path(describe_encoder(chosen.study.encoder).location)
        if not folder.is_dir():
            raise UserError(f"{folder}: the pretrained encoder itself, which is not here; take it from the hub")
        yield folder
        return
    key, base = chosen.run["train_key"], results.folder.url.rpartition("/")[0]
    places = [f"{base}/{CHECKPOINTS}"]
    if chosen.run["checkpoint"]:
        places.append(str(chosen.run["checkpoint"]).rpartition("/")[0])
    for place in dict.fromkeys(places):
        with open_checkpoints(place).held(key) as kept:
            if kept is not None:
                yield kept
                return
    setting = f"keep: {chosen.study.keep}" if chosen.is_retrieval else f"keep_targets: {chosen.study.keep_targets}"
    raise UserError(
        f"the weights of {chosen.intermediate} -> {chosen.target}, seed {chosen.seed}, were not kept ({setting}); "
        f"this trains them again, then export from there:\n  {shlex.join(training_command(results, chosen))}"
    )


def training_command(results: Results, chosen: ChosenModel) -> Sequence[str]:
    """The command that trains one model again and keeps it: the part of the study, with a place of its own.

    It has another place because a stage that the ledger here, or a neighbour's, holds as finished is not run again.
    """
    study = chosen.study.model_dump(mode="json")
    needed = Arms(chosen.study.intermediates).with_members([chosen.intermediate])
    arms = [arm for arm, one in zip(study["intermediates"], chosen.study.intermediates, strict=True)
            if one.label in needed]  # fmt: skip
    targets = [target for target in study["targets"] if target["task"] == chosen.target]
    seeds = [chosen.seed if chosen.seed is not None else chosen.study.seeds[0]]
    values = {"intermediates": arms, "targets": targets, "seeds": seeds, "schedule": "full",
              "keep": "all", "keep_targets": "all"}  # fmt: skip
    command = ["raystilts", "run", f"{results.folder.url}/study.json", "--storage-path", f"{results.folder.url}_kept"]
    for name, value in values.items():
        command += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"]
    return command
