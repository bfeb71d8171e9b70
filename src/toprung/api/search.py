"""``Search``: a search from its spec to its ensemble."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from toprung.api.courses import metric_of
from toprung.api.folder import find_search
from toprung.api.opening import Run, Settings, open_run, search_folder
from toprung.api.phasing import at_phase, refuse_debug
from toprung.api.progress import NotebookBar, Progress
from toprung.api.sameness import reopen
from toprung.api.searching import refuse_nothing, search
from toprung.core.errors import FixSpec, GiveUp, Interrupted
from toprung.core.later import later
from toprung.data.series import Content
from toprung.judge.leaderboard import Row, best_trial, rank_trials, to_frame
from toprung.ship.predictor import Ensemble
from toprung.spec.load import load_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.history import History

ensembling, reporting = later("toprung.api.ensembling"), later("toprung.api.reporting")


class Search:
    """A search from its spec to its ensemble.

    >>> Search("search/quickstart.yaml").fit().ensemble().predict(["my parcel is late"])
    ... # doctest: +SKIP
    ['shipping_delay']
    """

    def __init__(
        self,
        spec: str | SearchSpec,
        *overrides: str,
        settings: Settings | None = None,
    ) -> None:
        """Names the search; nothing is read but the spec.

        Args:
            spec: path or catalogue name of a YAML, or a loaded spec.
            overrides: ``key=value`` as on the command line.
            settings: runner, Ray address, results folder.

        Raises:
            FixSpec: the spec has problems; all are told.
        """
        self.spec = spec if isinstance(spec, SearchSpec) else load_spec(spec, overrides)
        self.settings = settings or Settings()
        self.folder = search_folder(self.spec, self.settings.results)
        self._run: Run | None = None
        self._paused = False

    @classmethod
    def attach(cls, name: str, settings: Settings | None = None) -> Search:
        """A search that was begun before, by its name or folder.

        Raises:
            FixSpec: there is none of that name.
        """
        settings = settings or Settings()
        folder = find_search(name, settings.results)
        found = cls(reopen(folder), settings=settings)
        found.folder = folder
        return found

    def fit(self, *, more_trials: int = 0) -> Search:
        """Searches, builds the ensemble and writes the report; goes on where it was left.

        Args:
            more_trials: added to the budget of a search that was begun before.

        Raises:
            Interrupted: paused with ``pause``; call again to go on.
            GiveUp: no trial is usable.
            FixData, FixEnvironment: see their messages.
        """
        with self._open() as run:
            if more_trials:
                run.driver.extend(more_trials)
            try:
                if not run.driver.history.is_over:
                    search(run)
                refuse_debug(run.driver.history)
                refuse_nothing(run)
            except GiveUp:
                reporting.write_views(at_phase(run))
                raise
            here = at_phase(run)
            if _lacks_ensemble(here):
                ensembling.ensemble(here)
            reporting.write_views(here)
        return self

    def rebuild_ensemble(self) -> Search:
        """Builds ensemble and report again, from the trials that there are.

        Raises:
            FixSpec: the search phase is not over; ``fit`` goes on with it.
        """
        if not self.history().is_over:
            where = shlex.quote(self.folder.where)
            text = f"the search is not over. Go on with it: toprung resume {where}"
            raise FixSpec(self.folder.where, [text])
        with self._open() as run:
            here = at_phase(run)
            ensembling.ensemble(here)
            reporting.write_views(here)
        return self

    def report(self) -> str:
        """Writes every view again from journal and predictions; returns the report's text."""
        # Nothing is trained, so that no Ray need be there.
        with open_run(self.spec, self.folder, replace(self.settings, runner="inline")) as run:
            reporting.write_views(at_phase(run))
        return self.folder.report.read_text(encoding="utf-8")

    def pause(self) -> None:
        """Lets running trials save themselves and leave.

        Safe to call from a signal handler: it leaves marks, which runner and trials look at
        between two steps; the journal is told when they have left.

        Raises:
            Interrupted: nothing trains, but a baseline is learned, which takes minutes on many
                rows; in the main thread, where signals are handled, this breaks it off.
        """
        self._paused = True
        if self._run is not None:
            self._run.driver.interrupted = True
            with suppress(OSError):
                self.folder.ask_to_pause()
            in_main = threading.current_thread() is threading.main_thread()
            if in_main and self._run.alone.is_set():
                raise Interrupted("the search was interrupted")

    @contextmanager
    def _open(self) -> Iterator[Run]:
        """The search, open; a pause that was asked for while it opened counts."""
        self._paused = False
        with open_run(self.spec, self.folder, self._shown()) as run:
            self._run = run
            try:
                if self._paused:
                    self.pause()
                yield run
            finally:
                self._run = None

    def history(self) -> History:
        """The state of the search, folded from its journal."""
        return self.folder.history()

    def rows(self) -> list[Row]:
        """The leaderboard's rows, best first."""
        history = self.history()
        return rank_trials(history, metric_of(self.spec, history))

    def leaderboard(self) -> Any:
        """The leaderboard as a DataFrame, best first: the columns of ``leaderboard.csv``."""
        return to_frame(self.rows())

    def best(self) -> dict[str, Any]:
        """The configuration of the best trial.

        Raises:
            LookupError: no trial has a score yet.
        """
        row = best_trial(self.rows())
        if row is None:
            raise LookupError("no trial has a score yet")
        return dict(row.values)

    def ensemble(self) -> Ensemble:
        """The saved ensemble, loaded.

        Raises:
            FixEnvironment: it was not built yet, or a file of it was changed.
        """
        return Ensemble.load(self.folder.whole_ensemble())

    def predict(self, rows: Content) -> list[str] | list[tuple[str, ...]]:
        """The ensemble's label of each row, or its labels where there may be several."""
        return self.ensemble().predict(rows)

    def predict_proba(self, rows: Content) -> Any:
        """The ensemble's calibrated probabilities, shape (rows, classes)."""
        return self.ensemble().predict_proba(rows)

    def _repr_html_(self) -> str:
        begun = self.folder.journal.is_file()
        return str(self.leaderboard().to_html()) if begun else f"{self.spec.name}: not begun"

    def _shown(self) -> Settings:
        """The settings, with a progress bar where a notebook would show one."""
        if "ipykernel" not in sys.modules or self.settings.watchers:
            return self.settings
        begun = self.history() if self.folder.journal.is_file() else None
        bar = NotebookBar(Progress(self.spec, self.folder.root, begun))
        return replace(self.settings, watchers=(bar,))


def _lacks_ensemble(run: Run) -> bool:
    """Whether there is no whole ensemble, or trials were tried after it."""
    history = run.driver.history
    if not history.ensembles or history.ensembles[-1]["trials"] != len(history.trials):
        return True
    return not run.simulated and run.folder.tested() is None
