"""Where a search keeps what: every path below ``results/<search>/``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toprung.core.errors import FixSpec
from toprung.core.files import read_json
from toprung.ship.predictor import ENSEMBLE_NAME
from toprung.storage.mirror import Mirror
from toprung.storage.segments import has_segments
from toprung.storage.store import Store, is_url, open_store, working_folder
from toprung.trial.history import History
from toprung.trial.journal import JOURNAL_NAME, read_events


@dataclass(frozen=True)
class Folder:
    """The results folder of one search. Everything in it but the journal can be made again.

    Attributes:
        root: on this machine.
        mirror: of a search that is kept under a URL: what keeps both alike.
    """

    root: Path
    mirror: Mirror | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """Where the search is kept, for people: a path or a URL."""
        return str(self.root) if self.mirror is None else self.mirror.store.url

    @property
    def store(self) -> Store | None:
        """The storage that keeps the search; None where the folder itself does."""
        return None if self.mirror is None else self.mirror.store

    @property
    def push(self) -> Callable[[bytes], None] | None:
        """What a journal's lines are given to before they count; None where nothing is."""
        return None if self.mirror is None else self.mirror.push

    def make_private(self) -> None:
        """Makes the folders where they are not there, for their owner alone.

        Rows of the data stand in predictions and caches. What cannot be made is told by whoever
        writes there first.
        """
        for folder in (self.root, self.cache):
            with suppress(OSError):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def at_work(self) -> AbstractContextManager[None]:
        """The block is the one driver of the search.

        Raises:
            FixEnvironment: another driver is at work on it, as far as a storage can tell; of a
                folder the journal's lock tells.
        """
        return nullcontext() if self.mirror is None else self.mirror.at_work()

    def refresh(self) -> bool:
        """Brings what is read of a search on a storage up to date; whether it was this call."""
        return self.mirror is not None and self.mirror.refresh()

    def publish(self, *replaced: str) -> None:
        """Lets others see what was written: spec, views, and the folders that were made anew."""
        if self.mirror is not None:
            self.mirror.publish(*replaced)

    def whole_ensemble(self) -> Path:
        """The ensemble's folder, its weights at hand."""
        if self.mirror is not None:
            self.mirror.fetch_weights()
        return self.ensemble

    def ask_to_pause(self) -> None:
        """Leaves the mark at which trials save themselves and leave."""
        self.pause.touch()
        if self.mirror is not None:
            self.mirror.ask_to_pause()

    @property
    def name(self) -> str:
        """The search's name."""
        return self.root.name

    @property
    def spec(self) -> Path:
        """The resolved spec; itself a spec that can be run."""
        return self.root / "spec.yaml"

    @property
    def journal(self) -> Path:
        """The truth."""
        return self.root / JOURNAL_NAME

    @property
    def trials(self) -> Path:
        """A folder a trial: checkpoints, predictions, TensorBoard events."""
        return self.root / "trials"

    @property
    def leaderboard(self) -> Path:
        """The ranking, as CSV."""
        return self.root / "leaderboard.csv"

    @property
    def metrics(self) -> Path:
        """Test metrics of ensemble, best trial and baselines, as CSV."""
        return self.root / "metrics.csv"

    @property
    def report(self) -> Path:
        """The report in Markdown."""
        return self.root / "report.md"

    @property
    def page(self) -> Path:
        """The report as one HTML page."""
        return self.root / "report.html"

    @property
    def environment(self) -> Path:
        """Versions and machine that the search ran with."""
        return self.root / "environment.json"

    @property
    def forecast(self) -> Path:
        """What ``toprung estimate`` said; the journal has it once the search begins."""
        return self.root / "forecast.json"

    @property
    def ensemble(self) -> Path:
        """The artifact: members, weights, temperature."""
        return self.root / "ensemble"

    @property
    def predictions(self) -> Path:
        """What everyone predicted on the test split."""
        return self.root / "predictions"

    @property
    def pause(self) -> Path:
        """While this file exists, trials save themselves and leave."""
        return self.root / ".pause"

    @property
    def cache(self) -> Path:
        """Tokenised text, shared by all searches of a results folder."""
        return self.root.parent / ".cache"

    def tested(self) -> dict[str, Any] | None:
        """What ``ensemble.json`` says; None where no ensemble was built and tested to the end."""
        file = self.ensemble / ENSEMBLE_NAME
        said = read_json(file) if file.is_file() else {}
        return said if {"selection", "test"} <= said.keys() else None

    def history(self) -> History:
        """The search's state, read without taking the lock."""
        return History.of(read_events(self.journal))


def folder_of(results: str, name: str) -> Folder:
    """The folder of a search of that name under a path or a URL; it need not exist.

    Raises:
        FixSpec: no URL that results can be kept under.
        FixEnvironment: a library that it needs is not installed.

    >>> folder_of("memory://team", "mine").where
    'memory://team/mine'
    """
    if not is_url(results):
        return Folder(Path(results).resolve() / name)
    store = open_store(results)
    root = working_folder(store.url) / name
    return Folder(root, Mirror(store.below(name), root, JOURNAL_NAME))


def searches_in(results: str) -> list[str]:
    """The searches that a path or a URL for results holds, sorted by name.

    Raises:
        FixSpec, FixEnvironment: as ``folder_of``.
    """
    if not is_url(results):
        return sorted(path.parent.name for path in Path(results).glob(f"*/{JOURNAL_NAME}"))
    store = open_store(results)
    names = (name for name in store.children() if not name.startswith("."))
    return [name for name in names if has_segments(store.below(name))]


def find_search(name: str, results: str | Path) -> Folder:
    """The folder of a search that was begun, by its name, path or URL; up to date to be read.

    Raises:
        FixSpec: there is none; the message names those that are there.
        FixEnvironment: the storage of a URL does not answer, or needs a library.
    """
    if is_url(name) or is_url(str(results)):
        return _find_kept(name, str(results))
    below = [Path(results) / one for one in _names(name)]
    # A folder that stands here by chance does not go before the one that --results names.
    for root in [*below, Path(name)] if Path(name).name == name else [Path(name), *below]:
        if (root / JOURNAL_NAME).is_file():
            return Folder(root.resolve())
    raise FixSpec(
        name,
        [
            f"no search of this name under {results}/. {_known(str(results))} "
            f"Begin one with 'toprung search {name}', or name the folder with --results."
        ],
    )


def _names(name: str) -> list[str]:
    """What a search may be called: also by the path of its YAML, as ``toprung search`` was."""
    path = Path(name)
    return [name, path.stem] if path.suffix in (".yaml", ".yml") else [name]


def _find_kept(name: str, results: str) -> Folder:
    """A search that is kept under a URL, which is its own or that of all results."""
    if is_url(name):
        results, _, name = name.rstrip("/").rpartition("/")
    for candidate in [] if ".." in Path(name).parts else _names(name):
        folder = folder_of(results, candidate)
        if folder.store is not None and has_segments(folder.store):
            folder.refresh()
            return folder
    text = f"no search of this name under {results}/. {_known(results)} "
    raise FixSpec(name, [f"{text}Name another place with --results."])


def _known(results: str) -> str:
    there = searches_in(results)
    return f"Searches there: {', '.join(there)}." if there else "No search was begun there."
