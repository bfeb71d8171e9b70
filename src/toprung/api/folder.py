"""Where a search keeps what: every path below ``results/<search>/``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toprung.core.errors import FixSpec
from toprung.trial.history import History
from toprung.trial.journal import JOURNAL_NAME, read_events


@dataclass(frozen=True)
class Folder:
    """The results folder of one search. Everything in it but the journal can be made again."""

    root: Path

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

    def history(self) -> History:
        """The search's state, read without taking the lock."""
        return History.of(read_events(self.journal))


def find_search(name: str, results: str | Path) -> Folder:
    """The folder of a search that was begun, by its name or path.

    Raises:
        FixSpec: there is none; the message names those that are there.
    """
    # Also the path of its YAML, which is what `toprung search` was given.
    for root in (Path(name), Path(results) / name, Path(results) / Path(name).stem):
        if (root / JOURNAL_NAME).is_file():
            return Folder(root.resolve())
    there = sorted(path.parent.name for path in Path(results).glob(f"*/{JOURNAL_NAME}"))
    known = f"Searches there: {', '.join(there)}." if there else "No search was begun there."
    raise FixSpec(
        name,
        [
            f"no search of this name under {results}/. {known} "
            f"Begin one with 'toprung search {name}', or name the folder with --results."
        ],
    )
