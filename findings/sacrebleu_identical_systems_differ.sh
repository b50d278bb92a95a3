#!/bin/sh
# sacrebleu: a system that says the same as the baseline is "significantly different", with p = 0.001.
#
# A guess: p = 1 for the same output twice; a p-value near 1 where one sentence of twenty differs.
# What happens: only resamplings with a difference above the real one count against it, and one that is as large does
# not. With no difference none is above, so p = 1 / (samples + 1), the smallest there is, in both tests. By approximate
# randomisation one changed sentence is enough: a swap only turns the sign, so p = 0.001 where an exact test says 1.
# What to do: compare the outputs first; leave out metrics that do not change; count ties yourself.
#
# Versions: sacrebleu 2.6.0, numpy 2.4.6; Python 3.11.
# Output seen:
#   same output         paired bootstrap           BLEU 46.0 and 46.0, p = 0.001  chrF2 73.0 and 73.0, p = 0.001
#   same output         approximate randomisation  BLEU 46.0 and 46.0, p = 0.001  chrF2 73.0 and 73.0, p = 0.001
#   1 of 20 sentences   paired bootstrap           BLEU 46.0 and 49.6, p = 0.142  chrF2 73.0 and 74.4, p = 0.158
#   1 of 20 sentences   approximate randomisation  BLEU 46.0 and 49.6, p = 0.001  chrF2 73.0 and 74.4, p = 0.001
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0 numpy==2.4.6

"$folder/env/bin/python" - <<'PYTHON'
import logging

from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

logging.disable(logging.CRITICAL)
references = ["the cat sat on the mat today", "a dog barked at the old man", "we went to the market early",
              "rain fell all night long here"] * 5
baseline = ["the cat sat on a mat today", "a dog barks at the old man", "we go to the market early",
            "rain fell all the night long"] * 5
one_changed = [references[0], *baseline[1:]]

p_values = {}
for what, system in (("same output", baseline), ("1 of 20 sentences", one_changed)):
    for test, name in (("bs", "paired bootstrap"), ("ar", "approximate randomisation")):
        metrics = {"BLEU": BLEU(references=[references]), "chrF2": CHRF(references=[references])}
        systems = [("baseline", baseline), ("system", list(system))]
        scores = PairedTest(systems, metrics, None, test_type=test, n_samples=1000)()[1]
        shown = []
        for metric in metrics:
            first, second = scores[metric]
            p_values[what, test, metric] = second.p_value
            shown.append(f"{metric} {first.score:.1f} and {second.score:.1f}, p = {second.p_value:.3f}")
        print(f"{what:20}{name:27}{'  '.join(shown)}")

same = all(
    (p < 0.002) if what == "same output" or test == "ar" else (p > 0.05)
    for (what, test, _), p in p_values.items()
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
