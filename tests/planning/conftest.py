from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans here rest on generated data and declared sizes, whatever the machine has."""
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
