#!/bin/sh
# evalica: in Bradley-Terry a model that never won gives all models one and the same score.
#
# A guess: its score goes towards 0 and the others keep their order (maximum likelihood puts it at minus infinity on
# the log scale, and the ratios of the others are well defined).
# What happens: after 100 iterations every model has 1e-06, without a warning; the ranking among the others is lost.
# Newman's method in the same package keeps it.
# What to do: look at `iterations` and at equal scores; leave such a model out, or use a prior.
#
# Versions: evalica 0.4.2, numpy 2.4.6, pandas 3.1.1; Python 3.11.
# Output seen:
#   bradley_terry A, B, C                 {'A': 3.31, 'B': 0.836, 'C': 0.361} after 9 iterations
#   newman        A, B, C                 {'A': 3.31, 'B': 0.837, 'C': 0.361} after 32 iterations
#   bradley_terry and D, which never won  {'A': 1e-06, 'B': 1e-06, 'C': 1e-06, 'D': 1e-06} after 100 iterations
#   newman        and D, which never won  {'A': 5.57, 'B': 1.41, 'C': 0.608, 'D': 1e-06} after 100 iterations
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check evalica==0.4.2 numpy==2.4.6 pandas==3.1.1

"$folder/env/bin/python" - <<'PYTHON'
import evalica
from evalica import Winner

games = []
for one, other, wins, losses in (("A", "B", 8, 2), ("A", "C", 9, 1), ("B", "C", 7, 3)):
    games += [(one, other, Winner.X)] * wins + [(one, other, Winner.Y)] * losses
never = games + [(one, "D", Winner.X) for one in "ABC" for _ in range(5)]

found = {}
for what, played in (("A, B, C", games), ("and D, which never won", never)):
    xs, ys, winners = zip(*played)
    for method in (evalica.bradley_terry, evalica.newman):
        result = method(xs, ys, winners)
        found[method.__name__, what] = result.scores.to_dict()
        shown = {name: float(f"{score:.3g}") for name, score in sorted(result.scores.to_dict().items())}
        print(f"{method.__name__:14}{what:23} {shown} after {result.iterations} iterations")

before, after = found["bradley_terry", "A, B, C"], found["bradley_terry", "and D, which never won"]
newman = found["newman", "and D, which never won"]
same = (
    before["A"] > 2 * before["B"] > 4 * before["C"] and len(set(after.values())) == 1
    and newman["A"] > newman["B"] > newman["C"] > newman["D"]
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
