"""A ledger in a bucket, on a server in this process that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results

from .rows import write, write_grid

_ARMS = [("none", None), ("mnli", 1.0), ("squad", 0.5)]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of an empty bucket."""
    pytest.importorskip("s3fs", reason="no s3fs: pip install s3fs")
    server_type = pytest.importorskip("moto.server", reason="no moto: pip install 'moto[server]'").ThreadedMotoServer
    server = server_type(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        filesystem = fsspec.filesystem("s3", skip_instance_cache=True)
        filesystem.mkdir("bucket")
        filesystem.clear_instance_cache()
        yield "s3://bucket"
    server.stop()


@pytest.mark.slow
def test_a_bucket_gives_the_answers_of_a_disk(bucket: str, tmp_path: Path) -> None:
    url = f"{bucket}/results"
    for place in (url, tmp_path):
        write_grid(place, _ARMS, [1, 2])
    local, remote = Results(tmp_path), Results(url)
    for _ in range(2):
        pd.testing.assert_frame_equal(local.matrix("gain"), remote.matrix("gain"))
        pd.testing.assert_frame_equal(local.scores(), remote.scores())
        pd.testing.assert_frame_equal(local.runs(), remote.runs())
        assert Ledger(url).rows() == Ledger(tmp_path).rows()
        assert compact(url).generation == 1
        assert clean_up(url, older_than=0) in (12, 0)


@pytest.mark.slow
def test_two_writers_never_overwrite_in_a_bucket(bucket: str) -> None:
    url = f"{bucket}/race"
    with ThreadPoolExecutor(4) as pool:
        attempts = list(pool.map(lambda host: write(url, "ab", {"en": 0.5}, hostname=str(host)).attempt, range(4)))
    assert sorted(attempts) == sorted(set(attempts))
    assert {row.hostname for row in Ledger(url).rows()} == {"0", "1", "2", "3"}
