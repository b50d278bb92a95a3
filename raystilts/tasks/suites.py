"""Suites: which targets make a benchmark, in which languages, and how their scores become one number.

XTREME (Hu et al. 2020, ICML, arXiv 2003.11080) and XTREME-R (Ruder et al. 2021, EMNLP, arXiv 2104.07412), with the
languages and metrics of google-research/xtreme@838c13b, evaluate.py. A task's score is the mean over its languages
(English among them, except in retrieval and XCOPA); a span QA task's is the mean of F1 and exact match, each a mean
over languages; a group's is the mean over its tasks, the overall score the plain mean over all tasks, not over groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.languages import codes
from raystilts.tasks.registry import all_tasks, get_task

#: Groups in the order in which XTREME shows them.
CLASSIFICATION, STRUCTURED, QA, RETRIEVAL = "classification", "structured", "QA", "retrieval"
_GROUPS = {
    "classification": CLASSIFICATION, "regression": CLASSIFICATION, "multiple_choice": CLASSIFICATION,
    "tagging": STRUCTURED, "span_qa": QA,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One target of a suite.

    Attributes:
        target: Name of the task.
        group: The group that it counts in.
        metric: The task's score in one language; the task's score is its mean over `languages`. The mean of F1 and
            exact match ("em_f1") may be taken before or after the mean over languages: both are sums.
        languages: The suite's languages for this target.
    """

    target: str
    group: str
    metric: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A suite's numbers from scores of its targets.

    Attributes:
        overall: Mean over the targets that have a score; None without any.
        groups: The same within each group that has one.
    """

    overall: float | None
    groups: dict[str, float]


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark of several targets.

    Attributes:
        name: What the command line calls it.
        title: What people call it, with its citation.
        members: Its targets.
        fixed_languages: A set over which every aggregate is given a second time, each target over those of it that
            it has: one stated set for all targets, where the suite's own differ from target to target.
    """

    name: str
    title: str
    members: tuple[Member, ...]
    fixed_languages: tuple[str, ...] = ()

    def aggregate(self, scores: Mapping[str, float]) -> Aggregate:
        """Group means and the overall mean of the given targets' scores, in their unit.

        Args:
            scores: By target; targets of the suite that are left out are in no mean.

        Raises:
            UserError: A target that is not in the suite.
        """
        known = [member.target for member in self.members]
        for target in scores:
            if target not in known:
                raise UserError(f"{target!r} is not in the suite {self.name}; {did_you_mean(target, known)}")
        groups: dict[str, list[float]] = {}
        for member in self.members:
            if member.target in scores:
                groups.setdefault(member.group, []).append(scores[member.target])
        overall = sum(scores.values()) / len(scores) if scores else None
        return Aggregate(overall, {group: sum(values) / len(values) for group, values in groups.items()})


def _member(target: str, group: str, metric: str, languages: str) -> Member:
    return Member(target, group, metric, codes(languages))


_XNLI = _member("xnli", CLASSIFICATION, "accuracy", "ar bg de el en es fr hi ru sw th tr ur vi zh")
_MLQA = _member("mlqa", QA, "em_f1", "ar de en es hi vi zh")
_TYDIQA = _member("tydiqa", QA, "em_f1", "ar bn en fi id ko ru sw te")
_UDPOS = "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
_PANX = (
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)
_XQUAD = "ar de el en es hi ru th tr vi zh"
_TATOEBA = "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl tr ur vi zh"
#: XQuAD's languages, which XNLI, UD POS, PAN-X and (but English) Tatoeba have too; other targets have some of them.
_FIXED = codes(_XQUAD)

XTREME = Suite(
    name="xtreme",
    title="XTREME (Hu et al. 2020)",
    members=(
        _XNLI,
        _member("pawsx", CLASSIFICATION, "accuracy", "de en es fr ja ko zh"),
        _member("udpos", STRUCTURED, "xtreme_pos_f1", _UDPOS),
        _member("panx", STRUCTURED, "f1", _PANX),
        _member("xquad", QA, "em_f1", _XQUAD),
        _MLQA,
        _TYDIQA,
        _member("bucc2018", RETRIEVAL, "f1", "de fr ru zh"),
        _member("tatoeba", RETRIEVAL, "accuracy", _TATOEBA),
    ),
    fixed_languages=_FIXED,
)

XTREME_R = Suite(
    name="xtreme_r",
    title="XTREME-R (Ruder et al. 2021)",
    members=(
        _XNLI,
        _member("xcopa", CLASSIFICATION, "accuracy", "et ht id it qu sw ta th tr vi zh"),
        _member("udpos", STRUCTURED, "xtreme_pos_f1", f"{_UDPOS} lt pl ro uk wo"),
        _member("panx", STRUCTURED, "f1", f"{_PANX} az gu lt pa pl qu ro uk"),
        _member("xquad", QA, "em_f1", f"{_XQUAD} ro"),
        _MLQA,
        _TYDIQA,
        _member("mewsli_x", RETRIEVAL, "map@20", "ar de en es fa ja pl ro ta tr uk"),
        _member("lareqa", RETRIEVAL, "map", _XQUAD),
        _member("tatoeba", RETRIEVAL, "accuracy", f"{_TATOEBA} az lt pl ro uk"),
    ),
    fixed_languages=_FIXED,
)

SUITES = {suite.name: suite for suite in (XTREME, XTREME_R)}


def get_suite(name: str) -> Suite:
    """A suite by its name, or one made of the targets in "xnli,sib200": all their languages and main scores.

    Raises:
        UserError: It is neither.
    """
    if name in SUITES:
        return SUITES[name]
    tasks, targets = all_tasks(), name.split(",")
    for target in targets:
        if target not in tasks:
            hint = did_you_mean(target, [*SUITES, *tasks])
            raise UserError(f"--suite {name}: {target!r} is neither a suite ({', '.join(SUITES)}) nor a task; {hint}")
        if targets.count(target) > 1:
            raise UserError(f"--suite {name}: {target!r} is given twice")
    return Suite(name, f"mean of {', '.join(targets)}", tuple(_of_task(target) for target in targets))


def _of_task(target: str) -> Member:
    task = get_task(target)
    return Member(target, _GROUPS.get(task.type.kind, RETRIEVAL), task.main_score, task.languages)
