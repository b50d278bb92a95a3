"""Questions about the cells of the transfer matrix in SQL, over the views of `tables` and `queries`.

A cell is one row, with its mean and, for questions that need them, its final main scores as a list, `numbers`, in the
order of `languages`: ten thousand cells of forty languages stay ten thousand rows until each language is asked for.
`CellTables` makes the tables of cells when a question needs them.
"""

from __future__ import annotations

#: The language of a mean over languages.
MACRO = "macro"
_ARM = "intermediate, intermediate_fraction, hyperparameters"
_STRATUM = "encoder, target, target_fraction, metric"
_CELL = f"encoder, target, target_fraction, {_ARM}, seed"
_RANKS = f"dense_rank() over (order by {_STRATUM}) as stratum, dense_rank() over (order by {_CELL}) as cell"
MACROS = (
    "create or replace temp macro split_names(x) as case when x = '' then []::varchar[] else string_split(x, ',') end",
    # Of numbers in the order of some languages, those of others, in their order.
    """
    create or replace temp macro in_order(numbers, languages, wanted) as
        case when languages = wanted then numbers
        else list_transform(split_names(wanted), lambda x: numbers[list_position(split_names(languages), x)]) end
    """,
)


def create_scored(name: str, by_target: bool) -> str:
    """Creates a table of the finished runs with scores on ``$split`` (of the target ``$target``), and their means."""
    return f"""
create or replace temp table {name} as
select r.encoder, f.target, f.target_fraction, f.metric, r.intermediate, r.intermediate_fraction,
    r.hyperparameters, r.seed, r.train_key, r.ended_at, r.stage, f.attempt, r.rule, f.languages, f.mean
from finals f join outcomes r on f.stage = r.stage and f.attempt = r.attempt
where f.split = $split and r.status = 'finished' and r.kind <> 'intermediate'
    {_of_target(by_target)}
"""


def _of_target(by_target: bool) -> str:
    return "and f.target = $target" if by_target else ""


def _numbers(rows: str, by_target: bool) -> str:
    """Rows of scored runs with their scores by language."""
    return f"""
    select s.*, f.numbers from {rows} s join finals f
    on f.stage = s.stage and f.attempt = s.attempt and f.target = s.target and f.metric = s.metric
    where f.split = $split {_of_target(by_target)}
    """


def are_alike(scored: str) -> str:
    """Whether each row of `create_scored` is a cell as it is: trained once, in the languages of its whole stratum."""
    return f"""
select not exists (from (select 1 from {scored} group by {_CELL} having count(*) > 1))
    and not exists (from (select 1 from {scored} group by {_STRATUM} having min(languages) <> max(languages)))
"""


def alike_cells(name: str, scored: str) -> str:
    """Creates a view of the cells that `are_alike`, without `numbers` and without the numbers of stratum and cell."""
    return f"""
create or replace temp view {name} as
select * exclude (train_key, ended_at, mean), null::varchar as repeated, null::varchar[] as stages,
    languages as shared, '' as lost, mean as macro
from {scored}
"""


def cells_with_numbers(name: str, cells: str, by_target: bool) -> str:
    """Creates a table of the cells of a view that `alike_cells` made, as `merged_cells` does."""
    rows = _numbers(cells, by_target)
    return f"create or replace temp table {name} as select *, {_RANKS} from ({rows}) order by stratum, cell"


def merged_cells(name: str, scored: str, by_target: bool) -> str:
    """Creates a table of cells from those of `create_scored`, with `numbers`.

    A cell trained under several train keys counts with the latest, and `repeated` names the stages. Stages of one
    train key share their weights, and may hold different languages: for each the latest counts. `shared` are the
    languages that every cell of the stratum has, `lost` those that only some have, and `macro` is the mean over
    `shared`. Rows are in the order of their columns, by stratum.
    """
    return f"""
create or replace temp table {name} as
with ranked as (select *, {_RANKS} from {scored}),
trained as (
    select cell, train_key, max(ended_at) as ended_at, min(stage) as stage from ranked group by all
),
newest as (
    select cell, first(train_key order by ended_at desc, train_key) as train_key,
        case when count(*) > 1 then string_agg(stage, ', ' order by ended_at desc, train_key) end as repeated
    from trained group by cell
),
used as (
    select * exclude (attempt, mean) from ({_numbers("ranked", by_target)}) join newest using (cell, train_key)
),
several as (select stratum, cell from used group by all having count(*) > 1),
pieces as (
    select * exclude (languages, numbers), unnest(split_names(languages)) as language, unnest(numbers) as number
    from used semi join several using (stratum, cell)
),
freshest as (
    select * from pieces
    qualify row_number() over (partition by stratum, cell, language order by ended_at desc, stage) = 1
),
joined as (
    select stratum, cell, any_value(encoder) as encoder, any_value(target) as target,
        any_value(target_fraction) as target_fraction, any_value(metric) as metric,
        any_value(intermediate) as intermediate, any_value(intermediate_fraction) as intermediate_fraction,
        any_value(hyperparameters) as hyperparameters, any_value(seed) as seed, max(stage) as stage,
        max(rule) as rule, any_value(repeated) as repeated, string_agg(language, ',' order by language) as languages,
        list(number order by language) as numbers, list(stage order by language) as stages
    from freshest group by stratum, cell
),
merged as (
    select * exclude (train_key, ended_at), null::varchar[] as stages from used anti join several using (stratum, cell)
    union all by name
    select * from joined
),
sets as (select distinct stratum, languages from merged),
common as (
    select stratum, list_sort(list_reduce(list(split_names(languages)), lambda a, b: list_intersect(a, b))) as shared,
        list_distinct(flatten(list(split_names(languages)))) as found
    from sets group by stratum
),
named as (
    select stratum, array_to_string(shared, ',') as shared,
        array_to_string(list_sort(list_filter(found, lambda x: not list_contains(shared, x))), ',') as lost
    from common
)
select merged.*, shared, lost, list_avg(in_order(numbers, languages, shared)) as macro
from merged join named using (stratum) order by stratum, cell
"""


#: Cells that were trained more than once.
REPEATED = "select target, intermediate, seed, repeated from cells where repeated is not null order by cell"
#: Strata some of whose cells lack languages: those that the mean is over, and those that it is not.
LOST = "select distinct target, shared, lost from cells where lost <> '' order by target"
#: What the results hold.
KNOWN = """
select target, target_fraction, intermediate_fraction, split_names(languages) as languages
from (select distinct target, target_fraction, intermediate_fraction, languages from cells) order by all
"""


def stratum_rows(*, by_language: bool, by_target: bool, each: bool, joined: bool) -> str:
    """One row an arm, those of a target and fraction together: its seeds, and beside them its scores and its rules.

    A score is that in ``$language``, or the mean over languages.

    Args:
        by_target: Only ``$target``.
        each: The score in each language too.
        joined: Whether scores in languages are needed and are those of ``$split`` in `finals`: `cells` has none.
    """
    score, over = "macro", "shared"
    cells = f"({_numbers('cells', by_target)})" if joined else "cells"
    if by_language:
        score, over = "numbers[place]", "$language"
        place = "select languages, list_position(split_names(languages), $language) as place"
        places = f"({place} from (select distinct languages from cells))"
        cells = f"{cells} join {places} using (languages)"
    beside = f"in_order(numbers, languages, {over})" if each else "null"
    return f"""
    with scores as (
        select *, {score} as score, {over} as over, {beside} as each
        from {cells} {"where target = $target" if by_target else ""}
    )
    select {_STRATUM}, over, {_ARM}, list(seed), list(score), list(rule), list(each)
    from scores where score is not null
    group by {_STRATUM}, over, {_ARM}
    order by target, target_fraction nulls last, encoder, metric, {_ARM}
    """


def _long(source: str, more: str) -> str:
    """One row a cell and language, and one for the mean if there is one, in the order of the cells.

    Lists are unnested beside each other, shorter ones filled with nulls: the mean has no stage of its own, nor has any
    language of a cell that is one stage.
    """
    return f"""
    select encoder, target, target_fraction, $split as split, metric,
        unnest(if(macro is null, split_names(languages), split_names(languages) || ['{MACRO}'])) as language,
        shared, {_ARM}, seed, stage, unnest(stages) as own_stage, rule is not null as degenerate,
        unnest(if(macro is null, numbers, numbers || [macro])) as score {more}
    from {source}
    """


_COLUMNS = f"""
encoder, target, target_fraction, split, metric, language, if(language = '{MACRO}', shared, language) as languages,
{_ARM}, seed, coalesce(own_stage, stage) as stage, degenerate, score
"""
MATRIX = f"select {_COLUMNS} from ({_long('cells', '')})"
#: Hyperparameters of `none` that most of its runs have stand in for those it was not run with.
GAINS = f"""
with baseline as (select * from cells where intermediate = 'none'),
usual as (
    select stratum, hyperparameters from baseline group by stratum, hyperparameters
    qualify row_number() over (partition by stratum order by count(*) desc, hyperparameters) = 1
),
asked as (
    select c.*, coalesce(same.hyperparameters, usual.hyperparameters) as compared_with
    from cells c
    left join (select distinct stratum, hyperparameters from baseline) same
        on c.stratum = same.stratum and c.hyperparameters = same.hyperparameters
    left join usual on c.stratum = usual.stratum
    where c.intermediate <> 'none'
),
paired as (
    select a.*, in_order(b.numbers, b.languages, a.languages) || [b.macro] as base
    from asked a left join baseline b
        on a.stratum = b.stratum and a.compared_with = b.hyperparameters
        and (b.seed is null or b.seed = a.seed) and b.rule is null
    order by a.stratum, a.cell
)
select {_COLUMNS}, score - base as gain
from ({_long("paired", ", unnest(if(macro is null, base[:-2], base)) as base")})
"""
_ENDED_EARLY = "kind <> 'intermediate' and status not in ('finished', 'paused')"
#: A row if any stage was stopped or has failed.
ANY_UNFINISHED = f"select 1 from outcomes where {_ENDED_EARLY} limit 1"
#: Arms whose stages were stopped or failed. A run that trains on one task may score another, so
#: tasks that finished runs were scored on tell which runs belong to a stratum.
UNFINISHED = f"""
with scored_on as (
    select distinct target as trained, target as scored from outcomes
    union
    select distinct r.target, f.target from finals f join outcomes r on f.stage = r.stage and f.attempt = r.attempt
    where r.status = 'finished' and r.kind <> 'intermediate'
)
select s.scored as target, l.target_fraction, l.intermediate, l.intermediate_fraction, l.hyperparameters, l.status,
    l.rung
from outcomes l join scored_on s on l.target = s.trained
where {_ENDED_EARLY}
order by all
"""
