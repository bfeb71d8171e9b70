"""The search phase: baselines as trial zero, then trials until the budget is spent."""

from __future__ import annotations

from toprung.api.opening import Run
from toprung.core.errors import GiveUp, Interrupted
from toprung.data.metrics import measure
from toprung.judge import baselines
from toprung.judge.baselines._base import Baseline
from toprung.judge.leaderboard import Row, best_trial, rank_trials, write_leaderboard
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
    run.runner.run(run.driver, train)
    if run.driver.interrupted:
        raise Interrupted("the search was interrupted")


def leaderboard(run: Run) -> list[Row]:
    """The ranking as it stands."""
    return rank_trials(run.driver.history, run.spec.metric)


def fit_baseline(run: Run, name: str) -> Baseline:
    """A baseline that has learned the training rows."""
    component = next(c for c in run.spec.baselines if c.name == name)
    baseline = baselines.registry.make(name, component.options)
    train = run.dataset.splits["train"]
    baseline.fit(train.texts, train.labels, len(run.dataset.label_names), run.spec.seed)
    return baseline


def _measure_baselines(run: Run) -> None:
    stopping = run.dataset.splits["stopping"]
    for component in run.spec.baselines:
        if component.name in run.driver.history.baselines:
            continue
        began = run.driver.elapsed()
        logits = fit_baseline(run, component.name).logits(stopping.texts)
        run.driver.write(
            "baseline",
            name=component.name,
            metrics=measure(logits, stopping.labels),
            seconds=round(run.driver.elapsed() - began, 3),
        )
