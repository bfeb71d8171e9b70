"""Every node of a cluster is asked, each for itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import pytest
import ray
from ray.cluster_utils import Cluster

from toprung.search.runners.inline import Inline
from toprung.search.runners.ray import Ray

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes on this machine."""
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


def test_each_node_answers_for_itself(address: str) -> None:
    # The node's own process, whose child this runs in.
    found = Ray(address=address).on_each_node(os.getppid)
    assert len(set(found.values())) == 2
    assert all(isinstance(answer, int) for answer in found.values())
    assert all(":" in name for name in found)


def test_a_node_that_fails_answers_with_its_error(address: str) -> None:
    found = Ray(address=address).on_each_node(partial(os.listdir, "/no/such/folder"))
    assert [type(error) for error in found.values()] == [FileNotFoundError] * 2
    assert ["/no/such/folder" in str(error) for error in found.values()] == [True, True]


def test_without_a_cluster_this_machine_alone_is_asked() -> None:
    assert list(Inline().on_each_node(os.getpid).values()) == [os.getpid()]
