"""The search phase: baselines as trial zero, then trials until the budget is spent."""

from __future__ import annotations

from toprung.api.opening import Run
from toprung.core.clock import SystemClock
from toprung.core.errors import GiveUp, Interrupted
from toprung.judge import baselines
from toprung.judge.leaderboard import Row, best_trial, rank_trials, write_leaderboard
from toprung.judge.yardstick import MeasuredBaseline, measure_baseline
from toprung.search.runners._base import Train


def search(run: Run) -> None:
    """Works through the search phase and writes the leaderboard.

    Raises:
        Interrupted: the search was paused; ``toprung resume`` goes on.
        GiveUp: no trial is usable.
    """
    if not run.simulated:
        _measure_baselines(run)
    try:
        work(run, run.train)
        run.driver.finish()
        if run.driver.history.closed is None:
            raise Interrupted("the search was interrupted")
    finally:
        write_leaderboard(run.folder.leaderboard, leaderboard(run))
    if best_trial(leaderboard(run)) is None:
        reasons = {record.reason for record in run.driver.history.trials.values()}
        raise GiveUp("No trial is usable. Reasons: " + "; ".join(sorted(reasons)))


def work(run: Run, train: Train) -> None:
    """Lets the runner train what the driver assigns.

    Raises:
        Interrupted: at the user's wish; running trials have saved themselves.
    """
    try:
        run.runner.run(run.driver, train)
    finally:
        # Only now: the wish may come at any moment, also between two bytes of the journal.
        if run.driver.interrupted:
            run.driver.write("interrupted")
    if run.driver.interrupted:
        raise Interrupted("the search was interrupted")


def leaderboard(run: Run) -> list[Row]:
    """The ranking as it stands."""
    return rank_trials(run.driver.history, run.spec.metric)


def learn_baseline(run: Run, name: str) -> MeasuredBaseline:
    """A baseline that has learned the training rows, measured on the stopping split."""
    options = next(c.options for c in run.spec.baselines if c.name == name)
    baseline = baselines.registry.make(name, options)
    return measure_baseline(name, baseline, run.dataset, clock=SystemClock(), seed=run.spec.seed)


def _measure_baselines(run: Run) -> None:
    for component in run.spec.baselines:
        if component.name not in run.driver.history.baselines:
            found = learn_baseline(run, component.name)
            run.driver.write(
                "baseline", name=found.name, metrics=dict(found.metrics), seconds=found.seconds
            )
