"""Study files for what is to be run next, and the words that go with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from raystilts.errors import UserError
from raystilts.report.next_runs import Grid, Need, NextRuns
from raystilts.report.tables import count, wrap
from raystilts.study.schema import Study


def grid_study(found: NextRuns, grid: Grid, results: str) -> Study:
    """The study of one grid: same data and settings, in the place that adds to the same results.

    Args:
        results: The results folder, a path or a URI.
    """
    old = found.study
    place = results.rstrip("/") if "://" in results else str(Path(results).expanduser().absolute())
    storage_path, _, name = place.rpartition("/")
    arms = [arm for arm in old.intermediates if arm.is_none or arm.label in grid.arms]
    if not any(arm.is_none for arm in arms):
        arms = [type(arms[0]).model_validate("none"), *arms]
    update: dict[str, Any] = {
        "intermediates": tuple(arms),
        "intermediate_fractions": old.intermediate_fractions.model_copy(update={"values": (found.fraction,)}),
        "compare_at": None,
        "targets": tuple(target for target in old.targets if target.task in grid.targets),
        "seeds": grid.seeds,
        "baseline_seeds": None,
        "schedule": "full",
        "search": None,
        "name": name,
        "storage_path": storage_path,
    }
    if grid.target_fraction is not None:
        update["target_fractions"] = old.target_fractions.model_copy(update={"values": (grid.target_fraction,)})
    return old.model_copy(update=update)


def study_text(found: NextRuns, grid: Grid, study: Study) -> str:
    """A study file, with what it is for at its top."""
    data = study.model_dump(mode="json", exclude_defaults=True)
    data["intermediates"] = [_short(arm) for arm in data["intermediates"]]
    needs = [need for need in found.needs if need.target in grid.targets]
    lines = [f"What would settle {', '.join(need.label for need in needs)}: {count(grid.runs, 'stage')}, "
             f"{duration(grid.seconds)} of a device by the recorded times of such stages."]  # fmt: skip
    lines += [need_sentence(need) for need in needs]
    comment = "".join(f"# {line}\n" for text in lines for line in wrap(text))
    return comment + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _short(arm: dict[str, Any]) -> Any:
    """An intermediate as people write it."""
    if not arm:
        return "none"
    return arm["tasks"][0] if arm.keys() == {"tasks"} and len(arm["tasks"]) == 1 else arm


def write_studies(found: NextRuns, path: Path, results: str) -> list[Path]:
    """Writes one study file a grid: the first as `path`, the others numbered beside it.

    Raises:
        UserError: a file cannot be written.
    """
    paths = [path, *(path.with_name(f"{path.stem}-{i}{path.suffix}") for i in range(2, len(found.grids) + 1))]
    for grid, one in zip(found.grids, paths, strict=False):
        try:
            one.write_text(study_text(found, grid, grid_study(found, grid, results)), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--output {one}: cannot be written ({error.strerror}); give another file") from None
    return paths[: len(found.grids)]


def need_sentence(need: Need) -> str:
    """What one target needs, in words."""
    arms = f"{', '.join(need.arms)} and none" if need.arms else "none"
    runs = f"{count(len(need.seeds), 'more seed')} of {arms}"
    if need.probability is None:
        return f"{need.label}: {runs}; nothing is told apart without a second seed"
    return f"{need.label}: {runs} would decide with probability {need.probability:.2f}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
