from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.scheduling.capacity import UNKNOWN_GROWTH, Capacity, NodeType, node_types
from raystilts.study.resources import Resources, StageResources

HEAD = NodeType("head", 4, 0)
SMALL = NodeType("small", 8, 1, most=6, gpu="A10G", gpu_gb=24)
LARGE = NodeType("large", 32, 4, most=2, gpu="L40S", gpu_gb=48)

CLUSTER = """
max_workers: 10
available_node_types:
  head: {resources: {CPU: 0}, max_workers: 0, node_config: {}}
  spot: {resources: {CPU: 8, GPU: 1, "accelerator_type:A10G": 1}, node_config: {}}
  large: {resources: {CPU: 32, GPU: 4}, max_workers: 2, labels: {ray.io/accelerator-type: L40S}, node_config: {}}
"""


def of(**fields: float) -> Resources:
    return Resources.model_validate(fields)


def test_stages_side_by_side() -> None:
    assert [HEAD.stages(of()), HEAD.stages(of(gpus=1)), HEAD.stages(of(cpus=5))] == [4, 0, 0]
    assert [LARGE.stages(of(gpus=1)), LARGE.stages(of(gpus=0.5)), LARGE.stages(of(gpus=1, cpus=16))] == [4, 8, 2]
    assert [LARGE.stages(of(gpus=0.1)), LARGE.stages(of(cpus=0.1, gpus=0.1))] == [32, 40]


def test_slots_are_those_of_the_grown_cluster() -> None:
    assert Capacity((HEAD,)).slots(of(), ["target"]) == 4
    assert Capacity((HEAD,), (SMALL, LARGE)).slots(of(gpus=1), ["target"]) == 6 + 8
    assert Capacity((HEAD, SMALL, SMALL)).slots(of(gpus=1), ["target"]) == 2
    by_kind = Resources(gpus=1, by_kind={"retrieval": StageResources(cpus=4)})
    assert Capacity((HEAD, SMALL)).slots(by_kind, ["retrieval"]) == 3
    assert Capacity((HEAD,), unknown=True).slots(of(gpus=1), ["target"]) == UNKNOWN_GROWTH


def test_gpus_that_no_node_type_has() -> None:
    with pytest.raises(
        UserError, match=r"^resources: each target stage asks for 1 CPUs and 1 GPUs, but no machine has"
    ) as e:
        Capacity((HEAD,)).slots(of(gpus=1), ["target"])
    assert str(e.value).endswith("than 4 CPUs and 0 GPUs; try --set resources.gpus=0")
    with pytest.raises(UserError, match=r"try --set resources.gpus=0 --set resources.share=time$"):
        Capacity((HEAD,)).slots(Resources(gpus=0.5, share="mps"), ["target"])
    with pytest.raises(UserError, match=r"can start: small \(8 CPUs, 1 GPUs\), large \(32 CPUs, 4 GPUs\)$"):
        Capacity((HEAD,), (SMALL, LARGE)).slots(of(gpus=8), ["target"])
    with pytest.raises(UserError, match=r"1 GPUs of 80 GB, but .* \(A10G: 24 GB, L40S: 48 GB\); "):
        Capacity((HEAD,), (SMALL, LARGE)).slots(of(gpus=1, gpu_memory_gb=80), ["target"])


def test_memory_sends_stages_where_they_fit() -> None:
    both = Capacity((HEAD, SMALL), (LARGE,))
    wanted = of(gpus=1, gpu_memory_gb=40)
    assert both.slots(wanted, ["target"]) == 8
    assert both.fitting_gpus(wanted) == ("L40S",)
    assert both.fitting_gpus(of(gpus=1)) == ()
    assert both.fitting_gpus(of(gpus=1, gpu_memory_gb=16)) == (), "all have it"
    assert both.fitting_gpus(of(gpu_memory_gb=40)) == (), "no GPU asked for"
    other = NodeType("partitioned", 8, 1, gpu="L40S", gpu_gb=24)
    assert Capacity((SMALL, LARGE, other)).fitting_gpus(wanted) == (), "the name does not tell them apart"


def test_node_types_of_a_cluster_file(tmp_path: Path) -> None:
    path = tmp_path / "ray_bootstrap_config.yaml"
    assert node_types(path) is None
    path.write_text(CLUSTER)
    assert node_types(path) == (
        NodeType("spot", 8, 1, 10, "A10G", 24),
        NodeType("large", 32, 4, 2, "L40S", 48),
    )
    for text in ("{", "a", "available_node_types: [1]", "cluster_name: x"):
        path.write_text(text)
        assert node_types(path) is None
    path.write_text("available_node_types: {local.cluster.node: {resources: {}, max_workers: 2}}")
    assert node_types(path) == (), "machines of one's own are what they are"
