#!/bin/sh
# pytrec_eval: scores are kept in 32 bits, so documents whose scores differ are ties, and their names decide.
#
# A guess: scores are Python floats, so 0.90000002 is above 0.90000001.
# What happens: both are one number in 32 bits; among equal scores the name that sorts last comes first ("d2" before
# "d1"). The same with whole numbers above 16,777,216 (ids, times) and with probabilities near 1. A name is never random:
# if relevant documents are named first, every such tie costs a rank.
# What to do: give the ranks as scores (`-rank`), after you broke ties yourself.
#
# Versions: pytrec-eval-terrier 0.5.11, numpy 2.4.6; Python 3.11.
# Output seen:
#   relevant 0.90000002, other 0.90000001: reciprocal rank 0.5
#   relevant 20000001, other 20000000: reciprocal rank 0.5
#   relevant 0.99999999, other 0.99999998: reciprocal rank 0.5
#   relevant 0.9, other 0.8: reciprocal rank 1.0
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check pytrec-eval-terrier==0.5.11 numpy==2.4.6

"$folder/env/bin/python" - <<'PYTHON'
import pytrec_eval

evaluator = pytrec_eval.RelevanceEvaluator({"q": {"d1": 1}}, {"recip_rank"})
found = []
for relevant, other in ((0.90000002, 0.90000001), (20000001, 20000000), (0.99999999, 0.99999998), (0.9, 0.8)):
    found.append(evaluator.evaluate({"q": {"d1": relevant, "d2": other}})["q"]["recip_rank"])
    print(f"relevant {relevant}, other {other}: reciprocal rank {found[-1]}")

same = found == [0.5, 0.5, 0.5, 1.0]

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
