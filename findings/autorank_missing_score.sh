#!/bin/sh
# autorank: one missing score makes the report say that a difference is significant.
#
# A guess: a missing score is an error, or its row is left out.
# What happens: the p-value becomes nan, and the report rejects the null hypothesis "(p=nan)", for two models and for
# three. Without the incomplete row the same test finds nothing.
# What to do: check for missing scores first; look at `result.pvalue`, not only at the report.
#
# Versions: autorank 1.3.0, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1; Python 3.11.
# Output seen:
#   2 models, whole         ttest     p = 0.152: we failed to reject the null hypothesis
#   2 models, one nan       ttest     p = nan: we reject the null hypothesis
#   2 models, row left out  ttest     p = 0.200: we failed to reject the null hypothesis
#   3 models, whole         anova     p = 0.476: we failed to reject the null hypothesis
#   3 models, one nan       friedman  p = nan: we reject the null hypothesis
#   3 models, row left out  anova     p = 0.511: we failed to reject the null hypothesis
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check autorank==1.3.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1

"$folder/env/bin/python" - <<'PYTHON'
import contextlib
import io
import re
import warnings

import autorank
import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
rng = np.random.default_rng(0)
base = rng.normal(70, 5, 20)
whole = pd.DataFrame({name: base + rng.normal(0, spread, 20) for name, spread in (("a", 0), ("b", 3), ("c", 3))})
gap = whole.copy()
gap.loc[3, "b"] = np.nan

found = {}
for models in (["a", "b"], ["a", "b", "c"]):
    for what, scores in (("whole", whole), ("one nan", gap), ("row left out", gap.dropna())):
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            result = autorank.autorank(scores[models], alpha=0.05, verbose=False)
            autorank.create_report(result)
        said = re.search(r"We (reject|failed to reject) the null hypothesis \(p=\S+\) of the", text.getvalue())
        found[len(models), what] = said[1]
        test = f"{len(models)} models, {what:13} {result.omnibus:9} p = {result.pvalue:.3f}"
        print(f"{test}: we {said[1]} the null hypothesis")

same = all(found[n, what] == ("reject" if what == "one nan" else "failed to reject") for n, what in found)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
