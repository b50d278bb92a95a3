"""A results folder: its tables as pandas DataFrames, and the answers from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from raystilts.errors import UserError, did_you_mean
from raystilts.filesystem import Folder, open_folder
from raystilts.results import cells, queries
from raystilts.results.answers import ArmAnswer, Question, TargetAnswer, answer_target
from raystilts.results.asked import check_one, nothing_to_answer
from raystilts.results.baseline import read_baseline
from raystilts.results.cell_tables import CellTables
from raystilts.results.compared import compared_fraction
from raystilts.results.item_noise import Count, KnownItems, Stages, stages_of
from raystilts.results.items import ItemSet, has_items, read_item_sets
from raystilts.results.joint_choice import JointChoice, least_targets
from raystilts.results.notes import Selection
from raystilts.results.over_targets import OverallAnswer, over_targets
from raystilts.results.stand_ins import read_stand_ins
from raystilts.results.stratum import Arm, Final, Place, Stratum, build_stratum
from raystilts.results.study_file import read_study
from raystilts.results.tables import in_view
from raystilts.results.task_facts import KnownTasks, read_tasks
from raystilts.tasks.languages import other_name

if TYPE_CHECKING:
    import pandas as pd

    from raystilts.study.schema import Study

Key = tuple[str, float | None]


class Results:
    """The tables of a results folder, and the answers from them. Every call sees what has been written so far.

    For each stage the latest finished attempt counts, and only that attempt's scores. Files that
    are cut off or not ours are named in a `ResultsWarning` and left out.

    Args:
        path: The results folder, a path or a URI such as ``s3://bucket/folder``.
        stages: Look only at these stages, such as those of one study. Default: all.
        encoder: Look only at runs of this encoder. Default: all.

    Raises:
        UserError: There is no such folder.
    """

    def __init__(
        self,
        path: str | Path | Folder,
        *,
        stages: Collection[str] | None = None,
        encoder: str | None = None,
    ) -> None:
        self.folder = open_folder(path)
        if not self.folder.exists():
            raise UserError(
                f"The results folder {self.folder.url} does not exist. Run a study first "
                "(`raystilts run STUDY`), or give the folder that its results were written to."
            )
        self.encoder, self._only = encoder, stages
        self._tables = CellTables(self.folder, stages, encoder)
        self._together = JointChoice(self.folder)
        self._items: tuple[tuple[int, str | None], dict[str, KnownItems]] | None = None

    def runs(self, *, all_attempts: bool = False) -> pd.DataFrame:
        """One row a stage: its latest finished attempt, else its latest attempt.

        Args:
            all_attempts: A row for every attempt instead.
        """
        frame = self._tables.rows(queries.ALL_ATTEMPTS if all_attempts else queries.RUNS)
        return in_view(frame, ["intermediate", "target"], ["seed", "status"])

    def scores(
        self,
        *,
        target: str | None = None,
        language: str | None = None,
        split: str | None = None,
        final: bool = False,
    ) -> pd.DataFrame:
        """Every score of the finished stages, in long form; of millions of rows, a part is read much more quickly.

        Args:
            target: Only scores on this task.
            language: Only this language.
            split: ``"dev"`` or ``"test"`` only.
            final: Only the main score of the weights that training ended with.
        """
        asked = _given(target=target, language=language, split=split)
        frame = self._tables.rows(queries.scores(asked, final), **asked)
        return in_view(frame, ["intermediate", "target"], ["language", "value"])

    def curves(self, *, target: str | None = None, language: str | None = None) -> pd.DataFrame:
        """Scores along training, finished stages and stopped ones (see column `status`).

        A stage that never finished is shown by its latest attempt if that was stopped. The arguments
        are those of `scores`.
        """
        asked = _given(target=target, language=language)
        return self._tables.rows(queries.curves(asked), **asked)

    def dev_scores(self) -> pd.DataFrame:
        """Main scores on dev along the training of target stages, of every attempt that has not failed.

        Returns:
            Columns stage, attempt, status, degenerate_rule, step, language, value (0 to 1), is_final.
        """
        return self._tables.rows(queries.DEV_SCORES)

    def dev_curves(self) -> pd.DataFrame:
        """Every score on dev along training, of every attempt that has not failed.

        Returns:
            Columns stage, attempt, kind, target, step, language, metric, value (0 to 1), examples, is_main, is_final.
        """
        return self._tables.rows(queries.DEV_CURVES)

    def decisions(self) -> pd.DataFrame:
        """What early stopping decided, in order of time."""
        found = self._tables.rows(queries.DECISIONS)
        return found if self.encoder is None else found[found["encoder"].isin(["", self.encoder])]

    def encoders(self) -> list[str]:
        """The encoders of the finished target stages, in the order of the study."""
        there = [str(name) for (name,) in self._tables.lists(queries.ENCODERS)]
        if len(there) < 2:
            return there
        study = read_study(self.folder)
        order = [] if study is None else [one.label for one in study.all_encoders]
        return sorted(there, key=lambda name: (order.index(name) if name in order else len(order), name))

    def of_encoder(self, encoder: str) -> Results:
        """The part that is of one encoder.

        Raises:
            UserError: there is none of it.
        """
        there = self.encoders()
        if encoder not in there:
            raise UserError(f"--encoder {encoder}: not in these results; {did_you_mean(encoder, there)}")
        return self._part(encoder)

    def by_encoder(self) -> list[Results]:
        """The parts of each encoder; itself where there is one."""
        there = [] if self.encoder is not None else self.encoders()
        return [self] if len(there) < 2 else [self._part(name) for name in there]

    def _part(self, encoder: str) -> Results:
        return Results(self.folder, stages=self._only, encoder=encoder)

    def matrix(self, value: Literal["gain", "score"] = "score", *, split: str = "test") -> pd.DataFrame:
        """The transfer matrix: final main scores of finished target and retrieval stages.

        One row for each cell and language, and one with language ``"macro"``: the mean over the
        languages that every run of the stratum (encoder, target, target fraction) has; column
        `languages` says which. Languages that some run lacks are named in a warning.

        Args:
            value: ``"gain"`` adds the score minus that of ``none`` with the same target, seed
                and hyperparameters (where ``none`` was not run with these, with those it has
                most seeds of), and leaves out the rows of ``none``. It is missing where there is
                no such run of ``none`` or that run is degenerate.
            split: ``"test"`` or ``"dev"``.

        Returns:
            Columns target, intermediate, encoder, target_fraction, split, metric, languages,
            intermediate_fraction, hyperparameters, stage, degenerate, seed, language, score
            (0 to 1), and for gains also gain.
        """
        if value not in ("gain", "score"):
            raise UserError(f"The value of `value` is {value!r}, but must be 'gain' or 'score'.")
        frame = self._tables.cells(cells.GAINS if value == "gain" else cells.MATRIX, split, numbers=True)
        return in_view(frame, ["target", "intermediate"], ["seed", "language", "score", "gain"])

    def known(self, *, split: str = "test") -> pd.DataFrame:
        """What there are final scores of: columns target, target_fraction, intermediate_fraction, languages."""
        return self._tables.cells(cells.KNOWN, split, numbers=False)

    def stratum_scores(
        self,
        target: str,
        target_fraction: float | None,
        split: str = "dev",
        language: str | None = None,
        *,
        metric: str | None = None,
        keep_degenerate: bool = False,
    ) -> Stratum:
        """The scores of one stratum as an array of arms and seeds, for ranking.

        Args:
            target: The scored task.
            target_fraction: Share of its training data; None for retrieval.
            split: ``"dev"`` or ``"test"``.
            language: One language; None for the mean over those that every run has.
            metric: Needed only where runs of the stratum have different main metrics.
            keep_degenerate: Keep the scores of degenerate runs, which otherwise are NaN.

        Raises:
            UserError: The stratum has several encoders or several main metrics.
        """
        found = self.strata(split, language, target=target, metric=metric, keep_degenerate=keep_degenerate)
        for stratum in found:
            if stratum.target_fraction == target_fraction:
                return stratum
        unfinished = self._tables.unfinished().get((target, target_fraction), [])
        return build_stratum(Place(target, target_fraction, split, language), [], unfinished)

    def strata(
        self,
        split: str = "dev",
        language: str | None = None,
        *,
        target: str | None = None,
        metric: str | None = None,
        keep_degenerate: bool = False,
        each: bool = False,
    ) -> list[Stratum]:
        """Every stratum that has scores, in order of target and fraction; see `stratum_scores`.

        Asking once for all is much quicker than asking for one after the other.

        Args:
            target: Only strata of this one.
            each: Also the scores in each language, `Stratum.by_language`.

        Raises:
            UserError: A stratum has several encoders or several main metrics.
        """
        rows = self._tables.strata(split, language, target, each=each)
        unfinished = self._tables.unfinished()
        kept = [row for row in rows if metric in (None, row[3])]
        strata = []
        for (name, fraction), group in groupby(kept, key=itemgetter(1, 2)):
            mine = list(group)
            where = f"target {name!r}"
            check_one("metric", {row[3] for row in mine}, where)
            check_one("encoder", {row[0] for row in mine}, where)
            place = Place(name, fraction, split, language, tuple(mine[0][4].split(",")), mine[0][3])
            strata.append(build_stratum(place, _finals(mine), unfinished.get((name, fraction), []), keep_degenerate))
        return strata

    def study(self) -> Study | None:
        """The study that the folder was last run with, None for tables from elsewhere; see `read_study`.

        With the arms, targets and seeds that earlier runs of its name asked for.

        Of one encoder's results the part of the study that is of it.

        Raises:
            UserError: it cannot be read.
        """
        study = read_study(self.folder)
        if study is None or self.encoder is None or self.encoder not in [one.label for one in study.all_encoders]:
            return study
        return study.of_encoder(self.encoder)

    def tasks(self) -> KnownTasks:
        """What is known of the tasks that the tables name, without looking at any task file."""
        return read_tasks(self.folder, self.study())

    def best(
        self,
        target: str | None = None,
        language: str | None = None,
        intermediate_fraction: float | None = None,
        *,
        include_overlap: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Every arm of every stratum, one row each; see `ArmAnswer` for the columns."""
        import pandas as pd

        found = self.answers(target, language, intermediate_fraction, include_overlap=include_overlap, strict=strict)
        rows = [arm.to_json() for answer in found for arm in answer.arms]
        frame = pd.DataFrame(rows, columns=list(ArmAnswer.__dataclass_fields__))
        return in_view(frame, ["target", "intermediate"], ["mean", "gain", "p_best"])

    def overall(
        self,
        language: str | None = None,
        intermediate_fraction: float | None = None,
        *,
        include_overlap: bool = False,
    ) -> OverallAnswer:
        """The arms over all targets, by mean rank and by scaled gain; see `OverallAnswer`."""
        return over_targets(self.answers(None, language, intermediate_fraction, include_overlap=include_overlap))

    def answers(
        self,
        target: str | None = None,
        language: str | None = None,
        intermediate_fraction: float | None = None,
        *,
        include_overlap: bool = False,
        strict: bool = False,
    ) -> list[TargetAnswer]:
        """The answer for each target (and target fraction).

        Args:
            target: Only this one.
            language: In this language; default the mean over the target's languages.
            intermediate_fraction: The fraction at which arms compete; default the study's `compare_at`.
            include_overlap: Let arms compete that train on the target's own data.
            strict: Give Hsu's worst-case set as the best set, not the posterior's.

        Raises:
            UserError: a target, language or fraction that the results do not hold.
        """
        study = self.study()
        rules = [str(rule) for (rule,) in self._tables.lists(queries.RULES)]
        least = None if strict else least_targets(study, rules)
        every = self._scored("test", target if least is None else None, language)
        tests = {key: test for key, test in every.items() if target in (None, key[0])}
        self._check(tests, target, language)
        compared = compared_fraction(intermediate_fraction, tests.values(), study)
        asked = Question(target, language, compared, include_overlap, strict, study, read_tasks(self.folder, study),
                         self.baseline, read_stand_ins(self.folder))  # fmt: skip
        devs, rule, unused = self._choosing(every, asked if least is None else replace(asked, target=None))
        asked = replace(asked, dev_languages=unused)
        joint = {} if least is None else self._together(every, devs, rule, asked, least)
        items = self.known_items(target)
        return [answer_target(test, devs.get(key), rule, asked, joint.get(key), items) for key, test in tests.items()]

    @property
    def baseline(self) -> str:
        """What the arm `none` is called in answers: as it was named to `raystilts import --baseline`, or `none`."""
        return read_baseline(self.folder)

    def item_sets(self, target: str | None = None, split: str | None = None) -> list[ItemSet]:
        """Scores of single items, where the study keeps them (`predictions`) or they were imported."""
        return read_item_sets(self.folder, target, split)

    def known_items(self, target: str | None = None) -> dict[str, KnownItems]:
        """What is known of the luck of the items of each split; read once a moment, for questions of many languages."""
        counts: dict[str, dict[tuple[str, float | None, str], Count]] = {"dev": {}, "test": {}}
        for split, name, share, language, *count in self._tables.lists(queries.ITEM_COUNTS, target=target):
            counts.setdefault(split, {})[name, share, language] = Count(*count)
        if not has_items(self.folder):
            return {split: KnownItems((), {}, known) for split, known in counts.items()}
        # Items are there before the run that they are of.
        if self._items is None or self._items[0] != (self._tables.moment, target):
            asked = self._tables.moment, target
            self._items = asked, {
                split: KnownItems(self.item_sets(target, split), self._stages(split), known)
                for split, known in counts.items()
            }
        return self._items[1]

    def _stages(self, split: str) -> Stages:
        """The stage behind each score of a split."""
        rows = self._tables.cells(cells.MATRIX, split, numbers=True)
        rows = rows[rows["language"] != cells.MACRO]
        columns = ["target", "target_fraction", "intermediate", "intermediate_fraction", "hyperparameters", "seed"]
        plain = rows[[*columns, "language", "stage"]].astype(object).where(rows.notna(), None)
        return stages_of(plain.itertuples(index=False, name=None))

    def _scored(self, split: str, target: str | None, language: str | None) -> dict[Key, Stratum]:
        """Strata with scores; in one language with all others beside it, where every run has it."""
        found = self.strata(split, target=target, each=language is not None)
        if language is not None:
            lacking = self._places(split, target) - {(s.target, s.target_fraction) for s in found}
            lacking |= {(s.target, s.target_fraction) for s in found if language not in s.languages}
            alone = self.strata(split, language, target=target) if lacking else []
            found = [s for s in found if language in s.languages]
            found += [s for s in alone if (s.target, s.target_fraction) in lacking]
        scored = [s for s in found if np.isfinite(s.scores).any()]
        scored.sort(key=lambda s: (s.target, s.target_fraction or 0.0))
        return {(s.target, s.target_fraction): s for s in scored}

    def _places(self, split: str, target: str | None) -> set[Key]:
        """Targets with scores in any language, also where no language is in every run."""
        rows = self.known(split=split)[["target", "target_fraction"]].drop_duplicates().itertuples(index=False)
        return {(name, None if share != share else share) for name, share in rows if target in (None, name)}

    def _choosing(
        self, tests: dict[Key, Stratum], asked: Question
    ) -> tuple[dict[Key, Stratum], Selection, dict[Key, list[str]]]:
        """The dev scores that choose the arm, for the strata that have any; languages of those that cannot."""
        rule: Selection = asked.study.selection if asked.study else "en_dev"
        wanted = {key: asked.tasks.train_language(key[0]) for key in tests}
        if rule == "target_dev":
            found = self._scored("dev", asked.target, asked.language)
        else:
            found = self._dev_scores(wanted, asked.target)
        if tests.keys() <= found.keys():
            return found, rule, {}
        there: dict[Key, list[str]] = {}
        for split, name, share, language, *_ in self._tables.lists(queries.ITEM_COUNTS, target=asked.target):
            if split == "dev" and (name, share) in tests and (name, share) not in found:
                there.setdefault((name, share), []).append(language)
        if rule == "en_dev":  # tables from elsewhere may have another name for it
            names = {key: other_name(wanted[key], mine) for key, mine in there.items() if wanted[key] not in mine}
            found |= self._dev_scores({key: name for key, name in names.items() if name}, asked.target)
        return found, rule, {key: sorted(mine) for key, mine in there.items() if key not in found}

    def _dev_scores(self, wanted: dict[Key, str], target: str | None) -> dict[Key, Stratum]:
        """The dev scores of strata, each in a language of its own."""
        found: dict[Key, Stratum] = {}
        for language in sorted(set(wanted.values())):
            for stratum in self.strata("dev", language, target=target):
                key = (stratum.target, stratum.target_fraction)
                if wanted.get(key) == language and np.isfinite(stratum.scores).any():
                    found[key] = stratum
        return found

    def _check(self, tests: dict[Key, Stratum], target: str | None, language: str | None) -> None:
        """Says what is wrong with a question that has no answer."""
        if tests:
            return
        known = [s for s in self.strata("test") if np.isfinite(s.scores).any()]
        if not known:
            raise UserError(nothing_to_answer(self.known(), self.runs()))
        targets = sorted({s.target for s in known})
        if target is not None and target not in targets:
            raise UserError(f"--target {target}: not in these results; {did_you_mean(target, targets)}")
        rows = self.known()
        rows = rows if target is None else rows[rows["target"] == target]
        languages = sorted({str(name) for names in rows["languages"] for name in names})
        where = "in these results" if target is None else f"in the results of {target}"
        there = other_name(str(language), languages)
        hint = f"there it is {there!r}" if there else did_you_mean(str(language), languages)
        raise UserError(f"--language {language}: not {where}; {hint}")


def _finals(rows: Iterable[Any]) -> list[Final]:
    """The cells of the arms of `cells.stratum_rows`."""
    finals: list[Final] = []
    for row in rows:
        arm = Arm(*row[5:8])
        finals += [Final(arm, *run) for run in zip(*row[8:], strict=True)]
    return finals


def _given(**values: object) -> dict[str, object]:
    """Parameters of a query that have a value."""
    return {name: value for name, value in values.items() if value is not None}
