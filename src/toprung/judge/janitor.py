"""Which files of losers go when a search takes more disk than it may."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toprung.judge.finalists import candidates, member_report
from toprung.judge.leaderboard import rank_trials
from toprung.trial.decision import State
from toprung.trial.history import History, TrialRecord
from toprung.trial.report import Metric

TRAINING = "training"
"""Last part of the name of what a checkpoint holds beside its weights."""

_ITEM = re.compile(
    r"(?P<trial>[^/]+)/(?:predictions|checkpoints/(?P<name>[^/]+?)(?P<training>/training)?)\Z"
)
_LEFTOVER = re.compile(r"\..*\.(tmp|old)\Z")
_OVER: tuple[State, ...] = ("failed", "diverged", "cancelled")


@dataclass(frozen=True)
class Removal:
    """One thing to remove.

    Attributes:
        item: ``<trial>/checkpoints/<name>``, that with ``/training``, or ``<trial>/predictions``.
        size: bytes that it frees.
        reason: in words.
    """

    item: str
    size: int
    reason: str


def choose_removals(
    history: History,
    metric: Metric,
    sizes: Mapping[str, int],
    *,
    excess: int,
    finalists: int,
) -> list[Removal]:
    """What goes, the least useful first, until the excess is covered or nothing more may go.

    The order: what writers left half done; checkpoints of trials that failed or diverged; of
    stopped trials, the worst first; what completed trials keep beside the weights they give to an
    ensemble; predictions of the trials named first. Nothing of these is touched: trials that run,
    wait for a promotion, or are trained for the ensemble; the stopped trials that finalists are
    chosen among, ``candidates`` of those that are over. As a trial that is over never falls in
    score, one that is not among them now will not be later. Where one fails that should have been
    a member, another takes its place and trains anew: that costs time and changes nothing else.

    Equal arguments give equal answers.

    Args:
        history: of the search.
        metric: that trials are ranked by.
        sizes: bytes of each item there is; see ``Removal``.
        excess: bytes to free.
        finalists: how many configurations are trained for the ensemble.
    """
    chosen: list[Removal] = []
    for removal in _removable(history, metric, sizes, finalists):
        if sum(one.size for one in chosen) >= excess:
            break
        chosen.append(removal)
    return chosen


def _removable(
    history: History, metric: Metric, sizes: Mapping[str, int], finalists: int
) -> Iterator[Removal]:
    items = _by_trial(sizes)
    running = {record.config.trial for record in history.in_state("running")}
    for trial in sorted(items):
        for item in items[trial]:
            if _LEFTOVER.match(item.rpartition("/")[2]) and trial not in running:
                yield Removal(item, sizes[item], "left half done by a writer that is gone")
    losers = _losers(history, metric, finalists)
    for trial, reason in losers.items():
        for item in items.get(trial, ()):
            if _name(item) is not None and not _LEFTOVER.match(_name(item) or ""):
                yield Removal(item, sizes[item], reason)
    for record in history.in_state("completed"):
        for item in _spare(record, metric, items.get(record.config.trial, ())):
            yield Removal(item, sizes[item], "not needed of a completed trial")
    for trial, reason in losers.items():
        item = f"{trial}/predictions"
        if item in sizes:
            yield Removal(item, sizes[item], reason)


def _losers(history: History, metric: Metric, finalists: int) -> dict[str, str]:
    """Trials that nothing needs any more, the least useful first, each with why."""
    found = {r.config.trial: f"the trial {r.state}" for r in history.in_state(*_OVER)}
    # Finalists come from the phase at work; of earlier ones only the figures count.
    phase = len(history.phases) or None
    over = [row for row in rank_trials(history, metric, phase=phase) if row.state in _ENDED]
    pool = {row.trial for row in candidates(over, finalists)}
    ordered = [row.trial for row in rank_trials(history, metric)]
    stopped = {r.config.trial for r in history.in_state("stopped") if not r.finalist}
    for trial in reversed(ordered):
        if trial in stopped and trial not in pool and trial not in history.finalists:
            found[trial] = "stopped, and too far behind to become a finalist"
    return found


_ENDED: tuple[State, ...] = ("stopped", "completed")


def _spare(record: TrialRecord, metric: Metric, items: Sequence[str]) -> Iterator[str]:
    """All but the weights that a completed trial gives to an ensemble, and its predictions."""
    best = member_report(record, metric)
    for item in items:
        name = _name(item)
        if best is None or name is None or _LEFTOVER.match(name):
            continue
        if name != str(best.resource) or item.endswith(f"/{TRAINING}"):
            yield item


def _name(item: str) -> str | None:
    """The checkpoint that an item belongs to; None for predictions."""
    match = _ITEM.match(item)
    return match["name"] if match else None


def _by_trial(sizes: Mapping[str, int]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in sorted(sizes):
        match = _ITEM.match(item)
        if match:
            found.setdefault(match["trial"], []).append(item)
    return found
