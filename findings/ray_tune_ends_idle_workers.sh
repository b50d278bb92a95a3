#!/bin/sh
# Ray Tune with reuse_actors=True: between two rounds of trials it ends all idle workers but one, and starts others.
#
# A guess: eight trials in two rounds of four on four slots, the second round proposed when the first has ended, run in
# four processes. "reuse_actors" keeps the workers, and nobody else wants their slots.
# What happens: a worker is kept only while a trial waits for one. A searcher that waits for a round (successive halving,
# a race, batches of an acquisition) proposes nothing meanwhile, so that all idle workers but one are ended. Each new
# one imports its libraries and loads its model again.
# What to do: propose trials before the round's last one has ended, where the method allows it; keep start-up cheap.
#
# Versions: ray 2.60.0; Python 3.11.
# Output seen:
#   processes of the first round: 4
#   new processes in the second round: 3
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "ray[tune]==2.60.0"

cat >"$folder/rounds.py" <<'PYTHON'
import os
import sys
import time
from pathlib import Path

import ray
from ray import tune
from ray.tune.search import Searcher

SLOTS = 4
FOLDER = Path(sys.argv[1])


class Rounds(Searcher):
    # Proposes four trials, and four more when these have ended.
    def __init__(self):
        super().__init__(metric="done", mode="max")
        self.proposed, self.ended = 0, 0

    def suggest(self, trial_id):
        if self.proposed == 2 * SLOTS:
            return Searcher.FINISHED
        if self.proposed == SLOTS and self.ended < SLOTS:
            return None
        self.proposed += 1
        return {"round": (self.proposed - 1) // SLOTS}

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.ended += 1


class Stage(tune.Trainable):
    def setup(self, config):
        self.place = FOLDER / f"round-{config['round']}"

    def reset_config(self, config):
        self.setup(config)
        return True

    def step(self):
        # Trials of a round end when all of them run, each in a process of its own.
        self.place.mkdir(exist_ok=True)
        (self.place / str(os.getpid())).touch()
        while len(list(self.place.iterdir())) < SLOTS:
            time.sleep(0.1)
        time.sleep(1)
        return {"done": True}

    def save_checkpoint(self, folder):
        return None


ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
tune.Tuner(
    Stage,
    tune_config=tune.TuneConfig(search_alg=Rounds(), num_samples=2 * SLOTS, reuse_actors=True),
    run_config=tune.RunConfig(stop={"done": True}, verbose=0, storage_path=str(FOLDER / "results"), name="rounds"),
).fit()
first, second = ({path.name for path in (FOLDER / f"round-{number}").iterdir()} for number in (0, 1))
print("processes of the first round:", len(first))
print("new processes in the second round:", len(second - first))
assert (len(first), len(second - first)) == (SLOTS, SLOTS - 1)
PYTHON
"$folder/env/bin/python" "$folder/rounds.py" "$folder" 2>"$folder/errors" || {
  tail -n 5 "$folder/errors" >&2
  exit 1
}
