from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="package", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tokenised data goes into a folder of this session, and no data folder is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("RAYSTILTS_DATA_DIR", raising=False)
        yield


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on an S3 server of this machine."""
    moto = pytest.importorskip("moto.server", reason="no S3 server: pip install 'moto[server]' s3fs")
    s3fs = pytest.importorskip("s3fs", reason="no S3 client: pip install s3fs")
    boto3 = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # clients of another test's server
    boto3.client("s3").create_bucket(Bucket="bucket")
    yield "s3://bucket/studies"
    server.stop()
