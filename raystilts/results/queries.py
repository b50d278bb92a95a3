"""The questions of `raystilts.results.store` in SQL, over the views of `tables`."""

from __future__ import annotations

#: The language of a mean over languages.
MACRO = "macro"


def views(by_stage: bool, by_encoder: bool) -> list[str]:
    """Statements that create `chosen` (attempts asked for), `latest` and `winners`.

    Args:
        by_stage: Only stages in table `wanted`.
        by_encoder: Only the encoder in table `wanted_encoder`.
    """
    conditions = ["true"]
    if by_stage:
        conditions.append("stage in (select stage from wanted)")
    if by_encoder:
        conditions.append("encoder in (select encoder from wanted_encoder)")
    return [
        f"create temp view chosen as select * from runs where {' and '.join(conditions)}",
        """
        create temp view latest as
        select * from chosen
        qualify row_number() over (
            partition by stage order by (status = 'finished') desc, attempt desc, ended_at desc
        ) = 1
        """,
        "create temp view winners as select * from latest where status = 'finished'",
    ]


ALL_ATTEMPTS = "select * from chosen order by stage, attempt, ended_at"

RUNS = "select * from latest order by stage"

_SCORE_ORDER = "s.stage, s.step, s.split, s.language, s.metric"

SCORES = f"""
select s.* from scores s join winners w on s.stage = w.stage and s.attempt = w.attempt
order by {_SCORE_ORDER}
"""

CURVES = f"""
select s.*, r.hyperparameters, r.encoder, r.status, r.rung, r.degenerate
from scores s join latest r on s.stage = r.stage and s.attempt = r.attempt
where r.status in ('finished', 'stopped')
order by {_SCORE_ORDER}
"""

DECISIONS = "select * from decisions order by decided_at, study, target, target_fraction, round"

#: Final main scores. A cell trained under several train keys has `version` 1 for the latest;
#: stages of one train key share their weights, and may hold different languages.
_FINALS = """
finals as (
    select
        dense_rank() over (order by r.encoder, s.target, s.target_fraction, s.metric) as stratum,
        dense_rank() over (
            order by r.encoder, s.target, s.target_fraction, r.intermediate,
                r.intermediate_fraction, r.hyperparameters, r.seed
        ) as cell,
        r.encoder, s.target, s.target_fraction, s.split, s.metric, s.language, r.intermediate,
        r.intermediate_fraction, r.hyperparameters, r.seed, r.stage, r.train_key, r.ended_at,
        coalesce(r.degenerate, false) as degenerate, s.value as score
    from scores s join winners r on s.stage = r.stage and s.attempt = r.attempt
    where s.is_final and s.is_main and s.split = $split and r.kind <> 'intermediate'
        and ($target is null
            or (s.target = $target and s.target_fraction is not distinct from $target_fraction))
),
trained as (
    select cell, train_key, max(ended_at) as ended_at, min(stage) as stage from finals group by all
),
versions as (
    select cell, train_key, stage,
        row_number() over (partition by cell order by ended_at desc, train_key) as version
    from trained
)
"""

REPEATED = f"""
with {_FINALS}, repeated as (
    select cell, string_agg(stage, ', ' order by version) as stages from versions
    group by cell having count(*) > 1
)
select any_value(f.target) as target, any_value(f.intermediate) as intermediate,
    any_value(f.seed) as seed, any_value(p.stages) as stages
from repeated p join finals f using (cell)
group by cell order by cell
"""

_MATRIX = f"""
{_FINALS},
used as (
    select f.* from finals f join versions v using (cell, train_key)
    where v.version = 1
    qualify row_number() over (
        partition by cell, metric, language order by f.ended_at desc, f.stage
    ) = 1
),
complete as (
    select stratum, language from used group by stratum, language
    having count(*) = (
        select count(distinct cell) from used u where u.stratum = used.stratum
    )
),
macro as (
    select stratum, cell, any_value(encoder) as encoder, any_value(target) as target,
        any_value(target_fraction) as target_fraction, any_value(split) as split,
        any_value(metric) as metric, '{MACRO}' as language,
        string_agg(language, ',' order by language) as languages,
        any_value(intermediate) as intermediate,
        any_value(intermediate_fraction) as intermediate_fraction,
        any_value(hyperparameters) as hyperparameters, any_value(seed) as seed,
        max(stage) as stage, bool_or(degenerate) as degenerate, avg(score) as score
    from used join complete using (stratum, language)
    group by stratum, cell
),
matrix as (
    select * from macro
    union all
    select stratum, cell, encoder, target, target_fraction, split, metric, language,
        language as languages, intermediate, intermediate_fraction, hyperparameters, seed, stage,
        degenerate, score
    from used
)
"""

_ORDER = """
encoder, target, target_fraction, metric, language, intermediate, intermediate_fraction,
hyperparameters, seed
"""

MATRIX = f"with {_MATRIX} select * exclude (stratum, cell) from matrix order by {_ORDER}"

#: Hyperparameters of `none` that most of its runs have stand in for those it was not run with.
GAINS = f"""
with {_MATRIX},
baseline as (select * from matrix where intermediate = 'none'),
common as (
    select stratum, hyperparameters from baseline group by stratum, hyperparameters
    qualify row_number() over (
        partition by stratum order by count(distinct cell) desc, hyperparameters
    ) = 1
),
paired as (
    select m.*, m.score - b.score as gain
    from (
        select m.*, coalesce(same.hyperparameters, common.hyperparameters) as compared_with
        from matrix m
        left join (select distinct stratum, hyperparameters from baseline) same
            on m.stratum = same.stratum and m.hyperparameters = same.hyperparameters
        left join common on m.stratum = common.stratum
        where m.intermediate <> 'none'
    ) m
    left join baseline b
        on m.stratum = b.stratum and m.language = b.language
        and m.compared_with = b.hyperparameters
        and (b.seed is null or b.seed = m.seed)
        and not b.degenerate
)
select * exclude (stratum, cell, compared_with) from paired order by {_ORDER}
"""

#: Arms whose stages were stopped or failed. A run that trains on one task may score another, so
#: tasks that finished runs were scored on tell which runs belong to a stratum.
UNFINISHED = """
with trained_on as (
    select $target as target
    union
    select r.target from scores s join winners r on s.stage = r.stage and s.attempt = r.attempt
    where s.target = $target and r.kind <> 'intermediate' and s.is_final
)
select encoder, intermediate, intermediate_fraction, hyperparameters, seed, status
from latest
where kind <> 'intermediate' and status <> 'finished'
    and target in (select target from trained_on)
    and target_fraction is not distinct from $target_fraction
order by all
"""
