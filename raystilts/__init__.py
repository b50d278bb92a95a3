"""raystilts: which intermediate task helps which target, in which language, with what certainty.

The models behind a study file are the Python API: `Study`, `plan(study)`, `run(study)`, `Results(path)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raystilts.planning.stages import plan
    from raystilts.results.results import Results
    from raystilts.scheduling.run import run
    from raystilts.study.schema import Study

__all__ = ["Results", "Study", "plan", "run"]
__version__ = "0.1.0"
_HOMES = {
    "Results": "raystilts.results.results",
    "Study": "raystilts.study.schema",
    "plan": "raystilts.planning.stages",
    "run": "raystilts.scheduling.run",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for, so that `import raystilts` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'raystilts' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
