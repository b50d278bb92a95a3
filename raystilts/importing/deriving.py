"""The ledger's rows that follow from what was imported: the same, in whatever order it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from raystilts.errors import UserError
from raystilts.importing.cleaning import CELL, KEY
from raystilts.importing.kinds import direction
from raystilts.importing.scales import to_shares
from raystilts.importing.state import SMALL, STUDY, State
from raystilts.results.schema import sql_columns

_CELL_TEXT = " || chr(31) || ".join(f"coalesce({name}::varchar, '')" for name in CELL)
#: The key of a run, from what it is known by.
_STAGE = f"substr(sha256({_CELL_TEXT}), 1, 32)"
#: Metrics by which a target is judged where nothing is said and its scores are equally many, the first first.
_PREFERRED = (
    "main_score",
    "major",
    "score",
    "accuracy",
    "acc",
    "f1",
    "exact_match",
    "em",
    "map",
    "mrr",
    "ndcg_at_10",
    "acc_norm",
)


@dataclass(frozen=True, slots=True)
class Derived:
    """Runs and scores of the ledger as queries, and what was concluded.

    Attributes:
        connection: Where the queries can be asked.
        runs: All runs, in the order of the ledger; likewise `scores`.
        finals: The rows of `finals.parquet`; None where there are several encoders, each with arms of its own to
            compare.
        number: Runs, of which `failed` have no score.
        stand_ins: Targets whose dev scores stand in for test scores.
    """

    connection: duckdb.DuckDBPyConnection
    runs: str
    scores: str
    finals: str | None
    number: int
    failed: int
    said: list[str]
    stand_ins: list[str]


@contextmanager
def derive(state: State) -> Iterator[Derived]:
    """Runs and scores.

    Raises:
        UserError: Sizes of data are shares and numbers of rows, or no score is on dev or test.
    """
    said: list[str] = []
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        if state.rows.num_rows < SMALL:
            connection.execute("set threads = 1")
        connection.register("given", _sized(state.rows, said))
        alone = len(state.sources) == 1
        # Rows of one source are of different scores, unless names were made one.
        once = alone and not (state.settings.same_name or state.settings.baselines)
        _create_facts(connection, once=once, kept=not once or state.rows.num_rows >= SMALL)
        _create_origins(connection, state)
        stand_ins = _say_splits(connection, said)
        _create_main(connection, state, said)
        number, failed = connection.execute(
            "select count(*), count(*) filter (not done) "
            "from (select bool_or(value is not null) as done from facts group by stage)"
        ).fetchall()[0]
        # Where no run has scores of several steps all are the last ones, which need not be looked for.
        at_once = connection.execute("select count(distinct step) = 1 from given").fetchall()[0][0]
        mixed = connection.execute(_SEVERAL_ENCODERS).fetchone()
        runs, scores = _RUNS_OF_ONE if alone else _RUNS, _SCORES_AT_ONCE if at_once else _SCORES
        finals = None if mixed else _FINALS_AT_ONCE if at_once else _FINALS
        if finals is not None:
            _create_shared(connection, _last_query(at_once))
        yield Derived(connection, runs, scores, finals, number, failed, said, stand_ins)


def _sized(rows: pa.Table, said: list[str]) -> pa.Table:
    """With shares instead of numbers of rows."""
    names = ["intermediate", "intermediate_fraction", "target", "target_fraction"]
    if all(rows[name].null_count == rows.num_rows for name in names[1::2]):
        return rows
    frame = to_shares(rows.select(names).to_pandas(), said)
    for name in names[1::2]:
        array = pa.Array.from_pandas(frame[name], type=pa.float64())
        rows = rows.set_column(rows.schema.get_field_index(name), name, array)
    return rows


def _create_facts(connection: duckdb.DuckDBPyConnection, *, once: bool, kept: bool) -> None:
    """Each score once; dev stands in for the test split of a target that has none.

    Args:
        once: Whether no score is given twice: grouping them would cost as much memory as they take.
        kept: Whether they become a table, and not a view: of few rows it costs more memory than it saves time.
    """
    key = ", ".join(f'"{name}"' for name in KEY)
    one = f"select {key}, value, examples, failed, drawn from given"
    # Equal but for rounding, however many sources have them: `merging.refuse_two_values` lets no others in.
    most = "max(value) as value, max(examples) as examples, bool_or(failed) as failed, bool_or(drawn) as drawn"
    grouped = f"select {key}, {most} from given group by all"
    # In a table of its own: read off the same rows within the view, it would hold all of them in memory.
    connection.execute(
        "create table untested as select target as name from given group by 1 having not bool_or(split = 'test')"
    )
    stands_in = "(split = 'dev' and name is not null)"
    connection.execute(
        f"""
        create {"table" if kept else "view"} facts as
        select once.* exclude (split), if({stands_in}, 'test', split) as split, {stands_in} as stands_in,
            {_STAGE} as stage
        from ({one if once else grouped}) once left join untested on target = name
        """
    )


def _create_origins(connection: duckdb.DuckDBPyConnection, state: State) -> None:
    """From which sources each run is; most runs share few sets of them.

    Their texts and times are variables, lists with a place for each set: beside each run, they would be sorted too.
    """
    connection.execute("create table origin_sets (place integer, sources varchar, text varchar, time timestamptz)")
    found = list(state.sources)
    if len(state.sources) > 1:
        connection.execute(
            f"""
            create table origins as
            select stage, string_agg(distinct source, ',' order by source) as sources
            from (select {_STAGE} as stage, source from given) group by 1
            """
        )
        found = [row[0] for row in connection.execute("select distinct sources from origins").fetchall()]
    sets = []
    for place, keys in enumerate(found, 1):
        own = [state.sources[key] for key in keys.split(",")]
        sets.append((place, keys, "; ".join(sorted({one.text for one in own})), max(one.time for one in own)))
    connection.executemany("insert into origin_sets values (?, ?, ?, ?)", sets)
    for name in ("text", "time"):
        connection.execute(f"set variable {name}s = (select list({name} order by place) from origin_sets)")


def _say_splits(connection: duckdb.DuckDBPyConnection, said: list[str]) -> list[str]:
    """Says which splits are not what they stand for; gives the targets whose dev scores stand in for test."""
    found = [str(row[0]) for row in connection.execute("select distinct split from facts order by 1").fetchall()]
    if "test" not in found:
        raise UserError(f"no row is of split test or dev, but of {', '.join(found)}; give --set split=test")
    stands = [row[0] for row in connection.execute("select distinct target from facts where stands_in").fetchall()]
    if stands:
        shown = ", ".join(sorted(stands)[:5]) + (f" and {len(stands) - 5} more" if len(stands) > 5 else "")
        said.append(f"no test scores of {shown}: those on dev stand in for them, and choose as well as judge")
    rest = [name for name in found if name not in ("dev", "test")]
    if rest:
        said.append(f"kept, but not ranked by: split {', '.join(rest)}")
    return [str(name) for name in stands]


def _create_main(connection: duckdb.DuckDBPyConnection, state: State, said: list[str]) -> None:
    """The metric by which each target is judged: as told, else that of most scores."""
    rows = connection.execute(
        "select target, metric, count(*) from facts where split in ('dev', 'test') group by all order by all"
    ).fetchall()
    metrics: dict[str, dict[str, int]] = {}
    for target, metric, number in rows:
        metrics.setdefault(target, {})[metric] = number
    main: dict[str, str] = {}
    choices: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for target, counts in metrics.items():
        told = [name for name in state.settings.metrics if name in counts]
        main[target] = told[0] if told else min(counts, key=lambda name: (-counts[name], *_preference(name)))
        if len(counts) > 1:
            choices.setdefault((main[target], tuple(counts)), []).append(target)
    for (metric, others), targets in choices.items():
        shown = ", ".join(targets[:5]) + (f" and {len(targets) - 5} more" if len(targets) > 5 else "")
        few = ", ".join(others[:8]) + (", ..." if len(others) > 8 else "")
        said.append(f"{shown}: judged by {metric}, of {few} (--metric NAME says otherwise)")
    connection.execute("create table main (target varchar, metric varchar)")
    connection.executemany("insert into main values (?, ?)", list(main.items()))


def _preference(metric: str) -> tuple[int, int, str]:
    plain = metric.lower()
    place = _PREFERRED.index(plain) if plain in _PREFERRED else len(_PREFERRED)
    return place, 0 if direction(metric) == "higher" else 1, metric


def _runs_query(alone: bool) -> str:
    """Constant columns are added after sorting, which then moves few.

    Args:
        alone: Whether all runs are of one source.
    """
    text, time = (f"getvariable('{name}')[{1 if alone else 'place'}]" for name in ("texts", "times"))
    values = {
        "train_key": "stage", "eval_key": f"substr(sha256({text}), 1, 32)", "kind": "'target'", "attempt": "1",
        "study": f"'{STUDY}'", "encoder_revision": "''", "encoder_fingerprint": "''", "data_hash": "''",
        "eval_hash": f"substr(sha256({text}), 1, 32)", "status": "if(finished, 'finished', 'failed')",
        "stop_reason": "if(finished, null, 'no_value')",
        "error": "if(finished, null, 'the imported table says that this run has failed')",
        "steps_done": "steps", "steps_planned": "steps", "examples": "0", "tokens": "0", "device": "''",
        "device_share": "0.0", "seconds": "0.0", "train_seconds": "0.0", "eval_seconds": "0.0", "started_at": time,
        "ended_at": time, "hostname": "''", "threads": "0", "micro_batch": "0", "precision": "''",
        "versions": "'{}'", "selection": "''",
        "source": f"{text} || if(drawn, '; drawn from mean and standard deviation', '')",
    }  # fmt: skip
    own = {"stage", *CELL}
    types = sql_columns("runs")
    columns = ", ".join(
        f'({name if name in own else values.get(name, "null")})::{types[name]} as "{name}"' for name in types
    )
    cell = ", ".join(CELL)
    origin = "join origins using (stage) join origin_sets using (sources)"
    return f"""
    select {columns} from (
        select stage, {cell}, steps, finished, drawn{"" if alone else ", place"} from (
            select stage, {cell}, max(step) as steps, bool_or(value is not null) as finished, bool_or(drawn) as drawn
            from facts group by all
        ) {"" if alone else origin} order by stage
    )
    """


def _scores_query(at_once: bool) -> str:
    """All scores.

    Args:
        at_once: Whether none has another step than the others.
    """
    types = sql_columns("scores")
    values = {
        "attempt": "1", "study": f"'{STUDY}'", "kind": "'target'", "share": "if(last > 0, step / last, 1.0)",
        "is_main": "metric = judged", "is_final": "step = last_here",
    }  # fmt: skip
    last = "max(step) over (partition by stage)"
    last_here = "max(step) over (partition by stage, split, language, facts.metric)"
    columns = ", ".join(f'({values.get(name, name)})::{types[name]} as "{name}"' for name in types)
    order = "target, target_fraction, intermediate, intermediate_fraction, seed, stage, step, split, language, metric"
    return f"""
    select {columns} from (
        select facts.* exclude (failed, drawn, stands_in, hyperparameters, encoder),
            coalesce(main.metric, '') as judged,
            {"step" if at_once else last} as last, {"step" if at_once else last_here} as last_here
        from facts left join main using (target) where value is not null order by {order}
    )
    """


def _last_query(at_once: bool) -> str:
    """The last main score of each run, split and language: what runs are compared by."""
    last = "" if at_once else "qualify step = max(step) over (partition by stage, split, language)"
    return f"""
    select stage, encoder, target, target_fraction, intermediate, intermediate_fraction, hyperparameters, seed, split,
        language, facts.metric, value
    from facts join main using (target)
    where value is not null and facts.metric = main.metric and split in ('dev', 'test') {last}
    """


def _create_shared(connection: duckdb.DuckDBPyConnection, last: str) -> None:
    """The languages that every run of a target has, and the largest fraction of an intermediate.

    In tables of their own: within the query of finals, all its rows would be held in memory.
    """
    place = "split, target, target_fraction"
    connection.execute(
        f"""
        create table shared as
        with counted as (
            select {place}, language, count(*) as scored from ({last}) group by all
        ), whole as (select {place}, count(distinct stage) as stages from ({last}) group by all)
        select counted.* exclude (scored) from counted join whole on counted.split = whole.split
            and counted.target = whole.target and counted.target_fraction is not distinct from whole.target_fraction
        where scored = stages
        """
    )
    connection.execute(
        f"create table largest as select max(intermediate_fraction) as fraction from ({last}) where split = 'test'"
    )


def _finals_query(at_once: bool) -> str:
    """As `results.finals` has it, of runs of which each was trained once and none is degenerate.

    Only languages that every run of the target has, and whether the arm stands at the largest fraction.
    """
    return f"""
    select target, target_fraction, intermediate, intermediate_fraction, hyperparameters,
        coalesce(intermediate_fraction = (select fraction from largest), true) as compared,
        seed, split, language, metric, value, encoder
    from ({_last_query(at_once)}) last semi join shared on last.split = shared.split and last.target = shared.target
        and last.language = shared.language and last.target_fraction is not distinct from shared.target_fraction
    order by split, target, target_fraction nulls last, intermediate <> 'none', intermediate,
        intermediate_fraction nulls first, hyperparameters, seed, language
    """


_SEVERAL_ENCODERS = f"""
select 1 from ({_last_query(True)}) having count(distinct encoder) > 1
"""
_RUNS, _RUNS_OF_ONE = _runs_query(False), _runs_query(True)
_SCORES, _SCORES_AT_ONCE = _scores_query(False), _scores_query(True)
_FINALS, _FINALS_AT_ONCE = _finals_query(False), _finals_query(True)
