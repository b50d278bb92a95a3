"""`examples/slurm.sh` under a real slurmctld and slurmd, in namespaces of this machine (`scripts/slurm_here.sh`).

RAYSTILTS_TEST_SLURM=1 runs it. It needs root, and Debian's slurmctld, slurmd and munge, which the script installs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raystilts.results.ledger import Ledger
from raystilts.results.results import Results

ROOT = Path(__file__).parents[2]
STUDY = """
name: small
intermediates: [none, cldr_names]
targets: [{task: cldr_units, languages: [en, de]}, {task: cldr_match, languages: [de]}]
seeds: [0, 1, 2]
hyperparameters: {learning_rate: 5e-4, num_train_epochs: UPDATES, max_train_samples: 256,
                  per_device_train_batch_size: 8}
evaluation: {max_dev_samples: 16, max_test_samples: 16}
snapshot_s: 5
"""
#: Submits the job, and follows it as a user would; what a user sees is written to files. Once stages run, the script
#: gets the signal that Slurm sends it before its time limit.
SUBMIT = """
set -u
cd "$WORK"
job=$(sbatch --parsable --nodes=1 --gpus-per-node=0 --cpus-per-task=2 --time=30 "$ROOT/examples/slurm.sh" \
  study.yaml "$WORK/results")
for _ in $(seq 600); do
  grep -q '"running": [1-9]' results/small/progress.json 2>/dev/null && break
  sleep 0.5
done
scancel --batch --signal=USR1 "$job"
for _ in $(seq 1200); do
  squeue --noheader --job "$job" --format='%T %r' 2>/dev/null >>states.txt || true
  scontrol show job "$job" >job.txt 2>/dev/null || true
  grep -qE 'JobState=(COMPLETED|FAILED|TIMEOUT|CANCELLED)' job.txt && break
  sleep 1
done
"""


@pytest.mark.slow
@pytest.mark.skipif("RAYSTILTS_TEST_SLURM" not in os.environ, reason="RAYSTILTS_TEST_SLURM is not set")
@pytest.mark.timeout(1500)
def test_a_job_that_is_signalled_queues_itself_again_and_goes_on(tmp_path: Path) -> None:
    epochs = os.environ.get("RAYSTILTS_TEST_SLURM_EPOCHS", "40")
    (tmp_path / "study.yaml").write_text(STUDY.replace("UPDATES", epochs))
    environment = os.environ | {
        "WORK": str(tmp_path), "ROOT": str(ROOT), "RAYSTILTS_ENV": sys.prefix,
        "RAYSTILTS_CACHE_DIR": str(tmp_path / "cache"), "SLURM_HERE_LOGS": str(tmp_path),
    }  # fmt: skip
    for name in ("RAYSTILTS_DATA_DIR", "OMP_NUM_THREADS"):
        environment.pop(name, None)
    done = subprocess.run([ROOT / "scripts" / "slurm_here.sh", "bash", "-c", SUBMIT], env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    log = "".join(path.read_text() for path in tmp_path.glob("raystilts-*.log"))
    assert done.returncode == 0, done.stdout + done.stderr
    job = (tmp_path / "job.txt").read_text()
    assert "JobState=COMPLETED" in job, log
    assert int(job.split("Restarts=")[1].split()[0]) == log.count("is queued again") == 1
    assert "Stopped (SIGUSR1)" in log
    results = tmp_path / "results" / "small"
    assert json.loads((results / "progress.json").read_text())["state"] == "ended"
    rows = Ledger(results).rows()
    finished = [row for row in rows if row.status == "finished"]
    assert len({row.stage for row in finished}) == len(finished) == 13, "nothing was trained twice"
    assert not [row for row in rows if row.status == "failed"]
    assert {answer.target for answer in Results(results).answers()} == {"cldr_units", "cldr_match"}
