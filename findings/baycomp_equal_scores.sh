#!/bin/sh
# baycomp: two models with the same scores are not even; the first is better with probability .7.
#
# A guess: without a region of practical equivalence (`rope=0`), equal scores on all data sets give .5 and .5.
# What happens: the Bayesian signed-rank test adds sampled weights; their sum is 1 but for the rounding of floats, and
# only that decides which side is above .5. The first model gets about .7, also when the two change places.
# What to do: compare the scores first; with a `rope` above 0 the answer is equivalence.
#
# Versions: baycomp 1.0.3, numpy 2.4.6, scipy 1.17.1, matplotlib 3.11.2; Python 3.11.
# Output seen (first better, second better; with a rope, equivalent between them):
#   5 data sets, equal scores, rope 0: probabilities [0.71, 0.29]
#   5 data sets, equal scores, rope 0.01: probabilities [0.0, 1.0, 0.0]
#   10 data sets, equal scores, rope 0: probabilities [0.68, 0.32]
#   10 data sets, equal scores, rope 0.01: probabilities [0.0, 1.0, 0.0]
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check baycomp==1.0.3 numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2

"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
from baycomp import SignedRankTest

found = {}
for tasks in (5, 10):
    scores = np.linspace(0.6, 0.9, tasks)
    for rope in (0, 0.01):
        answer = SignedRankTest.probs(scores, scores.copy(), rope=rope, nsamples=20000, random_state=0)
        found[tasks, rope] = [float(value) for value in np.round(answer, 2)]
        print(f"{tasks} data sets, equal scores, rope {rope}: probabilities "
              f"{found[tasks, rope]}")

same = all(
    found[tasks, 0][0] > 0.6 and found[tasks, 0][0] > found[tasks, 0][-1] and found[tasks, 0.01] == [0, 1, 0]
    for tasks in (5, 10)
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
