#!/bin/sh
# DuckDB and polars: in a median, a run that diverged (nan) counts as the best; polars disagrees with itself.
#
# A guess: an aggregate over a column with nan is nan, or leaves nan out, in the same way throughout one library.
# What happens: the median of .5, nan, .7 is .7 in DuckDB and polars, where nan is above all numbers: a failed run lifts
# it, and with two failures of three it is nan. pandas and pyarrow say .6. In polars `max` says .7, but `quantile(1)`,
# `rolling_max`, `top_k` and the last of `sort` say nan; pyarrow leaves nan out of median and maximum, and not of the mean.
# What to do: `WHERE isfinite(score)` or `fill_nan(None)` before any aggregate.
#
# Versions: duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1, pandas 3.1.1, numpy 2.4.6; Python 3.11.
# Output seen:
#   median   pandas 0.6  pyarrow 0.6  duckdb 0.7  polars 0.7
#   mean     pandas 0.6  pyarrow nan  duckdb nan  polars nan
#   largest  pandas 0.7  pyarrow 0.7  duckdb nan  polars 0.7
#   largest in polars by max 0.7, quantile nan, rolling_max nan, top_k nan, sort nan
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6

"$folder/env/bin/python" - <<'PYTHON'
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

scores = [0.5, float("nan"), 0.7]
table, frame, series = pa.table({"f1": scores}), pd.Series(scores), pl.Series("f1", scores)
asked = duckdb.from_arrow(table).aggregate("median(f1), avg(f1), max(f1)").fetchall()[0]
found = {
    "median": (frame.median(), pc.quantile(table["f1"], q=0.5)[0].as_py(), asked[0], series.median()),
    "mean": (frame.mean(), pc.mean(table["f1"]).as_py(), asked[1], series.mean()),
    "largest": (frame.max(), pc.max(table["f1"]).as_py(), asked[2], series.max()),
}
for what, values in found.items():
    named = zip(("pandas", "pyarrow", "duckdb", "polars"), values)
    print(f"{what:9}" + "  ".join(f"{library} {value:.1f}" for library, value in named))

ways = {
    "max": series.max(), "quantile": series.quantile(1.0), "rolling_max": series.rolling_max(3, min_samples=1)[-1],
    "top_k": series.top_k(1)[0], "sort": series.sort()[-1],
}
print("largest in polars by " + ", ".join(f"{way} {value:.1f}" for way, value in ways.items()))

shown = {what: [f"{value:.1f}" for value in values] for what, values in found.items()}
same = shown == {
    "median": ["0.6", "0.6", "0.7", "0.7"], "mean": ["0.6", "nan", "nan", "nan"], "largest": ["0.7", "0.7", "nan", "0.7"]
} and [f"{value:.1f}" for value in ways.values()] == ["0.7", "nan", "nan", "nan", "nan"]

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
