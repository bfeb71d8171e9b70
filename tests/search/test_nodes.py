"""Every node of a cluster is asked, each for itself; trials go where the graphics cards are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.tune.execution import class_cache

from toprung.core.clock import SystemClock
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._connection import connect
from toprung.search.runners.inline import Inline
from toprung.search.runners.ray import Ray
from toprung.search.schedulers.fifo import Fifo
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource
from toprung.trial.journal import Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes on this machine; one says that it has a graphics card."""
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1, num_gpus=1)
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


@pytest.mark.parametrize(("gpus", "cards"), [(None, "0"), (0.0, "")])
def test_trials_have_a_card_each_where_there_are_any_unless_they_are_to_have_none(
    address: str, tmp_path: Path, gpus: float | None, cards: str
) -> None:
    metric, resource = Metric("accuracy"), Resource("examples", 1, 1, (1,))
    scheduler, searcher = Fifo(), Random()
    scheduler.prepare(resource, metric)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 0)

    def train(assignment: Assignment) -> Iterator[Report]:
        trial = assignment.config.trial
        (tmp_path / f"seen{trial}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
        yield Report(trial, 1, {"accuracy": 0.5}, 0.0, "")

    with Journal(tmp_path / "search", SystemClock()) as journal:
        driver = Driver(Plan(metric, resource, 4, seed=0), scheduler, searcher, journal)
        Ray(address=address, gpus=gpus).run(driver, train)
    assert {file.read_text() for file in tmp_path.glob("seen*")} == {cards}
    assert len(driver.history.in_state("completed")) == 4


def test_workers_of_a_ray_that_somebody_else_has_started_get_this_environment(address: str) -> None:
    connect(None, trusts_open=False)
    handed_over = class_cache.ENV_VARS_TO_PROPAGATE
    assert handed_over
    assert not [name for name in handed_over if name.startswith("AWS_")]


def test_without_a_cluster_this_machine_alone_is_asked() -> None:
    assert list(Inline().on_each_node(os.getpid).values()) == [os.getpid()]
