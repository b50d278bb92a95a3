"""docs/howto/cluster.md, done for real: a laptop, a head and two workers, of which some lose their power.

Some six minutes on one slow core, and rights that few machines give: RAYSTILTS_TEST_CLUSTER=1 asks for it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raystilts.filesystem import open_folder

from .hosts import GATEWAY, Host, make_hosts, on, remove_bridge, replace, switch_off, switch_on, why_not
from .trial import (
    LAPTOP,
    ROOT,
    STAGES,
    STUDY,
    WHEEL,
    cluster_file,
    finished,
    logs,
    outcome,
    submit,
    tables,
    wait_for_nodes,
    wait_until,
    without_ray,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.environ.get("RAYSTILTS_TEST_CLUSTER") != "1", reason="minutes: RAYSTILTS_TEST_CLUSTER=1"),
]
RUN = [sys.executable, "-c", "from raystilts.cli import script; script()", "run", "trial.yaml"]


@dataclass(frozen=True, slots=True)
class Site:
    """The hosts, a folder that all of them see, a bucket, and the tables of one undisturbed machine."""

    laptop: Host
    head: Host
    workers: list[Host]
    environment: dict[str, str]
    shared: Path
    bucket: str
    calm: dict[str, pd.DataFrame]

    @property
    def nodes(self) -> set[str]:
        """Addresses of all hosts of the cluster."""
        return {host.address for host in (self.head, *self.workers)}

    def up(self) -> None:
        """`ray up`, until all nodes have joined."""
        on(self.laptop, f"{LAPTOP}ray up -y cluster.yaml")
        wait_for_nodes(self.head, self.nodes)
        on(self.laptop, f"{LAPTOP}ray rsync-up cluster.yaml trial.yaml '~/trial.yaml'")

    def matches(self, results: str) -> None:
        """Fails where a value differs from that of the undisturbed machine."""
        found = tables(results)
        for name, table in self.calm.items():
            pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Hosts that are switched on, with nothing on them but what a laptop has: a wheel, a study, a cluster file."""
    for package in ("aiohttp_cors", "moto", "s3fs"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package}: pip install 'raystilts[test,cluster]'")
    with tempfile.TemporaryDirectory(prefix="raystilts-hosts-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        if (reason := why_not(folder / "probe")) is not None:
            pytest.skip(reason)
        (folder / "trial.yaml").write_text(STUDY)
        wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", name, str(ROOT)]
        subprocess.run(wheel, check=True)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_worker_niceness", "0")
        subprocess.run([*RUN, "--storage-path", "calm"], cwd=folder, check=True, capture_output=True)
        laptop, head, *workers = make_hosts(folder, ["laptop", "head", "worker1", "worker2"])
        server = _bucket(patch)
        try:
            for host in (laptop, head, *workers):
                switch_on(host, environment(server.get_host_and_port()[1]))
            (folder / "cluster.yaml").write_text(cluster_file(laptop, head, workers))
            on(laptop, f"mkdir ~/dist && cd {folder} && cp {WHEEL} ~/dist/ && cp trial.yaml cluster.yaml ~/")
            on(laptop, f"{LAPTOP}ray get-auth-token --generate >/dev/null")
            shared = folder / "shared"
            shared.mkdir()
            port = server.get_host_and_port()[1]
            calm = tables(folder / "calm/trial")
            site = Site(laptop, head, workers, environment(port), shared, "s3://bucket/studies", calm)
            site.up()
            yield site
        finally:
            for host in (laptop, head, *workers):
                switch_off(host)
            server.stop()
            remove_bridge()


def environment(port: int) -> dict[str, str]:
    """What a login finds: the bucket's endpoint, as an instance role would give it, and no network but this one."""
    return {
        "AWS_ENDPOINT_URL": f"http://{GATEWAY}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0", "TERM": "xterm",
        "PIP_NO_INDEX": "1", "PIP_ROOT_USER_ACTION": "ignore", "HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip


def _bucket(patch: pytest.MonkeyPatch) -> Any:
    """An S3 server that all hosts reach, with an empty bucket."""
    boto3, s3fs, moto = (importlib.import_module(name) for name in ("boto3", "s3fs", "moto.server"))
    server = moto.ThreadedMotoServer(ip_address=GATEWAY, port=0, verbose=False)
    server.start()
    for name, value in environment(server.get_host_and_port()[1]).items():
        if name.startswith("AWS_"):
            patch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    boto3.client("s3").create_bucket(Bucket="bucket")
    return server


def test_who_has_no_token_is_refused(site: Site) -> None:
    ask = f"ray status --address {site.head.address}:6379"
    assert "Active:" in on(site.laptop, f"{LAPTOP}{ask}").stdout
    refused = on(site.laptop, f"{LAPTOP}RAY_AUTH_MODE=disabled {ask}", check=False)
    assert refused.returncode == 1
    assert "InvalidAuthToken: Authentication token is missing or incorrect" in refused.stderr
    get = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8265/api/jobs/')"
    assert "HTTP Error 401: Unauthorized" in on(site.head, f'python -c "{get}"', check=False).stderr


def test_a_folder_of_the_head_alone_is_refused(site: Site) -> None:
    job = submit(site.laptop, '--storage-path "~/results"')
    assert outcome(site.laptop, site.head, job) == "failed"
    said = " ".join(logs(site.laptop, job).split())
    assert "2 of 3 nodes cannot take part; nothing was trained." in said
    assert "/root/results/trial: no such folder" in said
    assert "--storage-path /mnt/shared/... or s3://bucket/folder" in said
    on(site.head, "test ! -e ~/results/trial/runs")


def test_a_worker_that_goes_and_comes_back(site: Site) -> None:
    """On a folder that all hosts share. Its stage goes on elsewhere; Ray starts itself there again."""
    results, lost = str(site.shared / "trial"), site.workers[1]
    job = submit(site.laptop, f"--storage-path {site.shared}")
    wait_until("some stages end", lambda: finished(results) >= 3)
    switch_off(lost)
    wait_for_nodes(site.head, site.nodes - {lost.address})
    switch_on(lost, site.environment)
    wait_for_nodes(site.head, site.nodes)
    assert outcome(site.laptop, site.head, job) == "succeeded", logs(site.laptop, job)
    assert f"{STAGES} stages finished, 0 were there already" in logs(site.laptop, job)
    site.matches(results)


def test_a_head_that_goes(site: Site) -> None:
    """On a bucket. A new one is set up in its place, and the same command goes on with what is missing."""
    results = f"{site.bucket}/trial"
    submit(site.laptop, f"--storage-path {site.bucket}")
    wait_until("some stages end", lambda: finished(results) >= 5)
    replace(site.head)
    assert finished(results) < STAGES
    took_part = {name for name in open_folder(results).names("nodes") if name != "run.json"}
    assert took_part == {"head.json", "worker1.json", "worker2.json"}
    switch_on(site.head, site.environment)
    on(site.laptop, f"{LAPTOP}ray down -y cluster.yaml")
    site.up()
    job = submit(site.laptop, f"--storage-path {site.bucket}")
    assert outcome(site.laptop, site.head, job) == "succeeded", logs(site.laptop, job)
    site.matches(results)
    best = on(site.laptop, f"{LAPTOP}raystilts best {results}").stdout
    assert "cldr_units" in best
    on(site.laptop, f"{LAPTOP}ray down -y cluster.yaml")
    for host in (site.head, *site.workers):
        wait_until("Ray ends", partial(without_ray, host))
