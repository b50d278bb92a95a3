from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.planning.cost import CORE_FLOPS, estimate, results_folder, stage_tokens
from raystilts.planning.data import data_folder
from raystilts.planning.stages import Plan, plan

from .examples import study


@dataclass
class Recorded:
    stage: str
    kind: str
    encoder_fingerprint: str
    target: str | None
    tokens: int
    seconds: float
    device_share: float
    status: str
    energy_kwh: float | None = None


def recorded(planned: Plan, rates: list[float], status: str = "finished") -> list[Recorded]:
    """Runs of the first stages that took `rates` seconds a sub-word."""
    stages = list(planned.stages.values())[: len(rates)]
    mark = planned.encoder.fingerprint
    return [
        Recorded(s.key, s.kind, mark, s.target, s.tokens, rate * stage_tokens(s), 1.0, status)
        for s, rate in zip(stages, rates, strict=True)
    ]


def test_recorded_runs_give_the_rate_and_its_range() -> None:
    planned = plan(study())
    work = sum(stage_tokens(stage) for stage in planned.stages.values())
    cost = estimate(planned, planned.stages, recorded(planned, [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]))
    assert (cost.hours, cost.low, cost.high) == pytest.approx(tuple(work * r / 3600 for r in (3e-3, 1.5e-3, 4.5e-3)))
    assert cost.basis.startswith("from 5 recorded stages")


def test_too_few_or_failed_runs_leave_the_stated_model() -> None:
    planned = plan(study())
    work = sum(stage_tokens(stage) for stage in planned.stages.values())
    dense = (planned.encoder.parameters or 0) - (planned.encoder.embedding_parameters or 0)
    for runs in ([], recorded(planned, [1.0] * 3), recorded(planned, [1.0] * 5, "failed")):
        cost = estimate(planned, planned.stages, runs)
        assert cost.hours == pytest.approx(6 * dense * work / CORE_FLOPS / 3600)
        assert cost.low < cost.hours < cost.high
        assert cost.basis.startswith("not measured")


@pytest.mark.parametrize(
    ("tuning", "done"), [("full", 6), ({"method": "lora"}, 4), ("bitfit", 4), ("head_only", 2), ({"freeze": 1}, 6)]
)
def test_a_training_of_few_weights_leaves_out_the_gradients_that_nobody_asks_for(tuning: object, done: int) -> None:
    targets = [{"task": "cldr_dates", "languages": ["de"], "tuning": tuning}]
    for stage in plan(study(targets=targets)).of_kind("target"):
        assert stage_tokens(stage) - stage.eval_tokens / 3 == pytest.approx(stage.tokens * done / 6)


def test_a_device_hour_costs_what_its_stages_take() -> None:
    def price(**resources: object) -> float | None:
        planned = plan(study(resources=resources))
        return estimate(planned, planned.stages, []).price

    assert price() is None
    assert price(cpus=4, gpus=0.5, price_per_gpu_hour=2.0) == 2.0
    assert price(cpus=4, gpus=0.5, price_per_gpu_hour=2.0, price_per_cpu_hour=0.1) == pytest.approx(2.0 + 8 * 0.1)
    assert price(cpus=4, gpus=2, price_per_gpu_hour=2.0) == 4.0
    assert price(cpus=2, price_per_cpu_hour=0.1) == pytest.approx(0.2)
    assert price(cpus=2, price_per_gpu_hour=2.0) is None, "it takes no GPU"
    assert price(cpus=2, price_per_cpu_hour=0) == 0


def test_energy_is_that_of_the_recorded_hours_that_were_measured() -> None:
    planned = plan(study())
    runs = recorded(planned, [1e-3] * 4)
    assert estimate(planned, planned.stages, runs).kwh is None
    for run, (seconds, share, kwh) in zip(
        runs, [(3600.0, 0.5, 0.1), (3600.0, 0.5, 0.3), (7200.0, 1.0, None), (1.0, 1.0, 0.0)], strict=True
    ):
        run.seconds, run.device_share, run.energy_kwh = seconds, share, kwh
    assert estimate(planned, planned.stages, runs).kwh == pytest.approx(0.4 / (3601 / 3600))


def test_nothing_missing_costs_nothing() -> None:
    assert estimate(plan(study()), {}, []).hours == 0


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("~nosuchuser/x", "home folder"),
        ("a\0b", "it holds a NUL"),
        ("x" * 300, "the path is too long"),
        ("nosuch://x/y", "its scheme is unknown"),
        ("s3://", "it names no bucket"),
        ("file://rel", "a path from the root"),
    ],
)
def test_places_that_are_none(place: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"^storage_path: .*({said})") as error:
        results_folder(study(storage_path=place))
    assert len(str(error.value)) < 300


def test_a_file_is_no_place_for_results(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(UserError, match=r"storage_path: .*file is a file; name a folder"):
            results_folder(study(storage_path=str(tmp_path / place)))
    assert results_folder(study(storage_path=str(tmp_path / "new"))) == f"{tmp_path}/new/small"


@pytest.mark.parametrize("place", ["~nosuchuser/x", "a\0b", "x" * 300])
def test_data_folders_that_are_none(place: str) -> None:
    with pytest.raises(UserError, match=r"^data_dir: ") as error:
        data_folder(study(data_dir=place))
    assert len(str(error.value)) < 300
