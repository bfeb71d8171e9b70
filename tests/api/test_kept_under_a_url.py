"""Searches that are kept under a URL: gone on with, read and displaced from other machines."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toprung.api import Search
from toprung.api.folder import find_search, searches_in
from toprung.api.opening import Settings
from toprung.api.standing import stop_driver, tell_standing
from toprung.core.errors import FixEnvironment, FixSpec, Interrupted
from toprung.storage import lease
from toprung.storage.segments import Writer
from toprung.storage.store import Store, open_store
from toprung.trial.journal import Event, read_events

URL = "memory://kept"


@pytest.fixture
def place() -> Iterator[Store]:
    store = open_store(URL)
    yield store
    store.delete(store.sizes())


class At:
    """Does something at the n-th event of a kind."""

    def __init__(self, kind: str, number: int, act: Callable[[], object]) -> None:
        self.kind, self.left, self.act = kind, number, act

    def __call__(self, event: Event) -> None:
        self.left -= event["kind"] == self.kind
        if self.left == 0 and event["kind"] == self.kind:
            self.act()


def told(search: Search) -> list[tuple[object, ...]]:
    """All of the leaderboard but what time it took."""
    return [
        (row.rank, row.trial, row.score, row.resource, row.state, row.reason, dict(row.values))
        for row in search.rows()
    ]


def ensemble_of(search: Search) -> object:
    return json.loads((search.folder.ensemble / "ensemble.json").read_text(encoding="utf-8"))


def simulated(results: str, *watchers: Callable[[Event], None]) -> Settings:
    return Settings(runner="virtual", results=results, watchers=watchers)


def test_a_search_goes_on_elsewhere_and_ends_as_if_it_had_never_moved(
    finished: Search, place: Store, move_to: Callable[[str], Path]
) -> None:
    first = move_to("first")
    found: list[Search] = []
    pause = At("decided", 4, lambda: found[0].pause())
    search = Search(finished.spec, settings=Settings("inline", results=URL, watchers=(pause,)))
    found.append(search)
    with pytest.raises(Interrupted):
        search.fit()
    shutil.rmtree(first)  # The machine is gone, and all that was on it alone.

    move_to("second")
    again = Search.attach(f"{URL}/tiny", Settings("inline")).fit()
    assert told(again) == told(finished)
    assert ensemble_of(again) == ensemble_of(finished)
    events = read_events(again.folder.journal)
    reports = [(e["trial"], e["resource"]) for e in events if e["kind"] == "reported"]
    assert len(reports) == len(set(reports))
    probed = next(event for event in events if event["kind"] == "probed")
    assert probed["place"] == f"{URL}/tiny"
    assert set(probed["nodes"][0]["milliseconds"]) >= {"write", "read", "list", "delete"}

    move_to("third")
    reader = Search.attach("tiny", Settings("inline", results=URL))
    texts = ["my parcel is late", "the invoice is wrong"]
    assert reader.predict(texts) == finished.predict(texts)
    assert reader.report() == again.folder.report.read_text(encoding="utf-8")
    kept = place.sizes("tiny/trials")
    assert {key.split("/")[-1] for key in kept} >= {"weights.safetensors", "manifest.json"}
    assert not [key for key in place.sizes() if key.endswith((".tmp", ".lock", ".pkl"))]


def test_a_driver_that_is_displaced_stops_and_the_newer_one_ends_alone(
    finished: Search, place: Store, move_to: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to("undisturbed")
    twin = Search(finished.spec, settings=simulated("results")).fit()
    # As if the first driver had slept: it is taken for dead at once.
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 0.0)
    newer: list[Search] = []

    def displace() -> None:
        move_to("second")
        newer.append(Search.attach(f"{URL}/tiny", simulated(URL)).fit())
        move_to("first")

    move_to("first")
    older = Search(finished.spec, settings=simulated(URL, At("decided", 3, displace)))
    with pytest.raises(FixEnvironment, match=r"another driver .* has taken this search over"):
        older.fit()
    assert told(newer[0]) == told(twin)
    move_to("third")
    assert told(Search.attach(f"{URL}/tiny")) == told(twin)
    epochs = [event["epoch"] for event in read_events(newer[0].folder.journal)]
    assert epochs == sorted(epochs)
    assert set(epochs) == {1, 2}


def test_a_driver_that_lives_is_not_displaced(
    finished: Search, place: Store, move_to: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 5.0)
    refused: list[str] = []

    def intrude() -> None:
        move_to("second")
        with pytest.raises(FixEnvironment) as caught:
            Search.attach(f"{URL}/tiny", simulated(URL)).fit()
        refused.append(str(caught.value))
        move_to("first")

    move_to("first")
    search = Search(finished.spec, settings=simulated(URL, At("decided", 3, intrude)))
    search.fit()
    assert "another driver is at work on this search (pid" in refused[0]
    assert search.history().is_over


def test_where_a_search_stands_is_told_on_a_machine_that_does_not_drive_it(
    finished: Search, place: Store, move_to: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.02)
    told: list[dict[str, object]] = []

    def look() -> None:
        move_to("second")
        told.append(tell_standing(Search.attach("tiny", simulated(URL))))
        move_to("first")

    move_to("first")
    assert searches_in(URL) == []
    Search(finished.spec, settings=simulated(URL, At("decided", 3, look))).fit()
    place.put("not-a-search.txt", b"x")
    assert searches_in(URL) == ["tiny"]
    driver = {"pid": os.getpid(), "host": socket.gethostname(), "epoch": 1}
    assert (told[0]["state"], told[0]["driver"]) == ("running", driver)
    assert told[0]["folder"] == f"{URL}/tiny"
    look()
    assert (told[1]["state"], told[1]["driver"]) == ("over", None)

    elsewhere = lease.Lease(place.below("tiny"), Writer("node1", 7))
    elsewhere.take()
    try:
        with pytest.raises(FixEnvironment, match=r"process 7 on node1, not here"):
            stop_driver(find_search("tiny", URL))
    finally:
        elsewhere.give_back(leave=True)
    assert stop_driver(find_search("tiny", URL)) is None  # No sign of life any more.


def test_a_name_that_nobody_kept_is_refused_with_what_is_there(
    finished: Search, place: Store, move_to: Callable[[str], Path]
) -> None:
    move_to("first")
    with pytest.raises(FixSpec, match="No search was begun there"):
        find_search("tiny", "memory://kept-by-nobody")
    Search(finished.spec, settings=simulated(URL)).fit()
    assert find_search("search/tiny.yaml", URL).where == f"{URL}/tiny"
    with pytest.raises(FixSpec, match="Searches there: tiny"):
        find_search(f"{URL}/other", "results")
    with pytest.raises(FixSpec, match="no search of this name"):
        find_search("../tiny", URL)


def test_another_spec_of_that_name_is_refused_on_every_machine(
    finished: Search, place: Store, move_to: Callable[[str], Path], write_spec: Callable[..., Path]
) -> None:
    where = move_to("first")
    Search(finished.spec, settings=simulated(URL)).fit()
    move_to("second")
    other = str(write_spec(where, seed=8))
    with pytest.raises(FixSpec, match=f"{URL}/tiny holds a search of another spec"):
        Search(other, settings=simulated(URL)).fit()


def test_a_search_that_was_copied_goes_on_in_the_copy_and_the_original_is_untouched(
    finished: Search, tmp_path: Path
) -> None:
    whole, copy = finished.folder.root, tmp_path / "elsewhere" / "tiny"
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    shutil.copytree(whole, copy)
    shutil.rmtree(copy / "ensemble")
    settings = Settings("inline", results=str(tmp_path / "unrelated"))
    again = Search.attach(str(copy), settings).fit(more_trials=1)
    assert len(again.history().suggested) == len(finished.history().suggested) + 1
    assert (copy / "ensemble" / "ensemble.json").is_file()
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "unrelated").exists()
    for name in ("journal.jsonl", "ensemble/ensemble.json", "leaderboard.csv"):
        assert str(whole) not in (copy / name).read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_trained(
    finished: Search,
) -> None:
    search = Search(finished.spec, settings=Settings("inline", results="/proc/nowhere"))
    with pytest.raises(FixSpec, match=r"node .*: /proc/nowhere/tiny cannot be written.*--results"):
        search.fit()


def test_losers_go_when_the_disk_is_small_and_the_ensemble_is_built_all_the_same(
    finished: Search, tmp_path: Path, write_spec: Callable[..., Path]
) -> None:
    changes = {
        "budget": {"trials": 6, "disk_gib": 1e-6},
        "ensemble": {"uniform": {"members": 1, "candidates": 1}},
    }
    spec = str(write_spec(tmp_path, **changes))
    search = Search(spec, settings=Settings("inline", results=str(tmp_path / "results"))).fit()
    cleaned = [e for e in read_events(search.folder.journal) if e["kind"] == "cleaned"]
    removed = [one["item"] for event in cleaned for one in event["removed"]]
    assert any("/checkpoints/" in item for item in removed)
    for record in search.history().in_state("completed"):
        trial = search.folder.trials / record.config.trial
        assert list(trial.glob("checkpoints/*/weights.safetensors"))
        assert list(trial.glob("predictions/*"))
    kept = {
        f"{path.parents[1].name}/checkpoints/{path.name}"
        for path in search.folder.trials.glob("*/checkpoints/*")
    }
    trained_again = {record.config.trial for record in search.history().in_state("completed")}
    gone = {i for i in removed if i.count("/") == 2 and i.split("/")[0] not in trained_again}
    assert gone
    assert not gone & kept
    assert search.predict(["my parcel is late"])
    events = len(read_events(search.folder.journal))
    search.fit()
    kinds = [event["kind"] for event in read_events(search.folder.journal)[events:]]
    assert "started" not in kinds
