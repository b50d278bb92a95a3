#!/bin/sh
# statsmodels: a missing p-value changes the adjustment of the others, and may itself be "rejected".
#
# A guess: `multipletests` leaves a missing p-value (nan) out of the family, as R's `p.adjust` documents, or raises.
# What happens: Holm counts it as a test, so the others are adjusted for three tests and not for two, and marks the
# missing one as rejected. Benjamini-Hochberg returns nan for every adjusted p-value and still rejects two.
# What to do: leave missing p-values out before the call.
#
# Versions: statsmodels 0.15.0, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1; Python 3.11.
# Output seen:
#   holm   with nan  p = [0.01, 0.02, nan]: adjusted [0.03, 0.04, nan], rejected [True, True, True]
#   holm   without   p = [0.01, 0.02]: adjusted [0.02, 0.02], rejected [True, True]
#   fdr_bh with nan  p = [0.01, 0.02, nan]: adjusted [nan, nan, nan], rejected [True, True, False]
#   fdr_bh without   p = [0.01, 0.02]: adjusted [0.02, 0.02], rejected [True, True]
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1

"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
from statsmodels.stats.multitest import multipletests

found = {}
for method in ("holm", "fdr_bh"):
    for what, p in (("with nan", [0.01, 0.02, np.nan]), ("without", [0.01, 0.02])):
        rejected, adjusted = multipletests(p, alpha=0.05, method=method)[:2]
        found[method, what] = rejected.tolist(), np.round(adjusted, 4).tolist()
        print(f"{method:7}{what:9} p = {p}: adjusted {found[method, what][1]}, rejected {found[method, what][0]}")

same = (
    found["holm", "without"] == ([True, True], [0.02, 0.02])
    and found["holm", "with nan"][0] == [True, True, True]
    and found["holm", "with nan"][1][:2] == [0.03, 0.04]
    and found["fdr_bh", "with nan"][0] == [True, True, False]
    and np.isnan(found["fdr_bh", "with nan"][1]).all()
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
