"""A paragraph on methods with the numbers of this study, to be pasted into a paper and read over."""

from __future__ import annotations

from raystilts import __version__
from raystilts.analysis.presentation import listed
from raystilts.report.html.gather import ReportData, encoder_name
from raystilts.report.html.markup import Markup, count, duration, tag
from raystilts.report.text import measured_on
from raystilts.schedules import schedule_name
from raystilts.study.schema import Study


def methods_section(data: ReportData) -> Markup:
    """The paragraph in a section of its own."""
    text = methods(data)
    said = "For a paper, with the numbers of this study; read it over, and say what the tables cannot know."
    return tag("section", tag("h2", "Methods"), tag("p", said, class_="note"), tag("p", text, id="methods-text"),
               id="methods")  # fmt: skip


def methods(data: ReportData) -> str:
    """The paragraph."""
    parts = [_design(data), _training(data), _selection(data), _statistics(data), _left_out(data), _runs(data)]
    return " ".join(part for part in parts if part)


def _design(data: ReportData) -> str:
    arms = [arm for answer in data.answers for arm in answer.arms]
    names = sorted({arm.intermediate for arm in arms if arm.intermediate != "none"})
    targets = list(dict.fromkeys(answer.target for answer in data.answers))
    languages = sorted({language for answer in data.answers for language in answer.languages})
    baseline = any(arm.intermediate == "none" and arm.seeds for arm in arms)
    seeds = sorted({arm.seeds for arm in arms if arm.seeds})
    few, most = (seeds[0], seeds[-1]) if seeds else (0, 0)
    many = count(most, "random seed") if few == most else f"{few} to {most} random seeds"
    alone = "training on the target alone" if data.baseline == "none" else f"the baseline {data.baseline}"
    also = f", beside {alone}" if baseline else ""
    encoder = encoder_name(data)
    who = f"We fine-tuned {encoder or 'the encoder'} first"
    if data.imported:
        who = f"Scores of runs made elsewhere were imported from {listed(data.imported)}: "
        who += f"{encoder or 'an encoder'} was fine-tuned first"
    return (
        f"{who} on {count(len(names), 'intermediate task')} ({listed(names)}) and then on "
        f"{count(len(targets), 'target task')} ({listed(targets)}){also}, with {many} for each pair, "
        f"and tested in {count(len(languages), 'language')} ({listed(languages)})."
    )


def _training(data: ReportData) -> str:
    study = data.study
    if study is None:
        return ""
    hp = study.hyperparameters
    text = f"Unless a task says otherwise, training took {_length(hp.num_train_epochs, hp.max_steps)} in batches of "
    text += f"{hp.per_device_train_batch_size * hp.gradient_accumulation_steps} at a peak learning rate of "
    text += f"{hp.learning_rate:g}"
    limit = hp.max_train_samples
    text += f", on at most {count(limit, 'example')}." if limit else "."
    return text + _fractions(study)


def _length(epochs: float, steps: int | None) -> str:
    return count(steps, "update") if steps and steps > 0 else f"{epochs:g} epoch{'' if epochs == 1 else 's'}"


def _fractions(study: Study) -> str:
    values = study.intermediate_fractions.values
    if len(values) < 2:
        return ""
    shares = listed([f"{100 * value:g} %" for value in sorted(values)])
    compared = f"{100 * study.compared_fraction:g} %"
    return f" Intermediates were trained on {shares} of their data, and compared at {compared}."


def _selection(data: ReportData) -> str:
    rules = {arm.selection for answer in data.answers for arm in answer.arms}
    scored = f"{measured_on(data.answers)} data"
    words = {
        "en_dev": "development data in the training language alone, so transfer to other languages is zero-shot",
        "target_dev": "development data of the target languages",
        "test": f"the {scored} themselves, for want of {'test' if scored == 'dev data' else 'development'} data",
    }
    chosen = listed([words[rule] for rule in words if rule in rules])
    schedule = data.study.schedule if data.study is not None else "full"
    adaptive = "" if schedule == "full" else f" Runs were chosen by the schedule {schedule_name(schedule)}."
    what = "gains measured" if data.has_gains else "scored"
    return f"Arms were chosen on {chosen}, and {what} on {scored}.{adaptive}"


def _statistics(data: ReportData) -> str:
    together = any(arm.posterior == "study" for answer in data.answers for arm in answer.arms)
    whose = "one joint posterior of all targets" if together else "a hierarchical posterior of each target"
    known = [answer for answer in data.answers if answer.learnt and answer.gains is not None]
    drawn = [answer.label for answer in known if answer.gains is not None and answer.gains.items is not None]
    items = "seeds and test items"
    if len(drawn) < len(known):
        items = f"seeds, on {listed(drawn)} also over test items" if drawn else "seeds; test items are taken as given"
    what = "Gains and probabilities" if data.has_gains else "Probabilities"
    if not any(answer.repeated for answer in known):
        return f"No arm has a second seed, so there is no interval over seeds (raystilts {__version__})."
    return (
        f"{what} of being the best are from {whose} with seeds as blocks and moderated variances "
        f"(raystilts {__version__}); intervals are central 95 % intervals over {items}. A set of arms not told apart "
        "holds the best with at least 95 %."
    )


def _left_out(data: ReportData) -> str:
    if data.imported:
        return "Runs that the imported table calls failed, or gives no score of, are in no mean."
    return "Degenerate runs (not a number, at chance on dev, or with a loss that does not fall) are in no mean."


def _runs(data: ReportData) -> str:
    runs = data.runs
    if not len(runs):
        return ""
    last = runs.drop_duplicates("stage", keep="last")
    finished = int((last["status"] == "finished").sum())
    failed = int((last["status"] == "failed").sum())
    stopped = int((last["status"] == "stopped").sum())
    more = [f"{number} {word}" for number, word in ((failed, "failed"), (stopped, "were stopped early")) if number]
    seconds = float((runs["seconds"] * runs["device_share"]).sum())
    spent = f" in {duration(seconds)} of device time" if seconds > 0 else ""
    if data.imported:
        return f"{count(len(last), 'run')} imported{f', of which {failed} failed' if failed else ''}."
    return f"{count(finished, 'stage')} finished{spent}{'; ' if more else ''}{listed(more)}."
