"""A node that cannot use the results is named before anything is trained."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from toprung.api.folder import Folder, folder_of
from toprung.api.probing import check_place, probe_nodes
from toprung.core.clock import SystemClock
from toprung.core.errors import FixSpec
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._base import T, Train
from toprung.search.runners.inline import Inline
from toprung.search.schedulers.fifo import Fifo
from toprung.search.searchers.random import Random
from toprung.storage.probe import Probed
from toprung.storage.store import Store
from toprung.trial.config import Resource
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric
from toprung.trial.space import Float, Space


class Cluster(Inline):
    """This machine, and nodes that answer what a test says."""

    def __init__(self, **others: object) -> None:
        self.others = others

    def on_each_node(self, task: Callable[[], T]) -> Mapping[str, T | BaseException]:
        return {"head": task(), **self.others}  # type: ignore[dict-item]

    def run(self, driver: Driver, train: Train) -> None:
        raise AssertionError("nothing is trained here")


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    metric, scheduler, searcher = Metric("accuracy"), Fifo(), Random()
    resource = Resource("examples", 1, 9, (1, 3, 9))
    scheduler.prepare(resource, metric)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    journal = Journal(tmp_path / "mine", SystemClock())
    return Driver(Plan(metric, resource, 4, seed=7), scheduler, searcher, journal)


def test_the_journal_knows_how_long_each_node_took(driver: Driver, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "mine")
    probe_nodes(folder, Cluster(node2=Probed("node2", {"write": 3.5})), driver)
    event = read_events(folder.journal)[-1]
    assert (event["kind"], event["place"]) == ("probed", str(folder.root))
    assert [one["node"] for one in event["nodes"]] == ["head", "node2"]
    assert event["nodes"][1]["milliseconds"] == {"write": 3.5}
    assert not (folder.root / ".probe").exists()


def test_every_node_that_cannot_is_told_at_once_with_the_next_step(
    driver: Driver, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "mine")
    others = {
        "node2": Probed("node2", {}, "does not see what the driver wrote there"),
        "node3": TimeoutError("no answer in 120 s"),
    }
    with pytest.raises(FixSpec) as caught:
        probe_nodes(folder, Cluster(**others), driver)
    said = str(caught.value)
    assert f"node node2: {folder.root} does not see" in said
    assert "node node3" in said
    assert "TimeoutError: no answer in 120 s" in said
    assert said.count("--results s3://bucket/prefix") == 2
    assert caught.value.exit_code == 2


def test_a_storage_that_cannot_fence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of("memory://fenceless", f"mine-{secrets.token_hex(4)}")
    check_place(folder)
    monkeypatch.setattr(Store, "put_new", Store.put)
    with pytest.raises(FixSpec, match="lets a second writer replace"):
        check_place(folder)
