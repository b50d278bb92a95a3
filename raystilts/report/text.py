"""Answers as text for a terminal of 80 columns and more."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from raystilts.analysis.presentation import count, listed, wrap
from raystilts.ranking.advice import chance_words
from raystilts.results.answers import LOOK_AHEAD, ArmAnswer, TargetAnswer, arm_names
from raystilts.results.over_targets import ArmOverall, OverallAnswer

if TYPE_CHECKING:
    from raystilts.results.results import Results

#: What can be said of arms of which none has a second seed.
ONE_SEED = "not told apart: no arm has a second seed, so there is no interval over seeds"
_ARM, _NUMBERS = 24, (5, 6, 15, 7, 6, 5)


def best_table(answer: TargetAnswer) -> str:
    """One stratum in 80 columns: what follows in words, its arms, and what must be told."""
    share = answer.target_fraction or 1.0
    part = "" if share == 1.0 else f", {100 * share:g}% of its training data"
    part = part if answer.target_examples is None else f", {count(answer.target_examples, 'training example')}"
    where = answer.language or f"mean of {len(answer.languages)}: {' '.join(answer.languages)}"
    lines = wrap(f"{answer.target}: {answer.metric} x 100 on {answer.data}, {where}{part}")
    lines += wrap(verdict(answer), "  ")
    lines.append(_row("arm", ("mean", "gain", "95 % interval", "P(best)", "regret", "seeds")))
    for label, arm in zip(arm_names(answer.arms), answer.arms, strict=True):
        lines += _arm_lines(label, arm)
    if answer.best:
        bound = "Hsu's worst-case test at 95 %" if answer.strict else "it holds the best with at least 95 %"
        said = f"best set, the arms not told apart from the best: {bound}"
        lines += wrap(f"* {said if answer.repeated else ONE_SEED}", "  ")
    for note in footnotes(answer):
        lines += wrap(note, "  ")
    for note in answer.notes:
        lines += wrap(f"note: {note}", "  ")
    return "\n".join(lines) + "\n"


def footnotes(answer: TargetAnswer) -> list[str]:
    """What a table that shows means and gains beside each other must say of them."""
    found = []
    chooser = choosing(answer.arms)
    if chooser:
        unit = "regret in points of the dev score"
        found.append(f"means and gains are on test; the order, P(best) and regret by {chooser}, {unit}")
        if answer.language is not None and answer.language not in answer.choice_languages:
            dev = listed(list(answer.choice_languages))
            only = f"of {answer.language} only the mean and the gain"
            found.append(f"P(best), order and regret are from dev data in {dev}: {only}")
    if _gains_are_shrunk(answer):
        found.append("gains are estimated from all arms together; they need not be the differences of the means")
    return found


def _gains_are_shrunk(answer: TargetAnswer) -> bool:
    """Whether a gain is seen not to be the difference of two means, as printed to a tenth of a point."""
    base = next((arm.mean for arm in answer.arms if arm.intermediate == "none" and arm.mean is not None), None)
    pairs = [(arm.gain, arm.mean) for arm in answer.arms if arm.gain is not None and arm.mean is not None]
    return base is not None and any(abs(gain - (mean - base)) >= 0.0015 for gain, mean in pairs)


def left_out(results: Results, answers: Sequence[TargetAnswer], language: str | None) -> str:
    """The targets that a question in one language has no answer for, in words; empty where there is none."""
    if language is None:
        return ""
    answered = {answer.target for answer in answers}
    names = [name for name in dict.fromkeys(results.known()["target"]) if name not in answered]
    return "\n".join(wrap(f"left out, without scores in {language}: {', '.join(names)}")) + "\n" if names else ""


def measured_on(answers: Iterable[TargetAnswer]) -> str:
    """Which data means and gains are of: test, or dev where an imported table has no other."""
    return " or ".join(sorted({answer.data for answer in answers}, reverse=True)) or "test"


def choosing(arms: Iterable[ArmAnswer]) -> str:
    """Which data the arms are ordered by, where it is not the data that their means are of."""
    rules = {arm.selection for arm in arms if arm.p_best is not None}
    if not rules - {"test"}:
        return ""
    return "dev data in the training language" if "en_dev" in rules else "the target languages' dev data"


def _row(name: str, cells: Sequence[str]) -> str:
    numbers = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _NUMBERS, strict=True))
    return f"  {name:<{_ARM}} {numbers}".rstrip()


def _arm_lines(label: str, arm: ArmAnswer) -> list[str]:
    """The arm's row; a long name, and what is odd about the arm, have lines of their own."""
    star = "*" if arm.in_best_set else " "
    known = arm.competes and arm.p_best is not None
    cells = (
        "-" if arm.mean is None else f"{100 * arm.mean:.1f}",
        "" if arm.gain is None else f"{100 * arm.gain:+.1f}",
        interval(arm),
        f"{arm.p_best:.2f}" if known else "",
        f"{100 * arm.expected_regret:.1f}" if known and arm.expected_regret is not None else "",
        str(arm.seeds),
    )
    long = len(label) > _ARM
    row = _row("" if long else label, cells)
    lines = [*wrap(label, "  "), row] if long else [row]
    lines[0] = star + lines[0][1:]
    return lines + (wrap(f"({', '.join(marks(arm))})", "    ") if marks(arm) else [])


def marks(arm: ArmAnswer) -> list[str]:
    """What is odd about an arm: why it does not compete, and runs that are not among its seeds."""
    found = ["overlap: trains on the target's own data"] if arm.overlap else []
    if arm.posterior == "study" and not arm.seeds and arm.p_best is not None:
        found.append("not run on this target: as the other targets foretell it")
    if arm.stopped:
        found.append(f"{count(arm.stopped, 'run')} stopped{stopped_at(arm)}")
    if arm.failed:
        found.append(f"{count(arm.failed, 'run')} failed")
    if arm.degenerate:
        found.append(f"{count(arm.degenerate, 'run')} degenerate")
    return found


def stopped_at(arm: ArmAnswer) -> str:
    """Where the longest of an arm's stopped runs stands: " at 1/2"."""
    return "" if arm.stopped_at is None else f" at {Fraction(arm.stopped_at).limit_denominator(100)}"


def interval(arm: ArmAnswer) -> str:
    """The 95 % interval of a gain in points."""
    if arm.gain_low is None or arm.gain_high is None:
        return ""
    return f"[{100 * arm.gain_low:+.1f}, {100 * arm.gain_high:+.1f}]"


def verdict(answer: TargetAnswer) -> str:
    """What follows, in words, and how many more seeds would decide."""
    if not answer.learnt:
        return not_learnt(answer)
    if not answer.best:
        return "No arm can be called best yet: run more seeds."
    run = [arm for arm in answer.arms if arm.seeds]
    if answer.baseline == "none" and all(arm.intermediate == "none" for arm in run):
        return "Nothing to compare yet: only training without an intermediate task has a finished run."
    if len(run) == 1:
        return f"Nothing to compare yet: only {run[0].label} has a finished run."
    if answer.best == (answer.baseline,):
        named = "training without one" if answer.baseline == "none" else f"the baseline, {answer.baseline},"
        return f"No intermediate task helps here: {named} is best."
    if len(answer.best) == 1:
        return f"{answer.best[0]} is best."
    seeds = max((arm.seeds for arm in answer.arms if arm.in_best_set), default=0)
    return f"{_either(answer.best)}: not told apart with {count(seeds, 'seed')}{_outlook(answer)}."


def not_learnt(answer: TargetAnswer) -> str:
    """That no arm can be better than another, why, and what to change."""
    means = [arm.mean for arm in answer.arms if arm.mean is not None]
    known = answer.constant is not None and answer.constant > 0.0
    what = "half of its runs or more are at chance on dev"
    if not any(means):
        what = "every run scores 0 on dev"
    elif known:
        what += f", where the best constant answer scores {100 * (answer.constant or 0):.1f}"
    earlier = len(answer.arms) > len({(arm.intermediate, arm.intermediate_fraction) for arm in answer.arms})
    more = " Earlier hyperparameters count too: a study of another name leaves them out and trains nothing twice."
    return (
        f"Not learnt at this size: {what}. No arm is better than another; train longer or on more data, try "
        f"another learning rate or a larger encoder.{more if earlier else ''}"
    )


def prose(name: str) -> str:
    """An arm in a sentence."""
    return "no intermediate task" if name == "none" else name


def _outlook(answer: TargetAnswer) -> str:
    """The seeds that would decide, as the end of a sentence."""
    advice = answer.advice
    if answer.ceiling is not None and (advice is None or advice.seeds is None):
        return f"; {answer.ceiling.words()}"
    if advice is None or advice.probability is None:
        return "; nothing is told apart without a second seed" if advice is not None else ""
    if not advice.arms or advice.seeds == 0:
        return ""
    apart = answer.baseline in answer.best or answer.baseline not in answer.advised(advice)
    these = "these" if apart else f"these and of {prose(answer.baseline)}"
    if advice.seeds is None:
        return f"; {LOOK_AHEAD} more seeds of {these} would decide with probability {chance_words(advice.probability)}"
    seeds = count(advice.seeds, "more seed")
    return f"; {seeds} of {these} would decide with probability {advice.probability:.2f}"


def overall_table(answer: OverallAnswer) -> str:
    """All targets together in 80 columns; without a baseline there is no column of gains."""
    gains = has_scaled_gains(answer)
    lines = wrap(f"over {count(len(answer.targets), 'target')}: {', '.join(answer.targets)}") if answer.targets else []
    lines += wrap(_overall_verdict(answer), "  " if lines else "")
    if answer.targets:
        head = f"  {'arm':<{_ARM}} {'mean rank':>9} {'95 % interval':>14} {'P(best)':>7}"
        lines.append(head + (f" {'scaled gain':>20}" if gains else ""))
    for arm in answer.arms:
        if arm.mean_rank is not None and arm.p_best_rank is not None:
            star = "*" if arm.in_rank_set else " "
            ranks = f"[{arm.rank_low:.1f}, {arm.rank_high:.1f}]"
            name = textwrap.shorten(arm.label, _ARM, placeholder="...")
            row = f"{star} {name:<{_ARM}} {arm.mean_rank:>9.2f} {ranks:>14} {arm.p_best_rank:>7.2f}"
            lines.append(f"{row} {_scaled(arm):>20}".rstrip())
    notes = []
    if gains:
        unit = "in units of the spread of one run's score in each target"
        notes.append(f"scaled gain: over {answer.baseline}, {unit}")
    if answer.not_learnt:
        notes.append(f"left out, not learnt at this size: {', '.join(answer.not_learnt)}")
    if answer.left_out:
        notes.append(f"left out for want of repeated seeds: {', '.join(answer.left_out)}")
    for note in (*notes, *answer.notes):
        lines += wrap(f"note: {note}", "  ")
    return "\n".join(lines) + "\n"


def has_scaled_gains(answer: OverallAnswer) -> bool:
    """Whether arms have gains in units of each target; without runs of the baseline only their scores are ranked."""
    return any(arm.scaled_gain is not None and arm.intermediate != "none" for arm in answer.arms)


def _scaled(arm: ArmOverall) -> str:
    if arm.scaled_gain is None or arm.intermediate == "none":
        return ""
    return f"{arm.scaled_gain:+.2f} [{arm.scaled_low:+.2f}, {arm.scaled_high:+.2f}]"


def _overall_verdict(answer: OverallAnswer) -> str:
    if not answer.by_rank:
        return "No arm can be called best over targets."
    gains = has_scaled_gains(answer)
    if gains and answer.by_rank == answer.by_gain:
        return f"Best on average, by mean rank and by scaled gain: {_either(answer.by_rank)}."
    by_gain = f"; by scaled gain: {_either(answer.by_gain)}" if answer.by_gain and gains else ""
    return f"Best on average by mean rank: {_either(answer.by_rank)}{by_gain}."


def _either(names: Sequence[str]) -> str:
    return listed([prose(name) for name in names], "or")
