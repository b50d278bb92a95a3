"""Keys name results for years: the studies of the first release plan the very stages that they planned then.

`stored/keys.json` was written before modules were moved: for each study, kind of stage and task a digest of all keys.
Where a source or a recipe changes on purpose, run this file as a script and say in the commit which digests changed.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path

import pytest

from raystilts import Study, plan

STORED = Path(__file__).parent / "stored"
STUDIES = ("quickstart", "xtreme_small", "phang2020")


def digests(name: str) -> dict[str, str]:
    """A digest for each kind of stage and its task: of keys, parents, data, updates and sizes."""
    found: dict[str, list[str]] = defaultdict(list)
    for stage in plan(Study.from_file(STORED / f"{name}.yaml")).stages.values():
        task = stage.target or stage.intermediate.label
        found[f"{stage.kind} {task}"].append(
            f"{stage.key} {stage.train_key} {stage.eval_key} {stage.parent} "
            f"{stage.data_hash} {stage.steps} {stage.tokens}"
        )
    return {
        group: f"{len(keys)} {hashlib.sha256(chr(10).join(sorted(keys)).encode()).hexdigest()[:16]}"
        for group, keys in sorted(found.items())
    }


@pytest.mark.parametrize("name", STUDIES)
def test_keys_are_those_of_the_first_release(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    assert digests(name) == json.loads((STORED / "keys.json").read_text(encoding="utf-8"))[name]


if __name__ == "__main__":
    text = json.dumps({name: digests(name) for name in STUDIES}, indent=1)
    (STORED / "keys.json").write_text(text + "\n", encoding="utf-8")
