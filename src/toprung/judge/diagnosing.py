"""Looks at a trial with every diagnosis, and gathers what a whole search suffers from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import median

from toprung.judge import diagnoses
from toprung.judge.diagnoses._base import Course, Diagnosis, Facts
from toprung.trial.finding import Finding
from toprung.trial.history import History, TrialRecord


@cache
def every_diagnosis() -> Mapping[str, Diagnosis]:
    """Each diagnosis by name, with the thresholds that it has by itself."""
    return {name: diagnoses.registry.make(name, {}) for name in diagnoses.registry.names()}


def examine_trial(record: TrialRecord, facts: Facts) -> list[Finding]:
    """Every symptom that a trial shows after its last report or failure; those that end it first.

    >>> from toprung.trial.config import Resource, TrialConfig
    >>> from toprung.trial.decision import Failure
    >>> from toprung.trial.report import Metric
    >>> record = TrialRecord(TrialConfig("t0001", {}, 0), "random", state="diverged")
    >>> record.failures.append(Failure("diverged", "the training loss is nan at step 3"))
    >>> facts = Facts(metric=Metric("accuracy"), resource=Resource("examples", 8, 8))
    >>> [(found.symptom, found.evidence) for found in examine_trial(record, facts)]
    [('not_finite', 'the training loss is nan at step 3')]
    """
    course = Course(
        values=record.config.values,
        reports=[r for r in record.reports if facts.metric.name in r.metrics],
        failures=record.failures if record.state != "running" else (),
        facts=facts,
    )
    reached = record.reports[-1].resource if record.reports else 0
    found = []
    for name, diagnosis in every_diagnosis().items():
        evidence = diagnosis.evidence(course)
        if evidence is not None:
            told = (diagnosis.title, evidence, diagnosis.remedy)
            found.append(Finding(name, *told, reached, diagnosis.stops, diagnosis.of_data))
    return sorted(found, key=lambda finding: not finding.stops)


@dataclass(frozen=True)
class Examiner:
    """Examines the trials of one search; knows its rows, and learns its baselines as they come.

    Attributes:
        facts: of the search, without baselines.
    """

    facts: Facts

    def __call__(self, record: TrialRecord, history: History) -> Sequence[Finding]:
        baselines = {name: one.metrics for name, one in history.baselines.items()}
        facts = replace(self.facts, baselines=baselines)
        if record.phase:
            facts = _of_phase(facts, history.phases[record.phase - 1].event["rows"], record.most)
        return examine_trial(record, facts)


def _of_phase(facts: Facts, rows: int | None, most: int) -> Facts:
    """The facts of a plan's phase, which trains on a stratified part of the rows, or on all."""
    rows = facts.rows if rows is None else rows
    share = rows / facts.rows if facts.rows else 1.0
    return replace(
        facts,
        resource=replace(facts.resource, max=most),
        rows=rows,
        class_rows={name: round(count * share) for name, count in facts.class_rows.items()},
    )


@dataclass(frozen=True)
class Complaint:
    """A symptom and the trials that showed it.

    Attributes:
        finding: of the best of them.
        trials: that showed it, best first.
        stopped: those that were ended for it.
    """

    finding: Finding
    trials: tuple[str, ...]
    stopped: tuple[str, ...]


def gather(history: History, ranked: Sequence[str]) -> list[Complaint]:
    """Every symptom of a search once, the most frequent first.

    Args:
        history: of the search.
        ranked: trials, best first.
    """
    shown: dict[str, dict[str, Finding]] = {}
    for trial in ranked:
        record = history.trials.get(trial)
        for finding in record.findings if record else ():
            shown.setdefault(finding.symptom, {})[trial] = finding
    _agree(shown, history, ranked)
    complaints = []
    for found in shown.values():
        ended = tuple(t for t, f in found.items() if f.stops and _ended(history.trials[t], f))
        complaints.append(Complaint(next(iter(found.values())), tuple(found), ended))
    return sorted(complaints, key=lambda one: (not one.finding.of_data, -len(one.trials)))


def _agree(shown: dict[str, dict[str, Finding]], history: History, ranked: Sequence[str]) -> None:
    """Gives trials with two symptoms that ask for opposite learning rates one remedy.

    An answer that is the same for all rows comes of a rate that is too high as of one that is too
    low; what speaks for either is the rate of the best trial without any of both symptoms.
    """
    high, low = shown.get("one_class", {}), shown.get("not_learning", {})
    both = high.keys() & low.keys()
    rates = [rate for trial in both if (rate := _rate(history.trials[trial])) is not None]
    if not rates:
        return
    sound = history.trials.keys() - high.keys() - low.keys()
    others = (history.trials[trial] for trial in ranked if trial in sound)
    best = next((rate for other in others if (rate := _rate(other)) is not None), None)
    if best is None or best == median(rates):
        remedy = "Search learning rates both lower and higher, or train more layers."
    else:
        remedy = next(iter((low if median(rates) < best else high).values())).remedy
    for found in (high, low):
        if found.keys() <= both:
            found |= {trial: replace(finding, remedy=remedy) for trial, finding in found.items()}


def _rate(record: TrialRecord) -> float | None:
    rate = record.config.values.get("learning_rate")
    return float(rate) if isinstance(rate, int | float) else None


def _ended(record: TrialRecord, finding: Finding) -> bool:
    return record.state == "diverged" or record.reason == finding.reason
