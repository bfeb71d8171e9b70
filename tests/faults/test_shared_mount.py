"""Results on a mount that machines share, each under a path of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.core.errors import FixEnvironment
from toprung.trial.journal import Event, read_events


class Died(BaseException):
    """What ends a driver in the middle of things, as a signal would."""


@pytest.fixture(params=["second path", "bind mount"])
def paths(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """One folder, as two machines see it."""
    one, other = tmp_path / "one" / "results", tmp_path / "other" / "results"
    one.mkdir(parents=True)
    other.parent.mkdir()
    if request.param == "second path":
        other.symlink_to(one)
        yield one, other
        return
    other.mkdir()
    command = ["mount", "--bind", str(one), str(other)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs the rights of an administrator")
    try:
        yield one, other
    finally:
        subprocess.run(["umount", str(other)], check=True)


def simulated(results: Path, *watchers: Callable[[Event], None]) -> Settings:
    return Settings(runner="virtual", results=str(results), watchers=watchers)


def course(search: Search) -> list[tuple[object, ...]]:
    """What was decided, with its reasons; of what was done twice, both."""
    names = ("kind", "trial", "resource", "decision", "reason", "values")
    events = read_events(search.folder.journal)
    kinds = ("suggested", "promoted", "decided")
    return [tuple(str(e.get(n)) for n in names) for e in events if e["kind"] in kinds]


def test_a_search_goes_on_through_another_path_of_the_same_folder(
    paths: tuple[Path, Path],
    tmp_path: Path,
    write_spec: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = paths
    spec = str(write_spec(tmp_path, budget={"trials": 16}))
    twin = Search(spec, settings=simulated(tmp_path / "undisturbed")).fit()

    left = iter(range(9))

    def die(event: Event) -> None:
        if event["kind"] == "decided" and next(left, None) is None:
            raise Died

    with pytest.raises(Died):
        Search(spec, settings=simulated(one, die)).fit()
    monkeypatch.chdir(other)
    again = Search.attach("tiny", simulated(other)).fit()
    assert course(again) == course(twin)
    assert again.folder.leaderboard.read_bytes() == twin.folder.leaderboard.read_bytes()
    assert str(one) not in again.folder.journal.read_text(encoding="utf-8")


def test_two_drivers_on_a_shared_folder_are_one_too_many(
    paths: tuple[Path, Path], tmp_path: Path, write_spec: Callable[..., Path]
) -> None:
    one, other = paths
    refused: list[str] = []

    def intrude(event: Event) -> None:
        if event["kind"] == "decided" and not refused:
            with pytest.raises(FixEnvironment) as caught:
                Search.attach("tiny", simulated(other)).fit()
            refused.append(str(caught.value))

    spec = str(write_spec(tmp_path))
    search = Search(spec, settings=simulated(one, intrude)).fit()
    assert "another driver is at work on this search" in refused[0]
    assert search.history().is_over
