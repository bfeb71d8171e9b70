"""The search phase: baselines as trial zero, then trials until the budget is spent."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from toprung.api.opening import Run
from toprung.api.phasing import at_phase, begin_next, decide_gate, refuse_debug
from toprung.api.probing import probe_nodes
from toprung.core.clock import SystemClock
from toprung.core.errors import GiveUp, Interrupted
from toprung.core.files import NO_ROOM
from toprung.judge import baselines
from toprung.judge.leaderboard import Row, best_trial, rank_trials, write_leaderboard
from toprung.judge.yardstick import MeasuredBaseline, measure_baseline
from toprung.search.runners._base import Train


def search(run: Run) -> Run:
    """Works through the search phase, or all phases of a plan, and writes the leaderboard.

    Returns:
        The run as the last phase left it.

    Raises:
        Interrupted: the search was paused; ``toprung resume`` goes on.
        GiveUp: no trial is usable, or a gate asks for a person.
        FixSpec: a node cannot use the results.
    """
    if not run.simulated:
        probe_nodes(run.folder, run.runner, run.driver)
    if not run.spec.phases:
        _search_phase(run)
    while run.spec.phases and begin_next(run):
        here = at_phase(run)
        if run.driver.history.closed is None:
            _search_phase(here)
        decide_gate(here)
    refuse_debug(run.driver.history)
    refuse_nothing(run)
    return at_phase(run)


def _search_phase(run: Run) -> None:
    """Trains until the phase is over, or goes on where it was."""
    try:
        if not run.simulated:
            _measure_baselines(run)
        work(run, run.train)
        run.driver.finish()
        if run.driver.history.closed is None:
            raise Interrupted("the search was interrupted")
    finally:
        with _without_room():
            write_leaderboard(run.folder.leaderboard, leaderboard(run))


@contextmanager
def _without_room() -> Iterator[None]:
    """A view that storage has no room for is written another time."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def refuse_nothing(run: Run) -> None:
    """Tells what to do about a search that is over and has no usable trial.

    Raises:
        GiveUp: no trial is usable.
    """
    if best_trial(leaderboard(run)) is None:
        reasons = {record.reason for record in run.driver.history.trials.values()}
        raise GiveUp(
            f"No trial is usable. Reasons: {'; '.join(sorted(reasons))}. Mend that, then try "
            f"others: toprung resume {shlex.quote(run.folder.where)} --trials +{run.spec.trials}"
        )


def work(run: Run, train: Train) -> None:
    """Lets the runner train what the driver assigns; it is not started where there is nothing.

    Raises:
        Interrupted: at the user's wish; running trials have saved themselves.
        GiveUp: trial after trial fails alike.
    """
    history = run.driver.history
    try:
        if history.closed is None or history.in_state("running"):
            run.runner.run(run.driver, train)
    except OSError:
        # Who ends a search that waits for room has the end asked for, not an error.
        if not run.driver.interrupted:
            raise
    finally:
        # Only now: the wish may come at any moment, also between two bytes of the journal.
        if run.driver.interrupted:
            with suppress(OSError):
                run.driver.write("interrupted")
    if run.driver.interrupted:
        raise Interrupted("the search was interrupted")
    run.driver.refuse_streak()


def leaderboard(run: Run) -> list[Row]:
    """The ranking as it stands."""
    return rank_trials(run.driver.history, run.metric)


def _learn_baseline(run: Run, name: str) -> MeasuredBaseline:
    """A baseline that has learned the training rows, measured on the stopping split."""
    options = next(c.options for c in run.spec.baselines if c.name == name)
    baseline = baselines.registry.make(name, options)
    return measure_baseline(
        name,
        baseline,
        run.dataset,
        clock=SystemClock(),
        seed=run.spec.seed,
        by_class=run.spec.by_class,
    )


def learn_baselines(run: Run) -> dict[str, MeasuredBaseline]:
    """All baselines of the spec, learned to predict with; the journal gets those that it lacks.

    Raises:
        Interrupted: at the user's wish.
    """
    learned = {c.name: _learn_unless_interrupted(run, c.name) for c in run.spec.baselines}
    for name, found in learned.items():
        if name not in run.driver.history.baselines:
            _journal(run, found)
    return learned


def _learn_unless_interrupted(run: Run, name: str) -> MeasuredBaseline:
    try:
        run.alone.set()
        # From here on ``Search.pause`` raises; one that came before has left its mark.
        if run.driver.interrupted:
            raise Interrupted("the search was interrupted")
        return _learn_baseline(run, name)
    except Interrupted:
        with suppress(OSError):
            run.driver.write("interrupted")
        raise
    finally:
        run.alone.clear()


def _measure_baselines(run: Run) -> None:
    for component in run.spec.baselines:
        known = run.driver.history.baselines.get(component.name)
        if known is None or known.rows != _rows(run):
            _journal(run, _learn_unless_interrupted(run, component.name))


def _rows(run: Run) -> int | None:
    """In a plan a baseline learns what the phase's trials learn from, or the gain would flatter."""
    return len(run.dataset.splits["train"]) if run.spec.phases else None


def _journal(run: Run, found: MeasuredBaseline) -> None:
    rows = _rows(run)
    told = {} if rows is None else {"rows": rows}
    metrics = dict(found.metrics)
    run.driver.write("baseline", name=found.name, metrics=metrics, seconds=found.seconds, **told)
