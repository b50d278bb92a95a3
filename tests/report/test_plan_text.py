from __future__ import annotations

from io import StringIO

from results.examples import study
from rich.console import Console

from raystilts.planning.cost import Cost
from raystilts.planning.stages import overlaps, plan
from raystilts.report.plan_text import plan_view, summarise
from raystilts.study.schema import Study


def test_counts_and_savings() -> None:
    one = study(
        intermediates=["none", "cldr_names"],
        targets=[{"task": t, "languages": ["de"]} for t in ("cldr_units", "cldr_dates", "cldr_match")],
        intermediate_fractions=[1.0], seeds=[0],
        hyperparameters={"max_steps": 10, "per_device_train_batch_size": 2},
    )  # fmt: skip
    planned = plan(one)
    missing = dict(list(planned.stages.items())[2:])
    found = summarise(planned, missing, Cost(1.0, 0.5, 2.0, "guess"))
    assert (found.cells, found.stages, found.intermediate_stages, found.target_stages, found.retrieval_stages) == (
        6, 7, 1, 4, 2,
    )  # fmt: skip
    assert (found.steps, found.examples) == (50, 100)
    assert found.examples_without_sharing == 4 * 20 + 3 * 20  # each chain through the arm would train it again
    assert (found.in_ledger, found.missing) == (2, 5)
    assert found.to_json()["cost"]["hours"] == 1.0


def test_money_and_energy_are_said_where_they_are_known() -> None:
    planned = plan(study(targets=[{"task": "cldr_units", "languages": ["de"]}]))

    def text(cost: Cost) -> str:
        console = Console(width=300, file=StringIO())
        console.print(plan_view(summarise(planned, planned.stages, cost)))
        return str(console.file.getvalue())  # type: ignore[attr-defined]

    assert not {"cost", "energy"} & {line.split()[0] for line in text(Cost(1.0, 0.5, 2.0, "guess")).splitlines()}
    shown = text(Cost(60.0, 50.0, 70.0, "guess", 2.5, 0.4)).splitlines()
    lines = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in shown if len(line.split()) > 1}
    assert lines["cost"] == "150 (125 to 175; a device hour 2.50)"
    assert lines["energy"] == "24.00 kWh (by what recorded stages took)"


def test_overlap_of_training_data() -> None:
    one = study(
        intermediates=["none", "mnli", "mnli@sw", "squad", {"tasks": ["hellaswag", "squad"], "name": "both"}],
        targets=["xnli", "xquad", "mlqa", "tatoeba"],
    )
    assert overlaps(plan(one)) == (
        ("mnli", "xnli"),
        ("mnli@sw", "xnli"),
        ("squad", "xquad"),
        ("squad", "mlqa"),
        ("both", "xquad"),
        ("both", "mlqa"),
    )


def test_what_to_expect_of_a_schedule_is_said() -> None:
    for schedule, said in (
        ("halve", "a third of a four-seed grid"),
        ("top_two", ".27 of a four-seed grid with a prior"),
    ):
        planned = plan(study(targets=[{"task": "cldr_units", "languages": ["de"]}], schedule=schedule))
        console = Console(width=300, file=StringIO())
        console.print(plan_view(summarise(planned, planned.stages, Cost(1.0, 0.5, 2.0, "guess"), (0.3, 0.3))))
        assert said in console.file.getvalue()  # type: ignore[attr-defined]


def test_what_a_tuning_trains_is_said_with_a_word_on_low_learning_rates() -> None:
    given = {"name": "s", "intermediates": ["none"], "targets": ["cldr_units"], "seeds": [0], "tuning": "lora"}
    for rate, warned in ((2e-5, True), (5e-4, False)):
        planned = plan(Study.model_validate(given | {"hyperparameters": {"learning_rate": rate}}))
        found = summarise(planned, planned.stages, Cost(1.0, 0.5, 2.0, "guess"))
        [line] = found.tuned
        assert line.startswith("lora trains ")
        assert line.endswith("its learning rate, 2e-05, is one of whole encoders: try ten times as much") is warned
