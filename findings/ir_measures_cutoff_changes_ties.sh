#!/bin/sh
# ir-measures: RR and RR@10 of one run with three documents are .28 and .50.
#
# A guess: a cutoff beyond the length of the ranking changes nothing, and one call ranks ties in one way.
# What happens: the two measures go to two programs. `RR` is of trec_eval, which puts documents with equal scores in the
# order of their names, from the last to the first. `RR@10` is of another one, which keeps the order of the run.
# What to do: break ties yourself, by a score that falls with the rank, before any measure is computed.
#
# Versions: ir-measures 0.4.3, pytrec-eval-terrier 0.5.11, ir-datasets 0.6.3, numpy 2.4.6; Python 3.11.
# Output seen:
#   scores with ties  RR .417  RR@10 .750  P@1 .000
#   ties broken       RR .750  RR@10 .750  P@1 .500
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check ir-measures==0.4.3 pytrec-eval-terrier==0.5.11 ir-datasets==0.6.3 numpy==2.4.6

"$folder/env/bin/python" - <<'PYTHON'
import ir_measures
from ir_measures import RR, P, Qrel, ScoredDoc

relevant = [Qrel("q1", "d1", 1), Qrel("q2", "d2", 1)]
ranking = ("d1", "d2", "d3")
found = {}
for what, step in (("scores with ties", 0.0), ("ties broken", 0.01)):
    run = [ScoredDoc(query, doc, 0.5 - step * rank) for query in ("q1", "q2") for rank, doc in enumerate(ranking)]
    scores = ir_measures.calc_aggregate([RR, RR @ 10, P @ 1], relevant, run)
    found[what] = {str(measure): value for measure, value in scores.items()}
    shown = "  ".join(f"{name} {found[what][name]:.3f}".replace("0.", ".", 1) for name in ("RR", "RR@10", "P@1"))
    print(f"{what:18}{shown}")

tied, broken = found["scores with ties"], found["ties broken"]
same = (
    abs(tied["RR"] - 5 / 12) < 1e-9 and abs(tied["RR@10"] - 0.75) < 1e-9 and tied["P@1"] == 0
    and abs(broken["RR"] - 0.75) < 1e-9 and abs(broken["RR@10"] - 0.75) < 1e-9
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
