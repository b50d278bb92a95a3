#!/bin/sh
# pandas and datasets: in a CSV, the language code `nan` (Min Nan, Southern Min) is read as a missing value.
#
# A guess: a column of language codes is text, so it is read as it stands: ["deu", "nan", "yue"].
# What happens: pandas.read_csv, and load_dataset("csv") of datasets, which reads with pandas, take `nan` for a missing
# value. `groupby("language")` then has one language fewer, and says nothing. polars, DuckDB and pyarrow keep it.
# What to do: keep_default_na=False with na_values=[""], which both take.
#
# Versions: pandas 3.1.1, datasets 5.2.0, polars 2.1.0, duckdb 2.0.1, pyarrow 26.0.1; Python 3.11.
# Output seen:
#   pandas   ['deu', None, 'yue']; languages in groupby: ['deu', 'yue']
#   datasets ['deu', None, 'yue']
#   polars   ['deu', 'nan', 'yue']
#   duckdb   ['deu', 'nan', 'yue']
#   pyarrow  ['deu', 'nan', 'yue']
#   with keep_default_na=False: pandas ['deu', 'nan', 'yue'], datasets ['deu', 'nan', 'yue']
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 datasets==5.2.0 polars==2.1.0 \
  duckdb==2.0.1 pyarrow==26.0.1

HF_HOME="$folder/hf" HF_HUB_OFFLINE=1 "$folder/env/bin/python" - "$folder" <<'PYTHON'
import sys

import datasets
import duckdb
import pandas as pd
import polars as pl
import pyarrow.csv as pc

folder = sys.argv[1]
path = f"{folder}/scores.csv"
with open(path, "w") as file:
    file.write("language,score\ndeu,0.61\nnan,0.48\nyue,0.55\n")
datasets.disable_progress_bars()


def of_pandas(**options):
    return [None if pd.isna(code) else code for code in pd.read_csv(path, **options)["language"]]


def of_datasets(**options):
    return list(datasets.load_dataset("csv", data_files=path, split="train", **options)["language"])


keep = {"keep_default_na": False, "na_values": [""]}
grouped = sorted(pd.read_csv(path).groupby("language")["score"].mean().index)
found = {
    "pandas": of_pandas(),
    "datasets": of_datasets(),
    "polars": pl.read_csv(path)["language"].to_list(),
    "duckdb": [row[0] for row in duckdb.sql(f"SELECT language FROM '{path}'").fetchall()],
    "pyarrow": pc.read_csv(path)["language"].to_pylist(),
}
print(f"pandas   {found['pandas']}; languages in groupby: {grouped}")
for name in ("datasets", "polars", "duckdb", "pyarrow"):
    print(f"{name:8} {found[name]}")
kept = of_pandas(**keep), of_datasets(**keep)
print(f"with keep_default_na=False: pandas {kept[0]}, datasets {kept[1]}")

whole, lost = ["deu", "nan", "yue"], ["deu", None, "yue"]
same = (
    found == {"pandas": lost, "datasets": lost, "polars": whole, "duckdb": whole, "pyarrow": whole}
    and grouped == ["deu", "yue"]
    and kept == (whole, whole)
)
print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
