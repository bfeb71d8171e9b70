"""What every scheduler keeps to, and what ASHA's options mean."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from toprung.search.schedulers import registry
from toprung.search.schedulers._base import Scheduler, rungs
from toprung.search.schedulers.asha import Asha
from toprung.trial.config import Resource, trial_id
from toprung.trial.decision import Continue, Pause, Stop
from toprung.trial.report import Metric

POINTS = (512, 1024, 1536, 4608, 13824)
RESOURCE = Resource("examples", 512, 13824, POINTS)
F1 = Metric("macro_f1")
VARIANTS = [
    ("asha", {}),
    ("asha", {"rule": "promote"}),
    ("asha", {"rule": "stop"}),
    ("asha", {"brackets": 3}),
    ("asha", {"rule": "stop", "brackets": 4, "reduction_factor": 3}),
    ("asha", {"reduction_factor": 2}),
    ("fifo", {}),
]


def prepared(name: str, options: dict, metric: Metric = F1) -> Scheduler:
    scheduler = registry.get(name)(**options)
    eta = options.get("reduction_factor", 3)
    points = sorted({*POINTS, *rungs(RESOURCE.min, RESOURCE.max, eta)})
    scheduler.prepare(Resource("examples", 512, 13824, tuple(points)), metric)
    return scheduler


@pytest.fixture(params=VARIANTS, ids=lambda v: f"{v[0]}-{v[1]}")
def scheduler(request) -> Scheduler:
    return prepared(*request.param)


def climb(scheduler: Scheduler, count: int, score) -> tuple[dict[str, list], list[str]]:
    """All trials, one at a time, then promotions and the finale until nothing is left to do."""
    points, told, log = scheduler.resource.points, {}, []

    def train(trial: str, start: int) -> None:
        for point in [p for p in points if p > start]:
            decision = scheduler.decide(trial, point, score(trial, point))
            told.setdefault(trial, []).append((point, decision))
            log.append(f"{trial} {point} {decision}")
            if not isinstance(decision, Continue):
                return

    for number in range(1, count + 1):
        while promotion := scheduler.promote():
            train(promotion.trial, promotion.start)
        assert isinstance(scheduler.add(trial_id(number)), int)
        train(trial_id(number), 0)
    while promotion := scheduler.promote() or scheduler.finale():
        log.append(str(promotion))
        train(promotion.trial, promotion.start)
    return told, log


def rising(trial: str, point: int) -> float:
    return math.sin(int(trial[1:]) * 12.9898) / 2 + point / 100_000


def test_a_variant_of_every_scheduler_is_tried_here() -> None:
    assert {name for name, _ in VARIANTS} == set(registry.names())


def test_some_trial_reaches_the_last_rung_however_few_there_are(scheduler) -> None:
    told, _ = climb(scheduler, 2, rising)
    ends = [reports[-1] for reports in told.values()]
    assert any(point == 13824 and decision.completed for point, decision in ends if point == 13824)


def test_where_nothing_is_decided_every_trial_goes_on(scheduler) -> None:
    told, _ = climb(scheduler, 40, rising)
    decided = {point for point in scheduler.resource.points if scheduler.decides_at(point)}
    assert scheduler.resource.max in decided
    elsewhere = [d for reports in told.values() for point, d in reports if point not in decided]
    assert all(isinstance(decision, Continue) for decision in elsewhere)
    assert elsewhere or decided == set(scheduler.resource.points)


def test_every_decision_carries_a_reason_in_words(scheduler) -> None:
    told, _ = climb(scheduler, 30, rising)
    for reports in told.values():
        for _, decision in reports:
            assert len(decision.reason) > 10
    for trial, reports in told.items():
        if isinstance(reports[-1][1], Pause):
            assert "the search is over" in scheduler.verdict(trial)


def test_the_last_rung_completes_and_nothing_before_it_does(scheduler) -> None:
    told, _ = climb(scheduler, 30, rising)
    for reports in told.values():
        for point, decision in reports:
            completed = isinstance(decision, Stop) and decision.completed
            assert completed == (point == 13824)


def test_only_who_pauses_is_trained_ahead_and_as_many_as_become_finalists() -> None:
    for name, options in VARIANTS:
        scheduler = prepared(name, options)
        scheduler.prepare(scheduler.resource, F1, finalists=4)
        told, _ = climb(scheduler, 30, lambda trial, point: -int(trial[1:]) - 1 / point)
        waiting = {trial for trial, reports in told.items() if isinstance(reports[-1][1], Pause)}
        ahead = []
        while promotion := scheduler.ahead():
            ahead.append(promotion.trial)
        assert set(ahead) <= waiting
        assert bool(ahead) == bool(waiting), (name, options)
        assert len(ahead) == len(set(ahead))


def test_the_best_of_the_highest_rung_is_trained_ahead_first() -> None:
    asha = Asha(rule="promote")
    asha.prepare(Resource("examples", 1, 9, (1, 3, 9)), F1, finalists=3)
    for number in range(1, 10):
        asha.add(trial_id(number))
        asha.decide(trial_id(number), 1, number / 10)
    # As scores rise, every third went on at once; of these the last goes on from the second rung.
    for number in (3, 6, 9):
        asha.decide(trial_id(number), 3, number / 10)
    assert asha.promote() is None
    taken = [asha.ahead(), asha.ahead()]
    assert [(one.trial, one.start) for one in taken] == [("t0006", 3), ("t0003", 3)]
    assert asha.ahead() is None


def test_the_same_calls_give_the_same_answers() -> None:
    for name, options in VARIANTS:
        logs = [climb(prepared(name, options), 40, rising)[1] for _ in range(2)]
        assert logs[0] == logs[1]


def test_no_trial_is_decided_to_go_on_twice_from_one_rung(scheduler) -> None:
    told, _ = climb(scheduler, 40, rising)
    for reports in told.values():
        points = [point for point, _ in reports]
        assert points == sorted(set(points))


def test_a_dropped_trial_is_never_promoted() -> None:
    for name, options in VARIANTS:
        scheduler = prepared(name, options)
        paused = []
        for number in range(1, 10):
            scheduler.add(trial_id(number))
            if isinstance(scheduler.decide(trial_id(number), 512, number / 10), Pause):
                paused.append(trial_id(number))
        for trial in paused:
            scheduler.drop(trial)
        scheduler.drop("t0001-s1")  # A trial that no scheduler has heard of.
        assert scheduler.promote() is None
        assert scheduler.finale() is None


def test_a_trial_that_trains_again_after_a_failure_counts_once() -> None:
    scheduler = prepared("asha", {"rule": "stop"})
    for trial in ("t0001", "t0002"):
        scheduler.add(trial)
    scheduler.decide("t0001", 512, 0.5)
    again = scheduler.decide("t0001", 512, 0.1)
    assert isinstance(again, Continue)
    assert "2nd of 2" in scheduler.decide("t0002", 512, 0.4).reason


@pytest.mark.parametrize(
    ("minimum", "maximum", "eta", "expected"),
    [
        (512, 13824, 3, (512, 1536, 4608, 13824)),
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (1, 10, 3, (1, 3, 10)),
        (1, 100, 4, (1, 4, 16, 100)),
        (5, 6, 2, (5, 6)),
        (7, 7, 2, (7,)),
    ],
)
def test_rungs_end_at_the_largest_resource_and_none_is_close_below_it(
    minimum, maximum, eta, expected
) -> None:
    assert rungs(minimum, maximum, eta) == expected


@pytest.mark.parametrize("bad", [(0, 9, 3), (9, 3, 3), (1, 9, 1)])
def test_impossible_rungs_are_refused(bad) -> None:
    with pytest.raises(ValueError, match="no rungs from"):
        rungs(*bad)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reduction_factor": 1}, "reduction_factor: 1 is below 2"),
        ({"rule": "halve"}, "rule: 'halve' is none of eager, promote, stop"),
        ({"brackets": 0}, "brackets: 0 is below 1"),
    ],
)
def test_options_that_no_search_could_use_are_refused(options, words) -> None:
    with pytest.raises(ValueError, match=words):
        Asha(**options)


def test_more_brackets_than_rungs_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match="brackets: 5 is more than the 4 rungs"):
        Asha(brackets=5).prepare(RESOURCE, F1)


def test_a_rung_at_which_nobody_reports_is_refused() -> None:
    with pytest.raises(ValueError, match="no report at rung 1536"):
        Asha().prepare(Resource("examples", 512, 13824, (512, 4608, 13824)), F1)


def test_a_reason_speaks_of_the_users_metric_and_unit() -> None:
    scheduler = prepared("asha", {}, Metric("log_loss", maximize=False))
    for number, loss in enumerate([0.9, 0.3, 0.4, 0.8, 0.2, 0.25, 0.26, 0.27, 0.61], 1):
        scheduler.add(trial_id(number))
        decision = scheduler.decide(trial_id(number), 512, -loss)
    expected = "rung 512 examples: log_loss 0.61 is 7th of 9; the best 3 go on"
    assert decision == Pause(expected)


def test_higher_rungs_are_promoted_first() -> None:
    scheduler = prepared("asha", {})
    for number in range(1, 7):
        scheduler.add(trial_id(number))
        scheduler.decide(trial_id(number), 512, number / 10)
    # t0003 went on at once; t0006 and t0005 are the best 2 of 6 by now.
    for trial in ("t0003", "t0004"):
        scheduler.decide(trial, 1536, 0.5)
    late = scheduler.decide("t0005", 1536, 0.9)
    assert isinstance(late, Continue)
    assert "1st of 3" in late.reason


def test_a_trial_waits_its_turn_while_a_better_placed_one_is_to_go_on() -> None:
    scheduler = prepared("asha", {"reduction_factor": 2, "rule": "promote"})
    for number, score in enumerate([0.9, 0.1, 0.8], 1):
        scheduler.add(trial_id(number))
        scheduler.decide(trial_id(number), 512, score)
    scheduler.add("t0004")
    waiting = scheduler.decide("t0004", 512, 0.85)
    assert isinstance(waiting, Pause)
    assert "its turn comes after a better placed one" in waiting.reason
    assert [scheduler.promote().trial for _ in range(2)] == ["t0001", "t0004"]


def test_of_equal_scores_the_earlier_one_ranks_higher() -> None:
    scheduler = prepared("asha", {"rule": "stop"})
    for trial in ("t0001", "t0002", "t0003"):
        scheduler.add(trial)
    words = [word(scheduler.decide(t, 512, 0.5)) for t in ("t0001", "t0002", "t0003")]
    assert words == ["Continue", "Stop", "Stop"]


def test_the_finale_takes_the_best_of_the_highest_rung() -> None:
    scheduler = prepared("asha", {"rule": "promote"})
    for number in range(1, 4):
        scheduler.add(trial_id(number))
        scheduler.decide(trial_id(number), 512, 1 - number / 10)
    assert scheduler.promote().trial == "t0001"
    scheduler.decide("t0001", 1536, 0.01)
    assert scheduler.promote() is None
    last = scheduler.finale()
    assert (last.trial, last.start) == ("t0001", 1536)
    assert "climbs to the last" in last.reason


def test_brackets_share_the_arrivals_as_in_hyperband() -> None:
    scheduler = prepared("asha", {"brackets": 4})
    counts = Counter(scheduler.add(trial_id(number)) for number in range(1, 50))
    assert counts == {0: 27, 1: 12, 2: 6, 3: 4}


def test_a_bracket_begins_one_rung_higher_than_the_one_before() -> None:
    scheduler = prepared("asha", {"brackets": 2, "rule": "stop"})
    brackets = {trial_id(n): scheduler.add(trial_id(n)) for n in range(1, 8)}
    higher = [trial for trial, bracket in brackets.items() if bracket == 1]
    assert higher
    first = scheduler.decide(higher[0], 512, 0.5)
    assert first == Continue("between rungs at 512 examples")
    assert "bracket 1, rung 1536 examples" in scheduler.decide(higher[0], 1536, 0.5).reason


def test_brackets_do_not_compare_with_each_other_under_stop() -> None:
    def decisions(other_score: float) -> list[str]:
        scheduler = prepared("asha", {"brackets": 2, "rule": "stop"})
        found = []
        for number in range(1, 40):
            if scheduler.add(trial_id(number)):
                scheduler.decide(trial_id(number), 1536, other_score)
            else:
                decision = scheduler.decide(trial_id(number), 512, rising(trial_id(number), 512))
                found.append(word(decision))
                if isinstance(decision, Continue):
                    found.append(word(scheduler.decide(trial_id(number), 1536, number / 40)))
        return found

    assert decisions(0.0) == decisions(1.0)


def word(decision: Continue | Pause | Stop) -> str:
    return type(decision).__name__
