"""ASHA's rules against the paper's pseudocode, written again in the plainest way."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toprung.search.schedulers._base import rungs
from toprung.search.schedulers.asha import Asha, Rule
from toprung.trial.config import Resource, trial_id
from toprung.trial.decision import Continue, Pause, Stop
from toprung.trial.report import Metric

ORDERS = 10_000


@dataclass
class PaperAsha:
    """Algorithm 2 of Li et al. 2020 on lists; ``get_job`` is its function of that name.

    Attributes:
        least: so many may go on from a rung however few have reached it; 0 in the paper.
    """

    eta: int
    ladder: tuple[int, ...]
    least: int = 0
    reached: dict[int, list[tuple[str, float]]] = field(default_factory=dict)
    promoted: dict[int, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reached = {resource: [] for resource in self.ladder}
        self.promoted = {resource: set() for resource in self.ladder}

    def top(self, resource: int, count: int) -> list[str]:
        everyone = list(enumerate(self.reached[resource]))
        everyone.sort(key=lambda entry: (-entry[1][1], entry[0]))
        return [trial for _, (trial, _) in everyone[:count]]

    def get_job(self) -> tuple[str, int] | None:
        for resource in reversed(self.ladder[:-1]):
            share = max(self.least, len(self.reached[resource]) // self.eta)
            candidates = self.top(resource, share)
            promotable = [t for t in candidates if t not in self.promoted[resource]]
            if promotable:
                return promotable[0], resource
        return None

    def take_job(self) -> tuple[str, int] | None:
        job = self.get_job()
        if job:
            self.promoted[job[1]].add(job[0])
        return job

    def report(self, trial: str, resource: int, score: float) -> str:
        self.reached[resource].append((trial, score))
        if resource == self.ladder[-1]:
            return "stop"
        if self.get_job() == (trial, resource):
            self.take_job()
            return "continue"
        return "pause"


def scores(chance: random.Random) -> float:
    return chance.choice([chance.random(), chance.randrange(4) / 4])


def ladder(chance: random.Random) -> tuple[int, tuple[int, ...]]:
    eta = chance.choice([2, 3, 4])
    return eta, rungs(1, eta ** chance.choice([1, 2, 3]), eta)


def asha(eta: int, steps: tuple[int, ...], rule: Rule = "promote") -> Asha:
    scheduler = Asha(reduction_factor=eta, rule=rule)
    scheduler.prepare(Resource("examples", steps[0], steps[-1], steps), Metric("accuracy"))
    return scheduler


def word(decision: Continue | Pause | Stop) -> str:
    return type(decision).__name__.lower()


def check_promote(chance: random.Random, rule: Rule = "promote") -> int:
    """One random search, each step compared; returns how many trials went on.

    Slots come and go, so that several trials wait for promotion on several rungs at once.
    """
    eta, steps = ladder(chance)
    ours, paper = asha(eta, steps, rule), PaperAsha(eta, steps, least=int(rule == "eager"))
    most, added, went_on = chance.randint(2, 24), 0, 0
    running: list[tuple[str, int]] = []
    haste = chance.random()
    while True:
        if added < most and chance.random() < 0.3:  # A slot of its own for a new trial.
            added += 1
            ours.add(trial_id(added))
            running.append((trial_id(added), steps[0]))
        if not running or chance.random() < haste:
            promotion, job = ours.promote(), paper.take_job()
            assert (promotion and (promotion.trial, promotion.start)) == job
            if job:
                running.append((job[0], steps[steps.index(job[1]) + 1]))
                went_on += 1
            elif added < most:
                added += 1
                ours.add(trial_id(added))
                running.append((trial_id(added), steps[0]))
            elif not running:
                return went_on
        if running:
            trial, resource = running.pop(chance.randrange(len(running)))
            score = scores(chance)
            decision = ours.decide(trial, resource, score)
            assert word(decision) == paper.report(trial, resource, score)
            if isinstance(decision, Continue):
                running.append((trial, steps[steps.index(resource) + 1]))
                went_on += 1


def check_stop(chance: random.Random) -> int:
    eta, steps = ladder(chance)
    ours = asha(eta, steps, rule="stop")
    seen: dict[int, list[float]] = {step: [] for step in steps}
    running: list[tuple[str, int]] = []
    for number in range(1, chance.randint(2, 24)):
        ours.add(trial_id(number))
        running.append((trial_id(number), steps[0]))
    went_on = 0
    while running:
        trial, resource = running.pop(chance.randrange(len(running)))
        score = scores(chance)
        earlier = seen[resource]
        not_worse = len([other for other in earlier if other >= score])
        expected = not_worse < max(1, (len(earlier) + 1) // eta) and resource != steps[-1]
        decision = ours.decide(trial, resource, score)
        assert isinstance(decision, Continue if expected else Stop)
        assert isinstance(decision, Continue) or decision.completed == (resource == steps[-1])
        seen[resource].append(score)
        if expected:
            running.append((trial, steps[steps.index(resource) + 1]))
            went_on += 1
    return went_on


def check_eager(chance: random.Random) -> int:
    return check_promote(chance, "eager")


@pytest.mark.parametrize("check", [check_promote, check_eager, check_stop])
def test_all_rules_agree_with_the_paper_on_ten_thousand_random_orders(check) -> None:
    went_on = sum(check(random.Random(seed)) for seed in range(ORDERS))
    assert went_on > ORDERS  # The comparison saw many trials go on, not only empty rungs.


arrivals = st.lists(st.integers(0, 6), min_size=1, max_size=40)


@given(arrivals, st.integers(2, 4))
@settings(max_examples=150, deadline=None)
def test_whoever_goes_on_is_among_the_best_share_at_that_moment(values, eta) -> None:
    scheduler = asha(eta, (1, eta))
    seen: list[tuple[int, int]] = []
    gone: set[int] = set()

    def check(number: int) -> None:
        ranking = sorted(seen, key=lambda entry: (-entry[0], entry[1]))
        assert number in [arrival for _, arrival in ranking[: len(seen) // eta]]
        assert number not in gone
        gone.add(number)

    for number, value in enumerate(values, 1):
        scheduler.add(trial_id(number))
        seen.append((value, number))
        if isinstance(scheduler.decide(trial_id(number), 1, value / 7), Continue):
            check(number)
    while promotion := scheduler.promote():
        check(int(promotion.trial[1:]))
    best = sorted(seen, key=lambda entry: (-entry[0], entry[1]))[: len(seen) // eta]
    assert {arrival for _, arrival in best} <= gone
    assert len(gone) <= max(0, len(seen) - eta + 1)


@given(arrivals, st.sampled_from(get_args(Rule)))
@settings(max_examples=100, deadline=None)
def test_only_the_order_of_scores_matters_not_their_size(values, rule) -> None:
    def decisions(scale) -> list[str]:
        scheduler = asha(3, (1, 3), rule=rule)
        names = [trial_id(number) for number in range(1, len(values) + 1)]
        for name in names:
            scheduler.add(name)
        return [word(scheduler.decide(n, 1, scale(v))) for n, v in zip(names, values, strict=True)]

    assert decisions(float) == decisions(lambda value: value**3 / 1000 - 5)


@given(arrivals, st.integers(0, 20), st.sampled_from(get_args(Rule)))
@settings(max_examples=100, deadline=None)
def test_trials_that_reached_no_rung_change_no_decision(values, idle, rule) -> None:
    def decisions(idlers: int) -> list[str]:
        scheduler = asha(3, (1, 3), rule=rule)
        for number in range(1, idlers + 1):
            scheduler.add(trial_id(1000 + number))
        found = []
        for number, value in enumerate(values, 1):
            scheduler.add(trial_id(number))
            found.append(word(scheduler.decide(trial_id(number), 1, float(value))))
        for number in range(1, idlers + 1):
            scheduler.drop(trial_id(1000 + number))
        return found + [p.trial for p in iter(scheduler.promote, None)]

    assert decisions(0) == decisions(idle)


@pytest.mark.parametrize("rule", get_args(Rule))
def test_a_decision_stays_quick_with_a_hundred_thousand_trials(rule, capsys) -> None:
    scheduler, chance, count = asha(3, (1, 3, 9), rule=rule), random.Random(0), 100_000
    names = [trial_id(number) for number in range(1, count + 1)]
    begun = time.perf_counter()
    for name in names:
        scheduler.add(name)
        scheduler.decide(name, 1, chance.random())
        scheduler.promote()
    each = (time.perf_counter() - begun) / count
    with capsys.disabled():
        print(f"\n{rule}: add, decide and promote take {1e6 * each:.1f} µs over {count:,} trials")
