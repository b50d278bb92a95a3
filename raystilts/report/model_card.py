"""The model card of an exported model: what it was made of, how good it is, and under which terms its data stands."""

from __future__ import annotations

import json
import math

from raystilts.analysis.kept_models import ChosenModel, ItemScore
from raystilts.study.arms import Arms

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution


def wilson(share: float, items: int) -> tuple[float, float]:
    """The 95 % interval of a share of items (Wilson 1927, equation of the score interval), 0 to 1.

    Args:
        share: Of the items, 0 to 1.
        items: At least 1.
    """
    centre = (share + _Z**2 / (2 * items)) / (1 + _Z**2 / items)
    half = _Z / (1 + _Z**2 / items) * math.sqrt(share * (1 - share) / items + _Z**2 / (4 * items**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def model_card(chosen: ChosenModel, command: str) -> str:
    """The card as Markdown, with the header that the Hugging Face hub reads.

    Args:
        command: The one that exports the model.
    """
    seed = "" if chosen.seed is None else f", seed {chosen.seed}"
    trained = "the pretrained encoder" if chosen.intermediate == "none" else f"{chosen.intermediate}"
    then = "then" if chosen.run["kind"] == "target" else "scored on"
    path = f"{trained}, {then} {chosen.target}"
    parts = [
        _header(chosen),
        f"# {chosen.study.name}: {chosen.target} after {chosen.intermediate}",
        f"One model of a transfer study by raystilts{_version(chosen)}: {path}{seed}."
        + (f" Of the study's models it is {chosen.chosen}." if chosen.chosen else ""),
        "## Training",
        _training(chosen),
        "## Data",
        _data(chosen),
        "## Scores",
        _scores(chosen),
        "## Command",
        f"```bash\n{command}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _version(chosen: ChosenModel) -> str:
    try:
        version = json.loads(chosen.run["versions"]).get("raystilts")
    except ValueError:
        version = None
    return f" {version}" if version else ""


def _header(chosen: ChosenModel) -> str:
    """YAML, written as JSON values, which YAML holds."""
    languages = sorted({code for facts in chosen.tasks.values() for code in facts.train_languages})
    library = "sentence-transformers" if chosen.is_retrieval else "transformers"
    values = {"library_name": library, "language": languages, "tags": ["raystilts"]}
    name = chosen.study.encoder.model_name_or_path
    if name.count("/") == 1 and not name.startswith(("/", ".", "~")):
        values["base_model"] = name
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in values.items()), "---"])


def _training(chosen: ChosenModel) -> str:
    run = chosen.run
    lines = [
        f"- base model: {chosen.study.encoder.model_name_or_path}, revision "
        f"{run['encoder_revision'] or 'of the folder'}, fingerprint {run['encoder_fingerprint']}",
        f"- intermediate: {chosen.intermediate}{_made_of(chosen)}",
        f"- target: {chosen.target}",
        f"- hyperparameters: `{run['hyperparameters']}`",
        f"- updates: {run['steps_done']} of {run['steps_planned']}, the weights of update {run['best_step']}; "
        f"{run['examples']} examples",
        f"- stage {run['stage']}, weights {run['train_key']}, data {run['data_hash']}",
        f"- versions: `{run['versions']}`",
    ]
    return "\n".join(lines)


def _made_of(chosen: ChosenModel) -> str:
    """What a composed arm is made of."""
    arms = Arms(chosen.study.intermediates)
    words = arms.words(arms.by_label[chosen.intermediate]) if chosen.intermediate in arms.by_label else ""
    return f" ({words})" if words else ""


def _data(chosen: ChosenModel) -> str:
    """A line a task; what a folder of an older version does not say is said to be unknown."""
    lines = []
    for name, facts in chosen.tasks.items():
        languages = ", ".join(facts.train_languages)
        trained = f"trained in {languages}" if facts.trains or name != chosen.target else "not trained on"
        rows = f", {facts.rows} examples" if facts.rows is not None else ""
        home = f" <{facts.url}>" if facts.url.startswith(("http://", "https://")) else ""
        lines.append(
            f"- {name}: {facts.data or 'data not stated'}{home}; {trained}{rows}. "
            f"Licence of the data: {facts.licence or 'not stated'}."
        )
    lines.append("\nThe terms of the base model and of all data hold for this model; raystilts adds none of its own.")
    return "\n".join(lines)


def _scores(chosen: ChosenModel) -> str:
    lines = ["| split | language | metric | score x 100 | 95 % interval | items |", "|---|---|---|---|---|---|"]
    lines += [_score_row(one) for one in chosen.scores]
    lines.append("\nThe intervals are over items, for this one model: Wilson's, a score taken as a share of items.")
    arm = chosen.arm
    if arm is not None and arm.mean is not None:
        text = f"\nOver the {arm.seeds} seeds of its arm the study has a mean of {100 * arm.mean:.1f}"
        if arm.gain is not None and arm.gain_low is not None and arm.gain_high is not None:
            text += (
                f", {100 * arm.gain:+.1f} against {arm.baseline} (95 % interval {100 * arm.gain_low:+.1f} to "
                f"{100 * arm.gain_high:+.1f})"
            )
        lines.append(f"{text}.")
    return "\n".join(lines)


def _score_row(one: ItemScore) -> str:
    inside = one.examples > 0 and 0 <= one.value <= 1
    low, high = wilson(one.value, one.examples) if inside else (math.nan, math.nan)
    interval = f"{100 * low:.1f} to {100 * high:.1f}" if inside else ""
    return f"| {one.split} | {one.language} | {one.metric} | {100 * one.value:.1f} | {interval} | {one.examples} |"
