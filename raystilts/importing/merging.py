"""One more source among those that were imported: what is new, equal, different, and gone."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from raystilts.errors import UserError
from raystilts.importing.cleaning import KEY
from raystilts.importing.state import SCHEMA, SMALL, Source, State

#: Scores closer than this are the same: 57.3 % and .573.
_EQUAL = 1e-9
#: Whether a new and an old score are the same; both may be missing, of a run that has failed.
_SAME = f"coalesce(abs(n.value - o.value) <= {_EQUAL}, n.value is null and o.value is null)"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge.

    Attributes:
        state: All rows.
        new: Scores that were not there.
        equal: Scores that were.
        replaced: Scores that had another value.
        gone: Scores that are no longer there.
        kept: Scores of an earlier version of the same file that are no longer in it, and were kept.
        changed: Whether anything is different from before.
    """

    state: State
    new: int
    equal: int
    replaced: int
    gone: int
    kept: int
    changed: bool


def merge(old: State, rows: pa.Table, source: Source, *, replace: bool) -> Merged:
    """Adds the rows of a source, of which no two are of one score.

    A file read again (the same bytes) stands for what was read of it before: corrected options take effect. Of a file
    that has changed, rows that have vanished go only with `replace`.

    Raises:
        UserError: A score differs from one that is there, and is not to be replaced.
    """
    if not old.rows.num_rows:
        return Merged(State(rows, {source.key: source}, old.settings), rows.num_rows, 0, 0, 0, 0, True)
    with duckdb.connect() as connection:
        if old.rows.num_rows + rows.num_rows < SMALL:
            connection.execute("set threads = 1")
        connection.register("old_rows", old.rows)
        connection.register("new_rows", rows)
        same = [key for key, one in old.sources.items() if one.digest == source.digest]
        again = [key for key in same if old.sources[key].where == source.where]
        path = [key for key, one in old.sources.items() if (one.path, one.where) == (source.path, source.where)]
        dropped = {*again, *(path if replace else [])}
        connection.execute(
            f"""
            create table kept as select o.* from old_rows o where o.source not in (select unnest($dropped))
            and not exists (from new_rows n where {_in("o.source", same)} and n.file = o.file and n.row = o.row
                and n.place = o.place and o.row > 0)
            """,
            {"dropped": sorted(dropped) or [""]},
        )
        joined = " and ".join(f'k."{name}" is not distinct from n."{name}"' for name in KEY)
        connection.execute(
            f"""
            create table clashes as
            select k.rowid as place_of, k.file as k_file, k.row as k_row, k.place as k_place, k.value as k_value,
                n.file, n.row, n.place, n.value, n.intermediate, n.target, n.seed, n.language, n.split, n.metric
            from kept k join new_rows n on {joined}
            where k.value is distinct from n.value and not (abs(k.value - n.value) <= {_EQUAL})
                or (k.value is null) <> (n.value is null)
            """
        )
        if not replace:
            _refuse(connection, old)
        connection.execute("delete from kept where rowid in (select place_of from clashes)")
        names = ", ".join(f'"{name}"' for name in SCHEMA.names)
        merged = connection.sql(f"select {names} from kept union all select {names} from new_rows").to_arrow_table()
        key = ", ".join(f'"{name}"' for name in KEY)
        counts = connection.execute(
            f"""
            with o as (select {key}, max(value) as value from old_rows group by all),
                n as (select {key}, max(value) as value from new_rows group by all),
                k as (select distinct {key} from kept)
            select
                (select count(*) from n anti join o on {_on("n", "o")}),
                (select count(*) from n join o on {_on("n", "o")} where {_SAME}),
                (select count(*) from n join o on {_on("n", "o")} where not {_SAME}),
                (select count(*) from o where not exists (from n where {_on("n", "o")})
                    and not exists (from k where {_on("k", "o")}))
            """
        ).fetchall()[0]
        stale = [key for key in path if key not in dropped and old.sources[key].digest != source.digest]
        (left,) = connection.execute(
            f"select count(*) from kept k where {_in('k.source', stale)} "
            f"and not exists (from new_rows n where {joined})"
        ).fetchall()[0]
        left_sources = {row[0] for row in connection.execute("select distinct source from kept").fetchall()}
    sources = {key: one for key, one in old.sources.items() if key in left_sources} | {source.key: source}
    before = {key: (one.path, one.digest, one.where) for key, one in old.sources.items()}
    after = {key: (one.path, one.digest, one.where) for key, one in sources.items()}
    changed = before != after or bool(counts[0] or counts[2] or counts[3]) or merged.num_rows != old.rows.num_rows
    state = State(merged.cast(SCHEMA), sources, old.settings)
    return Merged(state, counts[0], counts[1], counts[2], counts[3], int(left), changed)


def _on(a: str, b: str) -> str:
    return " and ".join(f'{a}."{name}" is not distinct from {b}."{name}"' for name in KEY)


def _in(column: str, keys: list[str]) -> str:
    return f"{column} in ({', '.join(repr(key) for key in keys)})" if keys else "false"


def _refuse(connection: duckdb.DuckDBPyConnection, old: State) -> None:
    found = connection.execute(f"from clashes order by file, row, place limit {_SHOWN}").fetchall()
    if not found:
        return
    (number,) = connection.execute("select count(*) from clashes").fetchall()[0]
    lines = []
    for (
        _,
        k_file,
        k_row,
        k_place,
        k_value,
        file,
        row,
        place,
        value,
        arm,
        target,
        seed,
        language,
        split,
        metric,
    ) in found:
        run = f"{arm} -> {target}, seed {seed}, {language}, {split} {metric}"
        mine = f"{_number(value)} ({file} row {row}{f', column {place}' if place else ''})"
        there = f"{_number(k_value)} ({k_file} row {k_row}{f', column {k_place}' if k_place else ''})"
        lines.append(f"{run}: {mine}, but {there} is there")
    more = f" and {number - len(found)} more" if number > len(found) else ""
    raise UserError(
        f"{'; '.join(lines)}{more}. --replace takes the new values; runs or scores of their own are told apart by "
        "--set seed=N, --set language=..., --set split=..., --set metric=..."
    )


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:.6g}"
