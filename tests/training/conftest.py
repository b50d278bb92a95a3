"""A tiny encoder, and studies that train it in a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from raystilts.planning.encoders import EncoderInfo, describe_encoder
from raystilts.study.encoder import Encoder
from raystilts.training.encoder import Pretrained, pretrained


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tokenised data goes into a folder of this session, and no data folder is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("RAYSTILTS_DATA_DIR", raising=False)
        yield


@pytest.fixture(scope="session")
def tiny_info(tiny_encoder: Path) -> EncoderInfo:
    return describe_encoder(Encoder(model_name_or_path=str(tiny_encoder)))


@pytest.fixture
def tiny(tiny_info: EncoderInfo) -> Pretrained:
    """The tiny encoder with its pretrained weights."""
    torch.set_num_threads(1)
    loaded = pretrained(tiny_info)
    loaded.restore(None, torch.device("cpu"))
    return loaded
