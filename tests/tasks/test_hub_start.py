"""A study on data from the hub, which a stand-in on this machine plays: asked once, then read without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from raystilts.tasks.registry import get_task

from .hub_standin import Standin, serving

#: What the environment of these tests says of data.
HERE = ("RAYSTILTS_DATA_DIR", "HF_HUB_OFFLINE")

STUDY = """
name: from_the_hub
encoder: {model_name_or_path: raystilts-mini}
intermediates: [none, mrpc]
targets: [{task: xnli, languages: [de, sw]}, {task: tatoeba, languages: [de]}]
seeds: [0]
hyperparameters: {max_steps: 3, per_device_train_batch_size: 4, max_length: 32}
storage_path: results
"""

#: What a run does before it trains: every row is read and checked, and the plan made of what is here.
START = """
from raystilts import plan
from raystilts.planning.resolve import load_study, resolve
from raystilts.scheduling.preflight import check_data
study = load_study("study.yaml")
check_data(resolve(study))
print(plan(study).verified)
"""


def test_a_start_on_a_warm_cache_asks_nothing_and_works_offline(tmp_path: Path, data_dir: Path) -> None:
    standin = Standin()
    for name in ("mrpc", "xnli", "tatoeba"):
        standin.add(get_task(name), data_dir, rows=40)
    (tmp_path / "study.yaml").write_text(STUDY)
    with serving(standin) as address:
        env = {name: value for name, value in os.environ.items() if name not in HERE}
        env |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}

        def asked(**more: str) -> int:
            """Requests for data sets of a start; `huggingface_hub` asks of other things at times."""
            before = len(standin.asked)
            command = [sys.executable, "-c", START]
            done = subprocess.run(command, cwd=tmp_path, env=env | more, capture_output=True, text=True, timeout=100)
            assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr[-2000:]
            return sum("/datasets/" in path for path in standin.asked[before:])

        assert 0 < asked() <= 40
        assert asked() == 0
        assert asked(HF_HUB_OFFLINE="1") == 0
