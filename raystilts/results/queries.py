"""Questions about rows in SQL, over the views of `tables`; those about cells are in `cells`."""

from __future__ import annotations

from collections.abc import Collection

#: Tables of what is asked for, from ``$stages`` and ``$encoder``.
WANTED_STAGES = "create or replace temp table wanted_stages as select unnest($stages::varchar[]) as stage"
WANTED_ENCODER = "create or replace temp table wanted_encoder as select $encoder::varchar as encoder"


def views(by_stage: bool, by_encoder: bool) -> list[str]:
    """Statements that create the views `chosen` (attempts asked for), `latest` (one a stage) and `winners` (finished).

    Args:
        by_stage: Only stages in table `wanted_stages`.
        by_encoder: Only the encoder in table `wanted_encoder`.
    """
    conditions = ["true"]
    if by_stage:
        conditions.append("stage in (select stage from wanted_stages)")
    if by_encoder:
        conditions.append("encoder in (select encoder from wanted_encoder)")
    return [
        f"create or replace temp view chosen as select * from runs where {' and '.join(conditions)}",
        """
        create or replace temp view latest as
        select * from chosen
        qualify row_number() over (
            partition by stage order by (status = 'finished') desc, attempt desc, ended_at desc
        ) = 1
        """,
        "create or replace temp view winners as select * from latest where status = 'finished'",
    ]


def create_outcomes(source: str) -> str:
    """Creates a table of the columns of `latest` that questions about cells need: they ask for them several times.

    Args:
        source: ``latest``, or ``chosen`` where no stage has several attempts (`SEVERAL_ATTEMPTS`), which is quicker.
    """
    return f"""
create or replace temp table outcomes as
select stage, attempt, train_key, kind, status, encoder, intermediate, intermediate_fraction, hyperparameters, seed,
    target, target_fraction, rung, ended_at,
    case when degenerate then coalesce(degenerate_rule, 'degenerate') end as rule
from {source}
"""


#: Whether some stage is in `outcomes` more than once.
SEVERAL_ATTEMPTS = "select count(*) > count(distinct stage) from outcomes"

ALL_ATTEMPTS = "select * from chosen order by stage, attempt, ended_at"

RUNS = "select * from latest order by stage"

_SCORE_ORDER = "s.stage, s.step, s.split, s.language, s.metric"


def scores(asked: Collection[str], final: bool) -> str:
    """Every score of the finished stages, or final main ones.

    Args:
        asked: Columns that must have the value of the parameter of their name.
    """
    only = " and s.is_final and s.is_main" if final else ""
    return f"""
    select s.* from scores s join winners w on s.stage = w.stage and s.attempt = w.attempt
    where {_condition(asked)}{only} order by {_SCORE_ORDER}
    """


def curves(asked: Collection[str]) -> str:
    """Scores along training, of finished and of stopped stages, likewise."""
    return f"""
    select s.*, r.hyperparameters, r.encoder, r.status, r.rung, r.degenerate
    from scores s join latest r on s.stage = r.stage and s.attempt = r.attempt
    where r.status in ('finished', 'stopped') and {_condition(asked)} order by {_SCORE_ORDER}
    """


def _condition(asked: Collection[str]) -> str:
    return " and ".join(f"s.{name} = ${name}" for name in asked) or "true"


#: Of every attempt that has not failed, so that a stage which pauses and goes on is known at each rung.
DEV_SCORES = """
select s.stage, s.attempt, r.status, r.degenerate_rule, s.step, s.language, s.value,
    s.is_final
from scores s join chosen r on s.stage = r.stage and s.attempt = r.attempt
where s.split = 'dev' and s.is_main and r.kind = 'target' and r.status <> 'failed'
order by s.stage, s.attempt, s.step, s.language
"""

#: Every metric on dev along training, likewise.
DEV_CURVES = """
select s.stage, s.attempt, r.kind, s.target, s.step, s.language, s.metric, s.value, s.examples, s.is_main, s.is_final
from scores s join chosen r on s.stage = r.stage and s.attempt = r.attempt
where s.split = 'dev' and r.status <> 'failed'
order by s.stage, s.attempt, s.step, s.language, s.metric
"""

#: Items behind final main scores of ``$target``, null for all.
ITEM_COUNTS = """
select s.split, s.target, s.target_fraction, s.language, min(s.examples) as items,
  bool_and(s.kind = 'retrieval') as untrained
from scores s join winners w on s.stage = w.stage and s.attempt = w.attempt
where s.is_main and s.is_final and s.kind <> 'intermediate' and ($target is null or s.target = $target)
group by all
"""

ENCODERS = "select distinct encoder from winners where kind <> 'intermediate'"

RULES = "select distinct rule from decisions"

DECISIONS = "select * from decisions order by decided_at, study, target, target_fraction, round"
