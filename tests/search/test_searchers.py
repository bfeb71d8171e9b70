"""What every searcher keeps to, and what each does in particular."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import TPESampler

from toprung.search.searchers import registry, tpe
from toprung.search.searchers._base import Observation, Searcher, identity
from toprung.trial.config import trial_id
from toprung.trial.space import Choice, Float, Int, Option, Space

LORA = Space({"rank": Int(4, 64, log=True), "dropout": Float(0.0, 0.2)})
SPACE = Space(
    {
        "adapter": Choice((Option("full"), Option("frozen"), Option("lora", LORA))),
        "batch_size": Choice((Option(8), Option(16))),
        "mixed": Choice((Option(1), Option(True), Option(1.0), Option(None), Option("1"))),
        "depth": Int(2, 7, step=2),
        "learning_rate": Float(1e-5, 1e-1, log=True),
    }
)
SMALL = Space(
    {
        "pooling": Choice(tuple(Option(name) for name in ("cls", "mean", "max"))),
        "loss": Choice((Option("plain"), Option("focal", Space({"gamma": Int(1, 3)})))),
    }
)
SMALL_SIZE = 3 * (1 + 3)
FIRST = [
    {"pooling": "mean", "loss": "plain"},
    {"pooling": "max", "loss": "focal", "loss.focal.gamma": 2},
]


def prepared(name: str, space: Space = SPACE, seed: int = 7, first=(), **options) -> Searcher:
    searcher = registry.get(name)(**options)
    searcher.prepare(space, seed, first)
    return searcher


def story(searcher: Searcher, count: int, chance: random.Random) -> list[Observation]:
    """What a search sees: trials begin, report, pause, are promoted, end in every way."""
    seen: list[Observation] = []
    values: dict[str, dict] = {}
    scores: dict[str, dict[int, float]] = {}
    for number in range(1, count + 1):
        suggestion = searcher.suggest(number)
        if suggestion is None:
            break
        values[trial_id(number)] = suggestion
        scores[trial_id(number)] = {}
        for trial in chance.sample(sorted(values), min(2, len(values))):
            reached = scores[trial]
            if len(reached) < 3 and chance.random() < 0.8:
                reached[512 * 3 ** len(reached)] = chance.random()
            state = chance.choice(["running", "paused", "stopped", "failed", "diverged"])
            if len(reached) == 3:
                state = "completed"
            seen.append(Observation(trial, values[trial], dict(reached), state))
            searcher.observe(seen[-1])
    return seen


@pytest.fixture(params=registry.names())
def name(request) -> str:
    return request.param


def test_every_suggestion_fits_the_space(name) -> None:
    searcher = prepared(name)
    story(searcher, 25, random.Random(1))
    for number in range(1, 40):
        suggestion = searcher.suggest(number)
        assert suggestion is not None
        assert SPACE.problems(suggestion) == []


def test_a_searcher_rebuilt_at_every_step_suggests_the_same(name) -> None:
    lived, chance, seen = prepared(name, startup=3) if name == "tpe" else prepared(name), 0, []
    chance = random.Random(2)
    for number in range(1, 26):
        rebuilt = prepared(name, startup=3) if name == "tpe" else prepared(name)
        for observation in seen:
            rebuilt.observe(observation)
        suggestion = lived.suggest(number)
        assert rebuilt.suggest(number) == suggestion
        scores = {512: chance.random()} if chance.random() < 0.8 else {}
        state = chance.choice(["running", "paused", "diverged", "stopped"])
        earlier = [o for o in seen if o.state == "paused"]
        seen.append(Observation(trial_id(number), suggestion, scores, state))
        lived.observe(seen[-1])
        if earlier:
            done = earlier[0].scores | {1536: chance.random(), 4608: chance.random()}
            seen.append(Observation(earlier[0].trial, earlier[0].values, done, "completed"))
            lived.observe(seen[-1])


def test_asking_again_changes_nothing(name) -> None:
    searcher = prepared(name)
    story(searcher, 15, random.Random(3))
    assert searcher.suggest(16) == searcher.suggest(16)
    assert searcher.suggest(12) == searcher.suggest(12)


def test_the_order_in_which_trials_were_observed_does_not_matter(name) -> None:
    searcher = prepared(name)
    story(searcher, 20, random.Random(4))
    latest = list(searcher.observations.values())
    shuffled = prepared(name)
    for observation in random.Random(5).sample(latest, len(latest)):
        shuffled.observe(observation)
    assert shuffled.suggest(21) == searcher.suggest(21)


def test_the_first_configurations_come_first_and_only_once(name) -> None:
    searcher = prepared(name, SMALL, first=FIRST)
    suggestions = []
    for number in range(1, SMALL_SIZE + 1):
        suggestions.append(searcher.suggest(number))
        searcher.observe(Observation(trial_id(number), suggestions[-1], {512: 0.5}, "stopped"))
    assert suggestions[:2] == FIRST
    assert [searcher.source(number) for number in (1, 2, 3)] == ["first", "first", name]
    assert sum(s in FIRST for s in suggestions) == 2


def test_a_small_space_is_tried_whole_before_anything_comes_twice(name) -> None:
    searcher = prepared(name, SMALL)
    suggestions = []
    for number in range(1, SMALL_SIZE + 1):
        suggestions.append(searcher.suggest(number))
        searcher.observe(Observation(trial_id(number), suggestions[-1], {512: 0.5}, "stopped"))
    assert len({identity(s) for s in suggestions}) == SMALL_SIZE


def test_different_seeds_search_differently(name) -> None:
    one, other = (prepared(name, seed=seed).suggest(1) for seed in (1, 2))
    assert (one == other) == (name == "grid")


def test_a_suggestion_can_be_changed_by_its_taker_without_harm(name) -> None:
    searcher = prepared(name, SMALL, first=FIRST)
    for number in (1, 3):
        taken = searcher.suggest(number)
        kept = dict(taken)
        taken.clear()
        assert searcher.suggest(number) == kept


def test_random_depends_on_nothing_that_was_observed() -> None:
    blind, seeing = prepared("random"), prepared("random")
    story(seeing, 10, random.Random(6))
    assert blind.suggest(11) == seeing.suggest(11)


def test_random_goes_on_with_repeats_when_a_small_space_is_used_up() -> None:
    searcher = prepared("random", SMALL)
    assert SMALL.problems(searcher.suggest(3 * SMALL_SIZE)) == []


def test_grid_gives_every_combination_once_and_then_nothing() -> None:
    searcher = prepared("grid", SMALL)
    suggestions = [searcher.suggest(number) for number in range(1, SMALL_SIZE + 1)]
    assert len({identity(s) for s in suggestions}) == SMALL_SIZE
    assert suggestions[0] == {"pooling": "cls", "loss": "plain"}
    assert searcher.suggest(SMALL_SIZE + 1) is None


def test_grid_spaces_numbers_over_their_bounds() -> None:
    searcher = prepared("grid", Space({"rate": Float(1e-4, 1e-2, log=True)}), points=3)
    rates = [searcher.suggest(number)["rate"] for number in (1, 2, 3)]
    assert rates == pytest.approx([1e-4, 1e-3, 1e-2])


@pytest.mark.parametrize(("name", "options"), [("grid", {"points": 0}), ("tpe", {"startup": -1})])
def test_options_that_no_search_could_use_are_refused(name, options) -> None:
    with pytest.raises(ValueError, match="is below"):
        registry.get(name)(**options)


def quality(values) -> float:
    bonus = 0.2 if values["adapter"] == "lora" else 0.0
    return 1 - abs(math.log10(values["learning_rate"]) + 3) / 4 + bonus


def search(name: str, seed: int, count: int = 60) -> list[float]:
    searcher, found = prepared(name, seed=seed), []
    for number in range(1, count + 1):
        values = searcher.suggest(number)
        found.append(quality(values))
        promoted = found[-1] >= sorted(found)[-1 - number // 4]
        scores = {512: found[-1] / 2} | ({1536: found[-1]} if promoted else {})
        state = "completed" if promoted and number % 3 == 0 else "paused"
        searcher.observe(Observation(trial_id(number), values, scores, state))
    return found


def test_tpe_learns_from_paused_and_completed_trials() -> None:
    means = {}
    for name in ("random", "tpe"):
        found = [search(name, seed)[30:] for seed in range(3)]
        means[name] = sum(map(sum, found)) / sum(map(len, found))
    assert means["tpe"] > means["random"] + 0.15


def test_tpe_models_the_options_of_one_choice_jointly(monkeypatch) -> None:
    asked = []

    def sampler(**options):
        asked.append(options)
        return TPESampler(**options)

    monkeypatch.setattr(tpe, "TPESampler", sampler)
    prepared("tpe", startup=4).suggest(1)
    assert asked[0]["group"] is asked[0]["multivariate"] is True
    assert asked[0]["n_startup_trials"] == 4


def test_tpe_draws_differently_for_each_trial() -> None:
    searcher = prepared("tpe", startup=3)
    story(searcher, 15, random.Random(11))
    assert len({identity(searcher.suggest(number)) for number in range(16, 26)}) == 10


def diverging_share(state: str) -> float:
    """How many late suggestions fall off a cliff right beside the best learning rate."""
    space, fallen = Space({"learning_rate": Float(1e-5, 1e-1, log=True)}), 0
    for seed in range(4):
        searcher = prepared("tpe", space, seed)
        for number in range(1, 51):
            values = searcher.suggest(number)
            over = values["learning_rate"] > 3e-3
            fallen += over and number > 20
            score = 1 - abs(math.log10(values["learning_rate"] / 2e-3)) / 4
            scores = {} if over else {512: score}
            searcher.observe(
                Observation(trial_id(number), values, scores, state if over else "completed")
            )
    return fallen / (4 * 30)


def test_tpe_turns_away_from_where_trials_diverge() -> None:
    ignored, avoided = diverging_share("cancelled"), diverging_share("diverged")
    assert avoided < 0.5 < ignored


def test_tpe_does_not_crowd_around_what_runs_already() -> None:
    searcher = prepared("tpe", Space({"x": Float(0.0, 1.0)}), startup=5)
    for number in range(1, 21):
        x = (number - 0.5) / 20
        score = 1 - abs(x - 0.5)
        searcher.observe(Observation(trial_id(number), {"x": x}, {512: score}, "completed"))
    suggestions = []
    for number in range(21, 37):
        suggestions.append(searcher.suggest(number))
        searcher.observe(Observation(trial_id(number), suggestions[-1], {}, "running"))
    spread = {round(s["x"], 2) for s in suggestions}
    assert len(spread) > 10


def test_tpe_stays_quick_when_it_has_seen_thousands_of_trials() -> None:
    searcher, chance = prepared("tpe"), random.Random(8)
    sampler = prepared("random")
    for number in range(1, 3001):
        scores = {512: chance.random()}
        searcher.observe(Observation(trial_id(number), sampler.suggest(number), scores, "paused"))
    assert SPACE.problems(searcher.suggest(3001)) == []
    assert searcher.suggest(3001) == searcher.suggest(3001)


def test_tpe_draws_at_random_in_the_open_where_a_crowd_runs_without_a_score() -> None:
    searcher, sampler = prepared("tpe"), prepared("random", seed=1)
    for number in range(1, 601):
        scores = {512: number / 600} if number <= 20 else {}
        state = "paused" if scores else "running"
        searcher.observe(Observation(trial_id(number), sampler.suggest(number), scores, state))
    sources = [searcher.source(number) for number in range(601, 607)]
    assert sources == ["random", "random", "tpe"] * 2
    assert len({identity(searcher.suggest(number)) for number in range(601, 607)}) == 6
    for number in range(21, 601):
        values = searcher.observations[trial_id(number)].values
        searcher.observe(Observation(trial_id(number), values, {512: 0.1}, "paused"))
    assert {searcher.source(number) for number in range(601, 607)} == {"tpe"}


def test_tpe_begins_with_what_is_cheap() -> None:
    """Each of the first ten is the cheapest of four draws, the plain one among them."""

    def cost(values) -> float:
        return {"frozen": 1.0, "lora": 10.0, "full": 40.0}[values["adapter"]] * values["depth"]

    plain, thrifty = prepared("tpe"), registry.get("tpe")()
    thrifty.prepare(SPACE, 7, cost=cost)
    pairs = [(plain.suggest(n), thrifty.suggest(n)) for n in range(1, 31)]
    costs = [(cost(one), cost(other)) for one, other in pairs]
    assert all(other <= one for one, other in costs)
    assert sum(other for _, other in costs[:10]) < sum(one for one, _ in costs[:10]) / 2
    assert [one for one, _ in pairs[10:]] == [other for _, other in pairs[10:]]


def test_tpe_begins_with_what_it_was_given_however_dear() -> None:
    dear = {**prepared("tpe").suggest(1), "adapter": "full"}
    searcher = registry.get("tpe")(startup=1)
    searcher.prepare(SPACE, 7, [dear], cost=lambda values: values["adapter"] == "full")
    assert searcher.suggest(1) == dear
    assert searcher.suggest(2)["adapter"] != "full"


def test_tpe_passes_over_observations_that_do_not_fit_the_space() -> None:
    searcher = prepared("tpe", startup=1)
    for number in range(1, 5):
        values = {"adapter": "prefix", "learning_rate": 9.0}
        searcher.observe(Observation(trial_id(number), values, {512: 0.5}, "completed"))
    assert SPACE.problems(searcher.suggest(5)) == []


def test_tpe_says_nothing(capfd) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        story(prepared("tpe", startup=2), 12, random.Random(9))
    assert capfd.readouterr() == ("", "")


def suggestions_after_a_story() -> list[dict]:
    searcher = prepared("tpe", startup=3)
    story(searcher, 20, random.Random(10))
    return [searcher.suggest(number) for number in (21, 22, 23)]


def test_tpe_does_not_depend_on_the_process_that_it_runs_in() -> None:
    here = json.dumps(suggestions_after_a_story())
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        command = [sys.executable, str(Path(__file__)), "suggest"]
        there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert there.stdout.strip() == here


if __name__ == "__main__":
    print(json.dumps(suggestions_after_a_story()))


@given(st.integers(-50, 50), st.integers(0, 500), st.integers(1, 60), st.integers(2, 12))
def test_a_grid_of_whole_numbers_stays_on_its_steps(
    low: int, span: int, step: int, points: int
) -> None:
    domain = Int(low, low + span, step=step)
    values = domain.grid(points)
    known = range(low, low + span + 1, step)
    assert values == sorted(set(values))
    assert all(domain.contains(value) for value in values)
    assert len(values) <= points
    assert (values[0], values[-1]) == (known[0], known[-1])
