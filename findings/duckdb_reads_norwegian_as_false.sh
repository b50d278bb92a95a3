#!/bin/sh
# DuckDB: a CSV file of Norwegian results has the language `false`.
#
# A guess: `no` is a trap of YAML; in a CSV file it is text, for booleans are true and false.
# What happens: where every row of the column says `no` (one file for each language), its type is found to be BOOLEAN
# and the value False (t, f and yes as well, n and y not). With another language in the file it is text, so the files
# of one study have different types, and cast to text it is `false`, which joins with no language. polars and pyarrow
# read text.
# What to do: `read_csv(..., types={'language': 'VARCHAR'})`, or Parquet.
#
# Versions: duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1; Python 3.11.
# Output seen:
#   ('no', 'no'): DuckDB BOOLEAN [False, False], polars ['no', 'no'], pyarrow ['no', 'no']; 0 of 2 rows join with a table of languages
#   ('no', 'fr'): DuckDB VARCHAR ['no', 'fr'], polars ['no', 'fr'], pyarrow ['no', 'fr']; 2 of 2 rows join with a table of languages
#   ('fr', 'fr'): DuckDB VARCHAR ['fr', 'fr'], polars ['fr', 'fr'], pyarrow ['fr', 'fr']; 2 of 2 rows join with a table of languages
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1

"$folder/env/bin/python" - <<'PYTHON'
import tempfile
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.csv

found = {}
with tempfile.TemporaryDirectory() as folder:
    for languages in (("no", "no"), ("no", "fr"), ("fr", "fr")):
        file = str(Path(folder) / f"{'_'.join(languages)}.csv")
        Path(file).write_text("language,f1\n" + "".join(f"{language},0.5\n" for language in languages))
        types = dict((row[0], row[1]) for row in duckdb.sql(f"DESCRIBE FROM '{file}'").fetchall())
        read = [row[0] for row in duckdb.sql(f"SELECT language FROM '{file}'").fetchall()]
        others = [pl.read_csv(file)["language"].to_list(), pyarrow.csv.read_csv(file)["language"].to_pylist()]
        joined = duckdb.sql(
            f"SELECT count(*) FROM '{file}' r JOIN (VALUES ('no'), ('fr')) l(code) ON r.language::VARCHAR = l.code"
        ).fetchall()[0][0]
        found[languages] = types["language"], read, others, joined
        print(f"{languages}: DuckDB {types['language']} {read}, polars {others[0]}, pyarrow {others[1]}; "
              f"{joined} of 2 rows join with a table of languages")

same = (
    found["no", "no"] == ("BOOLEAN", [False, False], [["no", "no"]] * 2, 0)
    and found["no", "fr"] == ("VARCHAR", ["no", "fr"], [["no", "fr"]] * 2, 2)
    and found["fr", "fr"] == ("VARCHAR", ["fr", "fr"], [["fr", "fr"]] * 2, 2)
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
