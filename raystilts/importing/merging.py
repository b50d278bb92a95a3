"""One more source among those that were imported: what is new, equal, different, and gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

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
        dropped = old.superseded(source, replace=replace)
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
                n.file, n.row, n.place, n.value, n.intermediate, n.target, n.seed, n.language, n.split, n.metric,
                coalesce(k.baseline, k.intermediate) as k_arm, coalesce(n.baseline, n.intermediate) as arm
            from kept k join new_rows n on {joined}
            where k.value is distinct from n.value and not (abs(k.value - n.value) <= {_EQUAL})
                or (k.value is null) <> (n.value is null)
            """
        )
        if not replace:
            _refuse(connection)
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
        stale = sorted(old.of_file(source) - dropped)
        (left,) = connection.execute(
            f"select count(*) from kept k where {_in('k.source', stale)} "
            f"and not exists (from new_rows n where {joined})"
        ).fetchall()[0]
        left_sources = {row[0] for row in connection.execute("select distinct source from kept").fetchall()}
    sources = {key: one for key, one in old.sources.items() if key in left_sources} | {source.key: source}
    before, after = _told(old.sources), _told(sources)
    changed = before != after or bool(counts[0] or counts[2] or counts[3]) or merged.num_rows != old.rows.num_rows
    state = State(merged.cast(SCHEMA), sources, old.settings)
    return Merged(state, counts[0], counts[1], counts[2], counts[3], int(left), changed)


def _on(a: str, b: str) -> str:
    return " and ".join(f'{a}."{name}" is not distinct from {b}."{name}"' for name in KEY)


def _in(column: str, keys: list[str]) -> str:
    return f"{column} in ({', '.join(repr(key) for key in keys)})" if keys else "false"


def _told(sources: Mapping[str, Source]) -> dict[str, tuple[str, str, str, str | None]]:
    """What of sources is no record of how and when they were imported."""
    return {key: (one.path, one.digest, one.where, one.baseline) for key, one in sources.items()}


def _refuse(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(f"from clashes order by file, row, place limit {_SHOWN}").fetchall()
    if not found:
        return
    (number,) = connection.execute("select count(*) from clashes").fetchall()[0]
    lines = []
    for _, *there, file, row, place, value, arm, target, seed, language, split, metric, k_arm, own in found:
        run = f"{arm} -> {target}, seed {seed}, {language}, {split} {metric}"
        of, of_there = ("", "") if own == k_arm else (f" of {own}", f" of {k_arm}")
        lines.append(f"{run}: {_score([file, row, place, value], of)}, but {_score(there, of_there)} is there")
    more = f" and {number - len(found)} more" if number > len(found) else ""
    raise UserError(
        f"{'; '.join(lines)}{more}. --replace takes the new values; runs or scores of their own are told apart by "
        "--set seed=N, --set language=..., --set split=..., --set metric=..."
    )


def _score(found: Sequence[Any], arm: str) -> str:
    """A score by file, row, column and value; `arm` says whose it is."""
    file, row, place, value = found
    return f"{_number(value)}{arm} ({file} row {row}{f', column {place}' if place else ''})"


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:.6g}"


def refuse_two_values(rows: pa.Table) -> None:
    """Looks at what became of one name: two values of one run, of which one would count in silence.

    Raises:
        UserError: There are such.
    """
    key = ", ".join(f'"{name}"' for name in KEY)
    on = " and ".join(f'r."{name}" is not distinct from d."{name}"' for name in KEY)
    with duckdb.connect() as connection:
        if rows.num_rows < SMALL:
            connection.execute("set threads = 1")
        connection.register("rows", rows)
        found = connection.execute(
            f"""
            with double as (
                select {key} from rows group by all
                having max(value) - min(value) > {_EQUAL} or count(value) between 1 and count(*) - 1
            ), runs as (
                select {", ".join(f'r."{name}"' for name in KEY)}, list(
                    {{a: r.file, b: r.row, c: r.place, d: r.value, e: coalesce(r.baseline, r.intermediate)}}
                    order by r.file, r.row, r.place, r.value
                ) as scores
                from rows r join double d on {on} group by all
            )
            select intermediate, target, seed, language, split, metric, scores, count(*) over ()
            from runs order by all limit 1
            """
        ).fetchone()
    if found is None:
        return
    arm, target, seed, language, split, metric, scores, number = found
    named = len({one["e"] for one in scores}) > 1
    shown = [_score([one[name] for name in "abcd"], f" of {one['e']}" if named else "") for one in scores]
    raise UserError(
        f"{arm} -> {target}, seed {seed}, {language}, {split} {metric}: {' and '.join(shown[:_SHOWN])} are of one run "
        f"now that names are one ({number} such runs). Give --same-name with the table whose values hold, and "
        "--replace; or leave rows out with --where"
    )


class _Cell(NamedTuple):
    """An arm of a target in a source, by the name that the source has for it."""

    source: str
    encoder: str
    target: str
    arm: str

    @property
    def place(self) -> tuple[str, str]:
        return self.encoder, self.target


def with_one_baseline(
    old: pa.Table, new: pa.Table, sources: Mapping[str, Source], names: Collection[str], said: list[str]
) -> tuple[pa.Table, pa.Table]:
    """Rows with the intermediate `none` where they are of a baseline, and with their own name elsewhere.

    A table has the baseline that its own import named, or rows of none. One that has neither takes those that other
    imports named, on targets without another baseline: a table in which `mnli` is an arm beside its baseline keeps it
    when another table is measured against `mnli`.

    Args:
        old: Rows that are there and stay.
        names: Intermediates that stand for none by an import.
        said: What was concluded is added to it.

    Raises:
        UserError: An intermediate is the baseline and an arm of one target, or a target has two baselines.
    """
    rows = pa.concat_tables([old, new])
    if not names and rows["baseline"].null_count == rows.num_rows:
        return old, new
    place = list(_Cell._fields)
    arms = pc.coalesce(rows["baseline"], rows["intermediate"])
    frame = rows.select(place[:3]).append_column("arm", arms).to_pandas(categories=place)
    number = frame.groupby(place, observed=True, sort=False).ngroup()
    cells = [_Cell(*row) for row in frame[~number.duplicated()].itertuples(index=False, name=None)]
    taken = _baselines(cells, sources, names, said)
    hidden = pa.array([cell in taken and cell.arm != "none" for cell in cells], pa.bool_()).take(pa.array(number))
    fraction = pc.if_else(pc.is_valid(rows["baseline"]), rows["baseline_fraction"], rows["intermediate_fraction"])
    nothing = pa.scalar(None, pa.float64())
    values = {
        "intermediate": pc.if_else(hidden, "none", arms),
        "intermediate_fraction": pc.if_else(hidden, nothing, fraction),
        "baseline": pc.if_else(hidden, arms, pa.scalar(None, pa.string())),
        "baseline_fraction": pc.if_else(hidden, fraction, nothing),
    }
    for name, value in values.items():
        rows = rows.set_column(rows.schema.get_field_index(name), SCHEMA.field(name), value)
    return rows.slice(0, old.num_rows), rows.slice(old.num_rows)


def _baselines(
    cells: Sequence[_Cell], sources: Mapping[str, Source], names: Collection[str], said: list[str]
) -> set[_Cell]:
    """The cells that are of a baseline."""
    own = {key: source.baseline for key, source in sources.items() if source.baseline}
    taken = {cell for cell in cells if cell.arm in ("none", own.get(cell.source))}
    settled = own.keys() | {cell.source for cell in cells if cell.arm == "none"}
    baselines, arms, open_ = (defaultdict[tuple[str, str], set[_Cell]](set) for _ in range(3))
    for cell in cells:
        named = cell.source not in settled and cell.arm in names
        (baselines if cell in taken else open_ if named else arms)[cell.place].add(cell)
    for place, mine in open_.items():
        there = {cell.arm for cell in baselines[place]}
        free = {cell for cell in mine if cell.arm not in {arm.arm for arm in arms[place]}}
        if not there and len({cell.arm for cell in free}) > 1:
            raise UserError(_two_at_once(free, sources))
        now = {cell for cell in free if not there} | {cell for cell in mine if cell.arm in there}
        taken |= now
        baselines[place] |= now
        arms[place] |= mine - now
    for place, mine in baselines.items():
        _refuse_both(mine, arms[place], sources)
        there = {cell.arm for cell in mine}
        if len(there) > 1:
            said.append(f"target {place[1]}: {' and '.join(sorted(there))} all stand for none: their runs are one arm")
    _say_arms([cell for cell in cells if cell not in taken and cell.arm in names], sources, said)
    return taken


def _two_at_once(cells: Collection[_Cell], sources: Mapping[str, Source]) -> str:
    first = min(cells)
    found = " and ".join(f"{cell.arm} ({sources[cell.source].name})" for cell in sorted(cells, key=lambda c: c.arm)[:2])
    return (
        f"target {first.target}: {found} stand for none in other tables, and cannot both be none here. Import "
        f"{sources[first.source].name} again with the --baseline that is its own"
    )


def _refuse_both(baselines: Collection[_Cell], arms: Collection[_Cell], sources: Mapping[str, Source]) -> None:
    """An arm that another table of the same target has for its baseline: means and gains would mix the two."""
    of_arm = {cell.arm: cell for cell in sorted(arms)}
    for cell in sorted(baselines):
        if cell.arm not in of_arm:
            continue
        mine, other = sources[cell.source].name, sources[of_arm[cell.arm].source]
        why, way = "runs of none", f"{mine} without --baseline"
        if other.baseline:
            why = f"--baseline {other.baseline}"
            way = f"{other.name} again without --baseline first: it then takes {cell.arm} for none too"
        raise UserError(
            f"target {cell.target}: {cell.arm} is none in {mine} (--baseline {cell.arm}), and an arm beside none in "
            f"{other.name} ({why}). Import {way}; or import each into a folder of its own"
        )


def _say_arms(cells: Sequence[_Cell], sources: Mapping[str, Source], said: list[str]) -> None:
    for arm in sorted({cell.arm for cell in cells}):
        files = sorted({sources[cell.source].name for cell in cells if cell.arm == arm})
        shown = ", ".join(files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
        said.append(f"intermediate {arm!r}, none in another table, stays an arm in {shown}, beside another baseline")
