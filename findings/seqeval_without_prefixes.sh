#!/bin/sh
# seqeval: with tags that have no prefix, ORG is never scored, for its name begins with O.
#
# A guess: without B- and I- a run of equal tags is one entity of that type, whatever its name (there is a warning that
# such tags are not of NER; it does not say what is counted).
# What happens: the first letter is read as the prefix. ORG is outside, so finding none of them costs nothing; SPORT and
# EVENT are read as S and E, so that every token is an entity; PER and LOC are runs, named ER and OC.
# What to do: add B- and I- yourself, or score tokens; look at the names in the report.
#
# Versions: seqeval 1.2.2, numpy 2.4.6, scikit-learn 1.9.1; Python 3.11.
# Output seen:
#   PER    entities [('ER', 0, 1)]                     F1 where none is found 0.0, where all are 1.0
#   LOC    entities [('OC', 0, 1)]                     F1 where none is found 0.0, where all are 1.0
#   ORG    entities []                                 F1 where none is found 0.0, where all are 0.0
#   SPORT  entities [('PORT', 0, 0), ('PORT', 1, 1)]   F1 where none is found 0.0, where all are 1.0
#   EVENT  entities [('VENT', 0, 0), ('VENT', 1, 1)]   F1 where none is found 0.0, where all are 1.0
#   PER found and every ORG missed: F1 1.0
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check seqeval==1.2.2 numpy==2.4.6 scikit-learn==1.9.1

"$folder/env/bin/python" - <<'PYTHON'
import warnings

from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities

warnings.filterwarnings("ignore")
found = {}
for tag in ("PER", "LOC", "ORG", "SPORT", "EVENT"):
    true = [[tag, tag, "O"]]
    found[tag] = get_entities(true), float(f1_score(true, [["O"] * 3])), float(f1_score(true, true))
    entities, none, everything = found[tag]
    print(f"{tag:6} entities {entities!s:34} F1 where none is found {none}, where all are {everything}")
missed = float(f1_score([["PER", "O", "ORG", "ORG", "O", "ORG"]], [["PER", "O", "O", "O", "O", "O"]]))
print(f"PER found and every ORG missed: F1 {missed}")

same = (
    found["ORG"] == ([], 0, 0) and missed == 1
    and [len(found[tag][0]) for tag in ("PER", "LOC", "SPORT", "EVENT")] == [1, 1, 2, 2]
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
