#!/bin/sh
# optuna: the TPE sampler goes where trials fail, for it leaves failed trials out.
#
# A guess: a sampler that is told FAIL for every large learning rate proposes fewer of them, or at least no more than
# random search does.
# What happens: where the upper half of the range diverges, and is told as FAIL, nearly all later proposals are of that
# half: of what it knows nothing, it expects as much as anywhere. Told PRUNED without a value, it turns away.
# What to do: tell a diverged trial a bad value, or PRUNED.
#
# Versions: optuna 5.0.0, numpy 2.4.6, scipy 1.17.1; Python 3.11.
# Output seen:
#   TPE    told FAIL    of the last 30 proposals diverge: [30, 30, 30, 30, 30, 30]
#   TPE    told PRUNED  of the last 30 proposals diverge: [6, 4, 5, 3, 4, 7]
#   random told FAIL    of the last 30 proposals diverge: [13, 14, 16, 13, 17, 17]
#   random told PRUNED  of the last 30 proposals diverge: [13, 14, 16, 13, 17, 17]
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check optuna==5.0.0 numpy==2.4.6 scipy==1.17.1

"$folder/env/bin/python" - <<'PYTHON'
import math

import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)


def diverging(sampler, state):
    # Of the last 30 of 60 proposals, how many are in the half that diverges.
    study = optuna.create_study(direction="maximize", sampler=sampler)
    rates = []
    for _ in range(60):
        trial = study.ask()
        rates.append(trial.suggest_float("learning_rate", 1e-6, 1e-2, log=True))
        if rates[-1] > 1e-4:
            study.tell(trial, state=state)
        else:
            study.tell(trial, -abs(math.log10(rates[-1] / 3e-5)))
    return sum(rate > 1e-4 for rate in rates[-30:])


found = {}
for name, sampler in (("TPE", TPESampler), ("random", RandomSampler)):
    for state in (TrialState.FAIL, TrialState.PRUNED):
        found[name, state.name] = [diverging(sampler(seed=seed), state) for seed in range(6)]
        print(f"{name:7}told {state.name:7} of the last 30 proposals diverge: {found[name, state.name]}")

same = min(found["TPE", "FAIL"]) >= 25 and max(found["random", "FAIL"]) <= 22 and max(found["TPE", "PRUNED"]) <= 15

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
