#!/bin/sh
# transformer-ranker's LogME: 500 columns of noise score far above 100 columns that hold the answer.
#
# A guess: the evidence of a linear model falls, or hardly changes, with columns that say nothing of the labels; that is
# what an evidence is for.
# What happens: of the terms log(alpha + beta s), one a column, the sum has one a singular value only, and there are at
# most as many of these as rows. Each column beyond the number of rows then adds log(alpha)/2 that nothing takes away.
# With 200 rows the score of pure noise is -1.1 up to 200 columns, 4.7 at 500 and 13.8 at 1,000; labels that can be
# read off 100 columns score -.77. So with few labelled rows the wider encoder wins, whatever it knows: 768
# columns against 1,024 at a few hundred rows are the usual case of choosing an encoder or an intermediate task.
# (hf-dataset-selector 0.2.1 has the same sum.)
# What to do: more rows than columns, or the evidence in full.
#
# Versions: transformer-ranker 0.2.0, torch 2.13.0 (CPU), transformers 5.24.0, datasets 5.2.0; Python 3.11.
# Output seen (200 rows, two classes):
#   100 columns of noise: -1.07
#   200 columns of noise: -1.08
#   500 columns of noise: 4.67
#   1000 columns of noise: 13.83
#   100 columns, every one of which tells the classes apart: -0.77
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check transformer-ranker==0.2.0 torch==2.13.0 \
  transformers==5.24.0 datasets==5.2.0 numpy==2.4.6

HF_HUB_OFFLINE=1 "$folder/env/bin/python" - <<'PYTHON'
import sys

import torch
from transformer_ranker.estimators.logme import LogME

generator = torch.Generator().manual_seed(0)
labels = torch.arange(200) % 2
scores = {}
for columns in (100, 200, 500, 1000):
    scores[columns] = LogME().fit(torch.randn(200, columns, generator=generator), labels)
    print(f"{columns} columns of noise: {scores[columns]:.2f}")
telling = torch.randn(200, 100, generator=generator) + (2 * labels[:, None] - 1)
best = LogME().fit(telling, labels)
print(f"100 columns, every one of which tells the classes apart: {best:.2f}")
sys.exit(not (scores[100] < best < scores[500] < scores[1000] and abs(scores[200] - scores[100]) < 0.2))
PYTHON
