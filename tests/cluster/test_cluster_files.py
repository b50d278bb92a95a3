"""The cluster files: by Ray's own validation, and the one for AWS against an emulation of EC2."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from raystilts import __version__
from raystilts.scheduling.capacity import Capacity, node_types
from raystilts.study.resources import Resources

ROOT = Path(__file__).parents[2]
RAY_UP = ["cluster.yaml", "examples/gcp.yaml", "examples/local.yaml"]


def load(name: str) -> dict[str, Any]:
    """A cluster file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """A cluster file as `ray up` completes and checks it."""
    util = importlib.import_module("ray.autoscaler._private.util")
    found: dict[str, Any] = util.prepare_config(config)
    util.validate_config(found)
    return found


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_takes_the_file(name: str) -> None:
    config = prepared(load(name))
    assert config["provider"]["type"] == {"cluster.yaml": "aws"}.get(name, Path(name).stem)


def test_ray_would_not_take_another() -> None:
    with pytest.raises(Exception, match="max_workes"):
        prepared(load("cluster.yaml") | {"max_workes": 3})


@pytest.mark.parametrize("name", RAY_UP)
def test_every_machine_gets_the_wheel_and_the_token(name: str) -> None:
    config = load(name)
    wheel = f"raystilts-{__version__}-py3-none-any.whl"
    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token", f"~/{wheel}": f"dist/{wheel}"}
    assert sum(wheel in command for command in config["setup_commands"]) == 2
    assert any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"])
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][1]


@pytest.mark.parametrize("path", [ROOT / "cluster.yaml", *sorted((ROOT / "examples").iterdir())], ids=lambda p: p.name)
def test_no_credentials_in_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"AKIA[0-9A-Z]{16}|SECRET_ACCESS_KEY|BEGIN [A-Z ]*PRIVATE KEY|password", text)


@pytest.mark.parametrize(("name", "gpu"), [("cluster.yaml", "A10G"), ("examples/gcp.yaml", "L4")])
def test_the_driver_knows_what_the_cluster_can_start(name: str, gpu: str, tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(prepared(load(name))))
    types = node_types(tmp_path / "file.yaml")
    assert types is not None
    assert types[0].gpu == gpu
    cluster = Capacity((), types)
    assert cluster.slots(Resources(gpus=1), ["target"]) == sum(one.most for one in types)
    if name == "cluster.yaml":
        large = Resources(gpus=1, gpu_memory_gb=40)
        assert (cluster.slots(large, ["target"]), cluster.fitting_gpus(large)) == (4, ("L40S",))


def test_the_rayjob_has_the_parts_that_its_operator_asks_for() -> None:
    job = load("examples/rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert "raystilts run" in job["spec"]["entrypoint"]
    cluster = job["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    groups = [cluster["headGroupSpec"], workers]
    containers = [group["template"]["spec"]["containers"][0] for group in groups]
    assert len({container["image"] for container in containers}) == 1
    assert [container["resources"]["limits"].get("nvidia.com/gpu") for container in containers] == [None, "1"]
    assert workers["minReplicas"] == 0
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_slurm_script_is_bash() -> None:
    done = subprocess.run(["bash", "-n", ROOT / "examples" / "slurm.sh"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """cluster.yaml on an emulated AWS, with the edits that a user makes: an image and two roles."""
    moto = pytest.importorskip("moto", reason="no EC2 emulation: pip install 'moto[server]'")
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        config = load("cluster.yaml")
        image = boto3.client("ec2", "us-east-1").describe_images()["Images"][0]["ImageId"]
        iam = boto3.client("iam")
        for node in config["available_node_types"].values():
            node["node_config"]["ImageId"] = image
        for name in ("raystilts-head", "raystilts-worker"):
            iam.create_instance_profile(InstanceProfileName=name)
        yield config


def test_machines_as_ray_creates_them_on_aws(aws: dict[str, Any]) -> None:
    boto3 = pytest.importorskip("boto3")
    bootstrap = importlib.import_module("ray.autoscaler._private.aws.config").bootstrap_aws
    provider_type = importlib.import_module("ray.autoscaler._private.aws.node_provider").AWSNodeProvider
    config = bootstrap(prepared(aws))
    provider = provider_type(config["provider"], config["cluster_name"])
    for name, kind in (("head", "head"), ("a10g", "worker"), ("l40s", "worker")):
        tags = {"ray-node-type": kind, "ray-user-node-type": name, "ray-node-name": name, "ray-node-status": "up"}
        provider.create_node(config["available_node_types"][name]["node_config"], tags, 1)
    machines = {
        next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "ray-user-node-type"): one
        for group in boto3.client("ec2", "us-east-1").describe_instances()["Reservations"]
        for one in group["Instances"]
    }
    assert {name: (one["InstanceType"], one.get("InstanceLifecycle")) for name, one in machines.items()} == {
        "head": ("m6i.xlarge", None),
        "a10g": ("g5.2xlarge", "spot"),
        "l40s": ("g6e.2xlarge", "spot"),
    }
    profiles = {name: one["IamInstanceProfile"]["Arn"].rsplit("/", 1)[1] for name, one in machines.items()}
    assert profiles == {"head": "raystilts-head", "a10g": "raystilts-worker", "l40s": "raystilts-worker"}
    groups = {group["GroupId"] for one in machines.values() for group in one["SecurityGroups"]}
    (group,) = boto3.client("ec2", "us-east-1").describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
    world = [rule for rule in group["IpPermissions"] if any(r["CidrIp"] == "0.0.0.0/0" for r in rule["IpRanges"])]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in world] == [(22, 22)]
    assert set(provider.non_terminated_nodes({"ray-node-type": "worker"})) == {
        machines[name]["InstanceId"] for name in ("a10g", "l40s")
    }
    provider.terminate_nodes([one["InstanceId"] for one in machines.values()])
    assert provider.non_terminated_nodes({}) == []
