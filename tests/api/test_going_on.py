"""Searches that are paused, gone on with, extended, or begun with another spec."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from toprung.api import Search, ensembling, opening, searching
from toprung.api.folder import Folder, find_search
from toprung.api.opening import Settings, open_run
from toprung.api.progress import Progress
from toprung.cli.running import _pausing
from toprung.core.errors import FixEnvironment, FixSpec, Interrupted
from toprung.data.dataset import Dataset, Split
from toprung.judge.yardstick import MeasuredBaseline
from toprung.learn.trainer import Trainer
from toprung.trial.journal import Event, read_events

MOMENTS = {
    "before the first trial": ("baseline", 1),
    "between two rungs": ("reported", 3),
    "at a decision": ("decided", 7),
}


def kinds(folder: Folder) -> list[str]:
    return [event["kind"] for event in read_events(folder.journal)]


def trainings(folder: Folder) -> list[tuple[str, int]]:
    """Every report's trial and resource: a pair that stands twice was trained twice."""
    events = read_events(folder.journal)
    return [(e["trial"], e["resource"]) for e in events if e["kind"] == "reported"]


def told(search: Search) -> list[tuple[object, ...]]:
    """All of the leaderboard but what time it took."""
    return [
        (row.rank, row.trial, row.score, row.resource, row.state, row.reason, dict(row.values))
        for row in search.rows()
    ]


class PauseAt:
    """A watcher that pauses a search at the n-th event of a kind."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind, self.left = kind, number
        self.search: Search | None = None

    def __call__(self, event: Event) -> None:
        self.left -= event["kind"] == self.kind
        if self.left == 0 and event["kind"] == self.kind and self.search is not None:
            self.search.pause()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_paused_search_ends_as_the_one_that_was_never_paused(
    moment: str, finished: Search, tmp_path: Path
) -> None:
    pause = PauseAt(*MOMENTS[moment])
    settings = Settings("inline", results=str(tmp_path / "results"), watchers=(pause,))
    search = pause.search = Search(finished.spec, settings=settings)
    with pytest.raises(Interrupted):
        search.fit()
    assert kinds(search.folder)[-1] == "interrupted"
    assert search.folder.leaderboard.is_file()
    assert not search.folder.ensemble.exists()
    search.fit()
    assert told(search) == told(finished)
    assert len(trainings(search.folder)) == len(set(trainings(search.folder)))
    one, other = (
        json.loads((s.folder.ensemble / "ensemble.json").read_text()) for s in (search, finished)
    )
    assert one == other


def test_a_pause_while_the_search_still_opens_counts(
    finished: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(finished.spec, settings=Settings("inline", results=str(tmp_path)))
    load = opening.load_dataset

    def load_and_pause(source: object, seed: int) -> Dataset:
        search.pause()
        return load(source, seed)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "load_dataset", load_and_pause)
    with pytest.raises(Interrupted):
        search.fit()
    assert not {"started", "baseline"} & set(kinds(search.folder))


def test_a_signal_amid_a_write_to_the_journal_leaves_it_whole(
    finished: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(finished.spec, settings=Settings("inline", results=str(tmp_path)))
    sync, left = os.fsync, iter(range(12))

    def sync_and_pause(file: int) -> None:
        sync(file)
        if next(left, 0) == 11:
            search.pause()

    monkeypatch.setattr(os, "fsync", sync_and_pause)
    with pytest.raises(Interrupted):
        search.fit()
    assert kinds(search.folder)[-1] == "interrupted"
    assert kinds(search.folder).count("interrupted") == 1


def test_ctrl_c_breaks_a_baseline_off_which_is_learned_anew_later(
    finished: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(finished.spec, settings=Settings("inline", results=str(tmp_path)))

    def press(*_: object, **__: object) -> MeasuredBaseline:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the baseline goes on")

    with monkeypatch.context() as patched:
        patched.setattr(searching, "measure_baseline", press)
        with _pausing(search), pytest.raises(Interrupted):
            search.fit()
    assert kinds(search.folder)[-1] == "interrupted"
    assert "baseline" not in kinds(search.folder)
    assert told(search.fit()) == told(finished)


def test_a_pause_of_a_search_that_does_not_run_changes_nothing(copied: Search) -> None:
    before = kinds(copied.folder)
    copied.pause()
    assert kinds(copied.folder) == before
    copied.fit()
    assert kinds(copied.folder) == [*before, "opened"]


def test_more_trials_extend_a_finished_search(copied: Search) -> None:
    before = trainings(copied.folder)
    copied.fit(more_trials=1)
    history = copied.history()
    assert [trial for trial in history.trials if "-" not in trial] == [
        "t0001",
        "t0002",
        "t0003",
        "t0004",
        "t0005",
    ]
    after = trainings(copied.folder)
    assert after[: len(before)] == before
    assert len(after) == len(set(after))
    assert history.closed is not None
    assert len(history.ensembles) == 2
    assert "t0005" in copied.folder.leaderboard.read_text(encoding="utf-8")
    assert "t0005" in copied.folder.report.read_text(encoding="utf-8")
    said = json.loads((copied.folder.ensemble / "ensemble.json").read_text(encoding="utf-8"))
    assert said["test"]["opened"] == 2


@pytest.mark.parametrize("change", ["seed=8", "budget.trials=5", "metric=accuracy"])
def test_another_spec_under_the_same_name_is_refused(change: str, copied: Search) -> None:
    other = Search(str(copied.folder.spec), change, settings=copied.settings)
    before = copied.folder.journal.read_bytes()
    with pytest.raises(FixSpec, match="another spec") as caught:
        other.fit()
    assert caught.value.exit_code == 2
    assert change.partition("=")[2] in str(caught.value)
    assert "--results" in str(caught.value)
    assert copied.folder.journal.read_bytes() == before


def test_a_spec_that_only_reads_differently_is_the_same(
    copied: Search, write_spec: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_spec(tmp_path)
    path.write_text("# another remark\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    Search(str(path), settings=copied.settings).fit()
    assert kinds(copied.folder)[-1] == "opened"


def test_a_simulated_search_is_not_taken_for_a_real_one(finished: Search, tmp_path: Path) -> None:
    virtual = Search(finished.spec, settings=Settings("virtual", results=str(tmp_path))).fit()
    real = Search(finished.spec, settings=Settings("inline", results=str(tmp_path)))
    for go_on in (real.fit, virtual.report):
        with pytest.raises(FixSpec, match="a simulated search"):
            go_on()


def test_a_real_search_is_not_gone_on_with_by_simulation(copied: Search) -> None:
    virtual = Search(copied.spec, settings=replace(copied.settings, runner="virtual"))
    with pytest.raises(FixSpec, match="a real search"):
        virtual.fit()


def test_a_simulated_search_twice_writes_the_same_journal(finished: Search, tmp_path: Path) -> None:
    journals = []
    for name in ("one", "two"):
        settings = Settings("virtual", results=str(tmp_path / name))
        journals.append(Search(finished.spec, settings=settings).fit().folder.journal.read_bytes())
    assert journals[0] == journals[1]


def test_a_second_driver_is_refused(copied: Search) -> None:
    with (
        open_run(copied.spec, copied.folder, copied.settings),
        pytest.raises(FixEnvironment, match="another driver"),
    ):
        copied.fit()


def test_an_ensemble_of_an_unfinished_search_is_refused(finished: Search, tmp_path: Path) -> None:
    pause = PauseAt("decided", 2)
    settings = Settings("inline", results=str(tmp_path), watchers=(pause,))
    search = pause.search = Search(finished.spec, settings=settings)
    with pytest.raises(Interrupted):
        search.fit()
    with pytest.raises(FixSpec, match=f"toprung resume {search.folder.root}"):
        search.rebuild_ensemble()
    assert kinds(search.folder)[-1] == "interrupted"


def test_a_notebooks_bar_follows_a_search_that_was_begun_before(
    copied: Search, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    copied.fit(more_trials=1)
    assert "t000" in capsys.readouterr().err


def test_trials_never_see_the_test_split(copied: Search) -> None:
    with open_run(copied.spec, copied.folder, copied.settings) as run:
        assert "test" in run.dataset.splits
        assert isinstance(run.train, Trainer)
        assert "test" not in run.train.dataset.splits


class Watched(Mapping[str, Split]):
    """Splits that note where the search stands when one is taken."""

    def __init__(self, splits: Mapping[str, Split], look: Callable[[str], None]) -> None:
        self._splits, self._look = splits, look

    def __getitem__(self, name: str) -> Split:
        self._look(name)
        return self._splits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._splits)

    def __len__(self) -> int:
        return len(self._splits)


def test_the_test_split_is_read_after_the_search_is_over(
    finished: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(finished.spec, settings=Settings("inline", results=str(tmp_path)))
    load = opening.load_dataset
    looks: list[bool] = []

    def look(name: str) -> None:
        if name == "test":
            looks.append("closed" in kinds(search.folder))

    def load_watched(source: object, seed: int) -> Dataset:
        data = load(source, seed)  # type: ignore[arg-type]
        kept = {name: split for name, split in data.splits.items() if name != "test"}
        trained = replace(data, splits=kept)
        monkeypatch.setattr(Dataset, "without", lambda *_: trained)
        return replace(data, splits=Watched(data.splits, look))

    monkeypatch.setattr(opening, "load_dataset", load_watched)
    search.fit()
    assert looks
    assert all(looks)


@pytest.mark.parametrize("name", ["tiny", "tiny.yaml", "some/where/tiny.yaml"])
def test_a_search_is_found_by_name_and_by_its_yaml(name: str, copied: Search) -> None:
    assert find_search(name, copied.settings.results).root == copied.folder.root


def test_a_search_is_found_by_its_folder_and_with_a_dot_in_its_name(copied: Search) -> None:
    assert find_search(str(copied.folder.root), "nowhere").root == copied.folder.root
    dotted = copied.folder.root.rename(copied.folder.root.with_name("v1.5"))
    assert find_search("v1.5", copied.settings.results).root == dotted
    dotted.rename(dotted.with_name("v1"))
    with pytest.raises(FixSpec, match="no search of this name"):
        find_search("v1.5", copied.settings.results)


def test_a_folder_that_stands_here_by_chance_does_not_go_before_the_named_results(
    copied: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(copied.folder.root, elsewhere / "tiny")
    monkeypatch.chdir(elsewhere)
    assert find_search("tiny", copied.settings.results).root == copied.folder.root
    assert find_search("tiny", "nowhere").root == elsewhere / "tiny"
    assert find_search("./tiny", copied.settings.results).root == elsewhere / "tiny"


def test_an_unknown_search_is_answered_with_those_that_are_there(copied: Search) -> None:
    with pytest.raises(FixSpec, match="Searches there: tiny"):
        Search.attach("tinny", copied.settings)


def test_an_ensemble_that_was_cut_off_at_its_test_is_built_again(
    copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*given: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ensembling, "open_test", cut_off)
        with pytest.raises(KeyboardInterrupt):
            copied.rebuild_ensemble()
    assert copied.folder.tested() is None
    copied.fit()
    said = copied.folder.tested()
    assert said is not None
    assert said["test"]["opened"] == 3


def test_what_is_left_of_an_extended_search_counts_the_trials_that_were_added(
    copied: Search,
) -> None:
    left: list[float | None] = []
    progress = Progress(copied.spec, copied.folder.root, copied.history())

    def look(event: Event) -> None:
        progress(event)
        if event["kind"] == "reported":
            left.append(progress.standing().eta_seconds)

    more = replace(copied.settings, watchers=(look,))
    Search.attach("tiny", more).fit(more_trials=8)
    assert left[0] is not None
    assert left[0] > 0
