"""What a plan would cost, from recorded stage times where there are any, else from a stated model.

Where a study keeps what it makes: its tables, and the weights that it shares with others.

The room that a plan's checkpoints take.
"""

from __future__ import annotations

import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from raystilts.errors import UserError
from raystilts.filesystem import check_scheme, normal_place
from raystilts.planning.adapters import parts_of_encoder, trained_count
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan
from raystilts.schedules.asha import Asha
from raystilts.study.resources import Resources, StageResources
from raystilts.study.schema import Study

#: The folder below a `storage_path` with the weights that its studies share.
CHECKPOINTS = "checkpoints"
#: Operations a second of a stated model: what a GPU of the data-centre class, and one CPU core, sustain in training.
GPU_FLOPS, CORE_FLOPS = 150e12, 25e9
#: What a machine with GPUs has, as Linux shows it.
GPU_DRIVER = Path("/proc/driver/nvidia/version")
#: Parameters outside the word embeddings where the encoder is not here (XLM-R Large has 303 million).
UNKNOWN_PARAMETERS = 303_000_000


class RunTimes(Protocol):
    """What is read of a recorded run."""

    @property
    def stage(self) -> str: ...
    @property
    def encoder_fingerprint(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def device_share(self) -> float: ...
    @property
    def status(self) -> str: ...
    @property
    def energy_kwh(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Cost:
    """Hours of device time for the stages that are missing.

    Attributes:
        hours: Device hours, one stage a device.
        low: Lower end of what to expect; likewise `high`.
        basis: Where the estimate is from, in words.
        price: Money that a device hour costs by the study's prices, with the cores of its stages; None without prices.
        kwh: Energy that a device hour took in recorded stages; None where none was measured.
    """

    hours: float
    low: float
    high: float
    basis: str
    price: float | None = None
    kwh: float | None = None


def stage_tokens(stage: Stage) -> float:
    """A stage's work in sub-words of full training: evaluating one costs a third.

    Of six operations a weight and sub-word, two are the forward pass, two the gradients of a layer's input, and two
    those of its weights (Kaplan et al. 2020). Adapters and biases leave out the last two, a head alone the last four.
    What `freeze` saves hangs on the layers above and is not counted.
    """
    done = {"full": 6, "lora": 4, "bitfit": 4, "head_only": 2}[stage.tuning.method]
    return stage.tokens * done / 6 + stage.eval_tokens / 3


def estimate(
    plan: Plan,
    missing: Mapping[str, Stage],
    recorded: Iterable[RunTimes],
    shares: Mapping[str, tuple[float, float]] | None = None,
) -> Cost:
    """Device hours of the missing stages.

    Recorded runs of the same encoder give seconds a sub-word (the median over runs whose stage is in the plan); their
    spread gives the range. Without any, six operations a parameter and sub-word (Kaplan et al. 2020) at a stated
    speed, good to a factor of three.

    Args:
        shares: The least and the most of each missing stage that its schedule is expected to train; default all.
    """
    if plan.encoders:
        return _together(plan, missing, list(recorded), shares)
    expected = {key: (1.0, 1.0) if shares is None else shares[key] for key in missing}
    recorded = list(recorded)
    price, kwh = _price(plan.study.resources), _kwh(recorded)
    least, most = (sum(expected[key][end] * stage_tokens(stage) for key, stage in missing.items()) for end in (0, 1))
    work = (least + most) / 2
    rates = _rates(plan, recorded)
    if len(rates) >= 4:
        quarters = statistics.quantiles(rates, n=4)
        hours, low, high = work * statistics.median(rates), least * quarters[0], most * quarters[2]
        hours, low, high = hours / 3600, low / 3600, high / 3600
        basis = f"from {len(rates)} recorded stages of this encoder; half of them lie in the range"
        return Cost(hours, low, high, basis, price, kwh)
    resources = plan.study.resources
    # The share that `auto` will pick is not known yet; hours are those of a whole device either way.
    gpus = 1.0 if resources.auto and GPU_DRIVER.exists() else resources.gpus
    speed = GPU_FLOPS * min(gpus, 1) if gpus else CORE_FLOPS * min(resources.cpus, os.cpu_count() or 1)
    each = 6 * _dense_parameters(plan.encoder) / speed
    name = f"{speed / 1e12:.0f} Tflop/s a GPU" if gpus else f"{speed / 1e9:.0f} Gflop/s"
    basis = f"not measured: 6 operations a parameter and sub-word at {name}"
    return Cost(each * work / 3600, each * least / 10800, each * most / 1200, basis, price, kwh)


def _price(resources: Resources) -> float | None:
    """What a device hour costs: of stages that share a device, the cores of each count."""
    # The share that `auto` will pick is not known yet: the price is that of a whole device with one stage's cores.
    stage = StageResources(cpus=resources.cpus, gpus=1.0) if resources.auto and GPU_DRIVER.exists() else resources
    price = resources.price_per_hour(stage)
    return None if price is None else price / min(1.0, stage.gpus or stage.cpus)


def _kwh(recorded: Iterable[RunTimes]) -> float | None:
    """Kilowatt-hours of a device hour, over the recorded runs that were measured."""
    measured = [(row.energy_kwh, row.seconds * row.device_share) for row in recorded if row.energy_kwh is not None]
    seconds = sum(one for _, one in measured)
    return sum(kwh for kwh, _ in measured) / seconds * 3600 if seconds else None


def _together(
    plan: Plan,
    missing: Mapping[str, Stage],
    recorded: Sequence[RunTimes],
    shares: Mapping[str, tuple[float, float]] | None,
) -> Cost:
    """The hours of several encoders, each by its own times."""
    costs = []
    for part in plan.each():
        mine = {key: stage for key, stage in missing.items() if key in part.stages}
        costs.append(estimate(part, mine, recorded, shares))
    basis = costs[0].basis
    if len({cost.basis for cost in costs}) > 1:
        basis = "; ".join(f"{name}: {cost.basis}" for name, cost in zip(plan.encoders, costs, strict=True))
    total = sum(c.hours for c in costs), sum(c.low for c in costs), sum(c.high for c in costs)
    return Cost(*total, basis, costs[0].price, costs[0].kwh)  # a device hour is one whatever the encoder


def _rates(plan: Plan, recorded: Iterable[RunTimes]) -> list[float]:
    """Seconds a sub-word of each stage that has finished, with the segments in which it was trained."""
    seconds: dict[str, float] = defaultdict(float)
    finished = set()
    for row in recorded:
        stage = plan.stages.get(row.stage)
        if stage is None or stage_tokens(stage) == 0 or row.encoder_fingerprint != plan.encoder.fingerprint:
            continue
        if row.status in ("finished", "paused"):
            seconds[row.stage] += row.seconds * row.device_share
        if row.status == "finished":
            finished.add(row.stage)
    return [seconds[key] / stage_tokens(plan.stages[key]) for key in seconds if key in finished]


def _dense_parameters(encoder: EncoderInfo) -> int:
    if encoder.parameters is None:
        return UNKNOWN_PARAMETERS
    return encoder.parameters - (encoder.embedding_parameters or 0)


def results_folder(study: Study) -> str:
    """Where a study's tables are: `<storage_path>/<study name>`, an absolute path or a URI."""
    if study.name == CHECKPOINTS:
        raise UserError(f"name: {CHECKPOINTS!r} is where studies of a storage_path keep their weights; take another")
    return f"{_base(study.storage_path)}/{study.name}"


def checkpoints_folder(study: Study) -> str:
    """Where the weights are that studies below one `storage_path` share."""
    return f"{_base(study.storage_path)}/{CHECKPOINTS}"


def _base(storage_path: str) -> str:
    try:
        place = normal_place(storage_path)
        if "://" in place:
            check_scheme(place)
    except UserError as error:
        raise UserError(f"storage_path: {error}") from None
    if "://" not in place:
        above = next(folder for folder in (Path(place), *Path(place).parents) if folder.exists())
        if not above.is_dir():
            raise UserError(
                f"storage_path: {storage_path}: {above} is a file; name a folder, or one that can be made there"
            )
    return place


def disk_bytes(plan: Plan) -> int | None:
    """Bytes of the checkpoints that a plan holds at a time, None where the encoder's size is not known.

    With `keep: needed` too: intermediates stand at the start of the longest paths, so that all are trained first.
    """
    if plan.encoders:
        sizes = [disk_bytes(part) for part in plan.each()]
        return None if None in sizes else sum(size for size in sizes if size is not None)
    if plan.encoder.parameters is None:
        return None
    kept = {s.train_key: kept_bytes(plan, s) for s in plan.of_kind("intermediate")}
    targets = {s.train_key: kept_bytes(plan, s) for s in plan.of_kind("target")}
    best: dict[tuple[str | None, float | None, int | None], int] = {}
    for s in plan.of_kind("target"):
        stratum = s.target, s.target_fraction, s.seed
        best[stratum] = max(best.get(stratum, 0), targets[s.train_key])
    number = {"all": sum(targets.values()), "best": sum(best.values()), "none": 0}[plan.study.keep_targets]
    return sum(kept.values()) + number + _paused_bytes(plan)


def kept_bytes(plan: Plan, stage: Stage) -> int:
    """Bytes of a stage's checkpoint, its heads apart: all of the encoder, or all that adapters have trained of it."""
    chain = [stage]
    while (parent := chain[-1].parent) is not None:
        chain.append(plan.stages[parent])
    if any(one.tuning.is_full for one in chain):
        return 4 * (plan.encoder.parameters or 0)
    return 4 * sum(_trained(plan, one) for one in chain)


def _trained(plan: Plan, stage: Stage) -> int:
    """Weights of the encoder that a stage trains; of the word embeddings those rows are left out that it touches."""
    if stage.tuning.is_full:
        return (plan.encoder.parameters or 0) - (plan.encoder.embedding_parameters or 0)
    parts = parts_of_encoder(plan.encoder)
    return 0 if parts is None else trained_count(stage.tuning, parts)


def _paused_bytes(plan: Plan) -> int:
    """Bytes of the trainings that wait for a decision at a rung: those of one stratum, whose runs stand together.

    Each is the weights that it trains, the best ones so far and two moments of the optimiser.
    """
    if not isinstance(plan.study.schedule, Asha):
        return 0
    competing: Counter[tuple[str | None, float | None]] = Counter()
    for stage in plan.of_kind("target"):
        compared = stage.intermediate_fraction in (None, plan.study.compared_fraction)
        if compared and not stage.intermediate.is_none:  # which runs to the end
            competing[stage.target, stage.target_fraction] += _trained(plan, stage)
    return 4 * 4 * max(competing.values(), default=0)
