"""SQL over Parquet files of this and older schema versions."""

from __future__ import annotations

from raystilts.results.schema import Table, defaults_of, sql_columns

#: Columns of `finals`, see `final_scores`.
FINAL_COLUMNS = """
stage varchar, attempt bigint, target varchar, target_fraction double, split varchar, metric varchar,
languages varchar, mean double, numbers double[]
"""


def from_files(paths: list[str], *, by_name: bool) -> list[str]:
    """A source of rows over Parquet files; none without files.

    Args:
        by_name: The files may have different columns (which takes longer).
    """
    if not paths:
        return []
    shown = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return [f"from read_parquet([{shown}], union_by_name = {str(by_name).lower()})"]


def rows_of(table: Table, sources: list[str]) -> str:
    """A query for all rows of some sources, with the columns of this schema version."""
    columns, defaults = sql_columns(table), defaults_of(table)
    empty = ", ".join(f'null::{kind} as "{name}"' for name, kind in columns.items())
    wanted = [
        f"""coalesce("{name}", '{defaults[name]}') as "{name}\"""" if defaults.get(name) else f'"{name}"'
        for name in columns
    ]
    rows = " union all by name ".join(f"({source})" for source in [f"select {empty} where false", *sources])
    return f"select {', '.join(wanted)} from ({rows})"


def final_scores(source: str) -> str:
    """A query for rows of `finals` from those of a source of `scores`.

    One row for each attempt, scored task, split and metric: its languages, joined by commas, their final main
    scores, and the mean of these, so that questions about means need not read them all.
    """
    return f"""
    select * exclude (numbers), list_avg(numbers) as mean, numbers
    from (
        select stage, attempt, target, target_fraction, split, metric,
            string_agg(language, ',' order by language) as languages, list(value order by language) as numbers
        from ({source}) where is_final and is_main group by all
    )
    """
