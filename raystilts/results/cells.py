"""Questions about the cells of the transfer matrix in SQL, over the views of `tables` and `queries`.

A cell is one row with its final main scores as a list, `numbers`, in the order of `languages`, so that ten thousand
cells of forty languages stay ten thousand rows until somebody asks for each language.
"""

from __future__ import annotations

#: The language of a mean over languages.
MACRO = "macro"

_ARM = "intermediate, intermediate_fraction, hyperparameters"

_MACROS = (
    # Of numbers in the order of some languages, those of others, in their order.
    """
    create or replace temp macro in_order(numbers, languages, wanted) as
        case when languages = wanted then numbers
        else list_transform(split_names(wanted), lambda x: numbers[list_position(split_names(languages), x)]) end
    """,
    "create or replace temp macro split_names(x) as case when x = '' then []::varchar[] else string_split(x, ',') end",
)


def create_cells(name: str, by_target: bool) -> list[str]:
    """Statements that create a table of cells of the split ``$split`` (and the target ``$target``).

    Questions below ask a view of it, `cells`.

    A cell trained under several train keys counts with the latest, and `repeated` names the stages. Stages of one
    train key share their weights, and may hold different languages: for each the latest counts. `shared` are the
    languages that every cell of the stratum has, `lost` those that only some have, and `macro` is the mean over
    `shared`. Rows are in the order of their columns, by stratum.
    """
    condition = "and f.target = $target" if by_target else ""
    return [*reversed(_MACROS), f"create or replace temp table {name} as {_cells(condition)}"]


def _cells(condition: str) -> str:
    return f"""
with scored as (
    select r.encoder, f.target, f.target_fraction, f.metric, r.intermediate, r.intermediate_fraction,
        r.hyperparameters, r.seed, r.train_key, r.ended_at, r.stage,
        case when r.degenerate then coalesce(r.degenerate_rule, 'degenerate') end as rule,
        f.languages, f.numbers
    from finals f join winners r on f.stage = r.stage and f.attempt = r.attempt
    where f.split = $split and r.kind <> 'intermediate' {condition}
),
numbered as (
    select *, dense_rank() over (order by encoder, target, target_fraction, metric) as stratum,
        dense_rank() over (order by encoder, target, target_fraction, {_ARM}, seed) as cell
    from scored
),
trained as (
    select cell, train_key, max(ended_at) as ended_at, min(stage) as stage from numbered group by all
),
newest as (
    select cell, first(train_key order by ended_at desc, train_key) as train_key,
        case when count(*) > 1 then string_agg(stage, ', ' order by ended_at desc, train_key) end as repeated
    from trained group by cell
),
used as (select * from numbered join newest using (cell, train_key)),
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


def stratum_rows(*, by_language: bool, by_target: bool, each: bool) -> str:
    """One row a cell, strata and arms together: its score in ``$language``, or the mean over languages.

    Args:
        by_target: Only ``$target``.
        each: The score in each language too.
    """
    score = "numbers[list_position(split_names(languages), $language)]" if by_language else "macro"
    over = "$language" if by_language else "shared"
    return f"""
    select encoder, target, target_fraction, metric, {_ARM}, seed, {score} as score, rule, {over} as over,
        {f"in_order(numbers, languages, {over})" if each else "[]"}
    from cells where {score} is not null {"and target = $target" if by_target else ""}
    """


def _long(source: str, more: str) -> str:
    """One row a cell and language, and one for the mean if there is one, in the order of the cells."""
    return f"""
    select encoder, target, target_fraction, $split as split, metric,
        unnest(if(macro is null, split_names(languages), split_names(languages) || ['{MACRO}'])) as language,
        languages, shared, {_ARM}, seed, stage, stages, rule is not null as degenerate,
        unnest(if(macro is null, numbers, numbers || [macro])) as score {more}
    from {source}
    """


_COLUMNS = f"""
encoder, target, target_fraction, split, metric, language, if(language = '{MACRO}', shared, language) as languages,
{_ARM}, seed,
if(stages is null, stage, coalesce(stages[list_position(split_names(languages), language)], stage)) as stage,
degenerate, score
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
ANY_UNFINISHED = f"select 1 from latest where {_ENDED_EARLY} limit 1"

#: Arms whose stages were stopped or failed. A run that trains on one task may score another, so
#: tasks that finished runs were scored on tell which runs belong to a stratum.
UNFINISHED = f"""
with scored_on as (
    select distinct target as trained, target as scored from latest
    union
    select distinct r.target, f.target from finals f join winners r on f.stage = r.stage and f.attempt = r.attempt
    where r.kind <> 'intermediate'
)
select s.scored as target, l.target_fraction, l.intermediate, l.intermediate_fraction, l.hyperparameters, l.status,
    l.rung
from latest l join scored_on s on l.target = s.trained
where {_ENDED_EARLY}
order by all
"""
