from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="package", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tokenised data goes into a folder of this session, and no data folder is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("RAYSTILTS_DATA_DIR", raising=False)
        yield
