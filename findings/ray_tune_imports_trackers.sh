#!/bin/sh
# Ray Tune with one callback of one's own: it imports every experiment tracker that is installed, though none is used.
#
# A guess: a callback that does nothing changes nothing. W&B and MLflow are imported by who asks for their callbacks, and
# with RAY_USAGE_STATS_ENABLED=0 nothing is done for usage statistics.
# What happens: where the list of callbacks is not empty, Tune counts which of its built-in kinds are in it, for usage
# statistics, and imports W&B, MLflow, Comet and Aim to compare with. It does so with statistics switched off, before
# the first worker is started: seconds a run, and what the trackers do on import (threads, settings, warnings). Without
# a callback it imports none of them.
# What to do: keep trackers out of the environment of a driver that does not use them.
#
# Versions: ray 2.60.0, wandb 0.31.0, mlflow-skinny 3.17.2; Python 3.11.
# Output seen:
#   without a callback: none
#   with one that does nothing: mlflow, wandb
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
  "ray[tune]==2.60.0" wandb==0.31.0 mlflow-skinny==3.17.2

cat >"$folder/callback.py" <<'PYTHON'
import sys

import ray
from ray import tune

TRACKERS = ("mlflow", "wandb")


class Nothing(tune.Callback):
    pass


def trial(config):
    tune.report({"score": 1.0})


def imported(callbacks):
    config = tune.RunConfig(verbose=0, storage_path=sys.argv[1], callbacks=callbacks)
    tune.Tuner(trial, run_config=config).fit()
    return ", ".join(name for name in TRACKERS if name in sys.modules) or "none"


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
found = imported([]), imported([Nothing()])
print("without a callback:", found[0])
print("with one that does nothing:", found[1])
assert found == ("none", "mlflow, wandb")
PYTHON
RAY_USAGE_STATS_ENABLED=0 "$folder/env/bin/python" "$folder/callback.py" "$folder/results" 2>"$folder/errors" || {
  tail -n 5 "$folder/errors" >&2
  exit 1
}
