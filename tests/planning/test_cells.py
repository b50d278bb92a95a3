from __future__ import annotations

from hypothesis import given, settings

from raystilts.planning.cells import Cell
from raystilts.planning.stages import plan
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task

from .examples import studies, study


def cells_of(one: Study) -> list[Cell]:
    return list(plan(one).cells)


def test_cells_in_the_order_of_the_file() -> None:
    cells = cells_of(study(intermediates=["none", "cldr_names"], intermediate_fractions=[0.5, 1], seeds=[3]))
    assert cells == [
        Cell("none", None, "cldr_dates", 1.0, 3),
        Cell("cldr_names", 0.5, "cldr_dates", 1.0, 3),
        Cell("cldr_names", 1.0, "cldr_dates", 1.0, 3),
        Cell("none", None, "cldr_match", None, None),
        Cell("cldr_names", 0.5, "cldr_match", None, 3),
        Cell("cldr_names", 1.0, "cldr_match", None, 3),
    ]


@settings(max_examples=60, deadline=None)
@given(studies())
def test_axes_that_do_not_apply_are_null_and_cells_are_distinct(one: Study) -> None:
    cells = cells_of(one)
    assert len(set(cells)) == len(cells)
    for cell in cells:
        trained = get_task(cell.target).requires_training
        assert (cell.intermediate_fraction is None) == (cell.intermediate == "none")
        assert (cell.target_fraction is None) == (not trained)
        assert (cell.seed is None) == (cell.intermediate == "none" and not trained)


@settings(max_examples=60, deadline=None)
@given(studies())
def test_the_number_of_cells_is_that_of_the_grid(one: Study) -> None:
    trained = [t for t in one.targets if get_task(t.task).requires_training]
    retrieval = len(one.targets) - len(trained)
    arms = sum(not arm.is_none for arm in one.intermediates)
    none = len(one.intermediates) - arms
    points = arms * len(one.intermediate_fractions.values) * len(one.seeds)
    baseline = none * len(one.baseline_seeds or one.seeds)
    columns = len(trained) * len(one.target_fractions.values)
    assert len(cells_of(one)) == columns * (points + baseline) + retrieval * (points + none)
