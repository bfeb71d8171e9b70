"""What follows a phase: rules are asked in their order, the first that holds decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toprung.judge.finalists import member_report
from toprung.judge.gates._base import Condition, Facts
from toprung.judge.leaderboard import best_trial, rank_trials
from toprung.judge.sentences import duration
from toprung.trial.history import History
from toprung.trial.report import Metric, recalls_of

Action = Literal["succeed", "next_phase", "shrink", "debug"]
ACTIONS: tuple[Action, ...] = ("succeed", "next_phase", "shrink", "debug")
END = "end"
_WORST = 3


@dataclass(frozen=True)
class Rule:
    """One node of the decision tree.

    Attributes:
        action: what follows where every condition holds.
        conditions: possibly none.
        phase: it is asked after, from 1; None for every one.
        rows: that shrinking leaves.
    """

    action: Action
    conditions: tuple[Condition, ...] = ()
    phase: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Step:
    """A rule that was asked: its number from 1, whether it held, and the numbers."""

    rule: int
    action: str
    holds: bool
    words: str


@dataclass(frozen=True)
class GateDecision:
    """What follows, why, and every rule that was asked on the way.

    ``action`` is one of ``ACTIONS``, or ``end`` after the last phase where no rule held.
    """

    action: str
    reason: str
    steps: tuple[Step, ...]
    rows: int | None = None


def decide(
    rules: Sequence[Rule], facts: Facts, *, phase: int, phases: int, is_spent: bool = False
) -> GateDecision:
    """What follows a phase. Pure: the same rules and facts give the same decision.

    A rule holds where all of its conditions do and its action can be taken: after the last phase
    none is next, and rows can only shrink. Where none holds, the next phase follows, if there is
    one; else the plan ends, and the ensemble is built of what there is.

    Args:
        rules: in their order.
        facts: of the phase that has ended.
        phase: its number, from 1.
        phases: of the plan.
        is_spent: whether the time of the whole search is, so that no phase can follow.

    >>> from toprung.judge.gates.crashes import Crashes
    >>> rules = [Rule("shrink", (Crashes(at_least=1),), rows=15000)]
    >>> facts = Facts(Metric("accuracy"), rows=20000, trials=1, crashes=["out of memory"])
    >>> found = decide(rules, facts, phase=1, phases=2)
    >>> found.action, found.rows
    ('shrink', 15000)
    >>> decide([], facts, phase=1, phases=2).reason
    'no gate holds; the next phase follows'
    """
    steps: list[Step] = []
    for number, rule in enumerate(rules, 1):
        if rule.phase not in (None, phase):
            continue
        findings = [condition.examine(facts) for condition in rule.conditions]
        words = "; ".join(f.words for f in findings) or "always"
        holds = all(f.holds for f in findings)
        refused = ""
        if holds:
            refused = _refuse(rule, facts, is_last=phase == phases, is_spent=is_spent)
        if refused:
            words, holds = f"{words}; but {refused}", False
        steps.append(Step(number, rule.action, holds, words))
        if holds:
            return GateDecision(rule.action, words, tuple(steps), rule.rows)
    if is_spent and phase < phases:
        return GateDecision(END, "no gate holds, and the time budget is spent", tuple(steps))
    if phase < phases:
        return GateDecision("next_phase", "no gate holds; the next phase follows", tuple(steps))
    return GateDecision(END, "no gate holds after the last phase", tuple(steps))


def _refuse(rule: Rule, facts: Facts, *, is_last: bool, is_spent: bool) -> str:
    """Why a rule's action cannot be taken; empty where it can."""
    if rule.action in ("next_phase", "shrink") and is_spent:
        return "the time budget is spent"
    if rule.action == "next_phase" and is_last:
        return "no phase is next"
    if rule.action == "shrink" and facts.rows is not None and (rule.rows or 0) >= facts.rows:
        return f"{facts.rows:,} rows cannot shrink to {rule.rows:,}"
    return ""


def measure_facts(history: History, metric: Metric, seconds: float) -> Facts:
    """What the phase at work amounts to, from the journal alone.

    The best trial is the first of the phase's leaderboard; its report is the one whose weights
    it would give to an ensemble, measured on all rows of the stopping split where there is one.

    Args:
        history: in which the phase has ended.
        metric: of the search, with the floor of the phase.
        seconds: of search time.
    """
    phase = history.phases[-1]
    best = best_trial(rank_trials(history, metric, phase=len(history.phases)))
    record = None if best is None else history.trials[best.trial]
    report = None
    if record is not None:
        report = member_report(record, metric) or record.best(metric)
    metrics = {} if report is None else report.metrics
    return Facts(
        metric=metric,
        rows=phase.event["rows"],
        trial=None if record is None else record.config.trial,
        metrics=metrics,
        recalls=recalls_of(metrics),
        trial_seconds=0.0 if record is None else record.seconds,
        baselines=history.baselines,
        trials=len(history.in_phase()),
        crashes=tuple(
            _last_words(r.failures[-1].kind, r.failures[-1].message) for r in history.crashed()
        ),
        seconds=seconds,
    )


def _last_words(kind: str, message: str) -> str:
    return f"{kind.replace('_', ' ')}: {message}"


def diagnose(facts: Facts) -> list[str]:
    """What is wrong with a phase, most urgent first; a sentence that has no numbers is not there.

    >>> diagnose(Facts(Metric("accuracy"), trials=2, crashes=["user error: no", "user error: no"]))
    ['2 of 2 trials crashed: user error: no (2).', 'No trial is usable.']
    """
    found: list[str] = []
    if facts.crashes:
        kinds = {said: facts.crashes.count(said) for said in facts.crashes}
        told = "; ".join(f"{said} ({count})" for said, count in kinds.items())
        found.append(f"{len(facts.crashes)} of {facts.trials} trials crashed: {told}.")
    if facts.trial is None:
        return [*found, "No trial is usable."]
    own, name = facts.metrics[facts.metric.name], facts.metric.name
    cost = f"{facts.trial} reaches {name} {own:.4f} in {duration(facts.trial_seconds)}"
    rivals = [b for b in facts.baselines.values() if name in b.metrics]
    if rivals:
        score = facts.metric.score
        best = max(rivals, key=lambda b: score(b.metrics[name]))
        value, time = best.metrics[name], duration(best.seconds)
        verdict = "beats" if score(own) > score(value) else "does not beat"
        cost += f", which {verdict} {best.name} ({value:.4f} in {time})"
    found.append(f"{cost}.")
    worst = sorted(facts.recalls.items(), key=lambda item: (item[1], item[0]))[:_WORST]
    if worst:
        told = ", ".join(f"'{name}' {recall:.4f}" for name, recall in worst)
        found.append(f"The classes of lowest recall: {told}.")
    missing = facts.metric.missing(facts.metrics)
    if missing:
        few = sum(recall < (facts.metric.floor or 0) for recall in facts.recalls.values())
        found.append(
            f"{few} of {len(facts.recalls)} classes miss the floor {facts.metric.floor:g}."
        )
    return found
