"""TPE: draws where good configurations are dense and bad ones are rare."""

from __future__ import annotations

import random
import warnings
from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from toprung.core.seeds import derive_seed
from toprung.search.searchers._base import Cost, Observation, Searcher, identity
from toprung.trial.space import Choice, Float, Parameter, Scalar, Space, Values

optuna.logging.set_verbosity(optuna.logging.WARNING)

_MOST = 1000
_CROWD = 256
_ATTEMPTS = 10
_DRAWS = 100
_CHEAPEST_OF = 4
_LONG_AGO = datetime(2000, 1, 1)

_Rank = tuple[int, float, int, str]
"""Orders trials: highest resource, then best score, then earliest."""


class _Told(FrozenTrial):
    """A trial as Optuna is told of it; each study is told anew, so that it need not be copied."""

    def __deepcopy__(self, memo: dict[int, object]) -> _Told:
        return self


class Tpe(Searcher):
    """Tree-structured Parzen estimator of Optuna, joint over the parameters that apply together.

    Each suggestion asks a fresh study in memory that is told every observation: completed trials
    with their last score, all others as pruned with theirs, so that a higher rung outranks a
    lower one. Diverged ones are pruned without a score, which ranks last: told as failed they
    leave no trace, and of 600 suggestions beside a cliff 92 % fell off it again, not 32 %. So
    are failed ones that never scored. Running ones without a score count as taken (constant
    liar). What was tried before is asked for again, up to 10 times, and then replaced by a random
    draw: the study alone would return to the best of a small space for ever.

    Each of the first ``startup`` configurations that it draws is the cheapest of four draws, where
    it is known what configurations cost; they are random, but for what ``first`` has taught it by
    then. The cheap ones say early what is any good (after Lee et al. 2020, "Cost-aware Bayesian
    Optimization", whose initial design is cheap too). With 1 to 64 workers on two recorded surfaces
    that is 4 to 27 % sooner near the best in seven of eight cases, and 22 % later in one; see
    benchmarks/surfaces/TABLE.md.

    It stays quick in large searches: at most 1,000 observations are told, the best half by
    resource and score and the latest. And where 256 trials or more run without a score yet, of
    which it could learn nothing, only every second of its suggestions is asked for; from 512 on
    every third, and so on. The others are drawn at random, with ``random`` for their source.

    Sources: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; Optuna 5.
    """

    def __init__(self, *, startup: int = 10) -> None:
        """States the options.

        Args:
            startup: trials with scores, before which configurations are drawn at random; so many
                are the cheapest of several draws.

        Raises:
            ValueError: a negative number of trials.
        """
        if startup < 0:
            raise ValueError(f"startup: {startup} is below 0")
        self.startup = startup

    def prepare(
        self,
        space: Space,
        seed: int,
        first: Sequence[Values] = (),
        *,
        cost: Cost | None = None,
    ) -> None:
        super().prepare(space, seed, first, cost=cost)
        self._known = {identity(values) for values in self.first}
        self._told: dict[str, _Told] = {}
        self._ranks: dict[str, _Rank] = {}
        self._from_best: list[_Rank] = []
        self._in_order: list[tuple[int, str]] = []
        self._silent: set[str] = set()
        self._learned: set[str] = set()

    def source(self, number: int) -> str:
        if number > len(self.first) and self._is_crowded(number):
            return "random"
        return super().source(number)

    def observe(self, observation: Observation) -> None:
        trial, scores = observation.trial, observation.scores
        if trial not in self.observations:
            self._known.add(identity(observation.values))
        super().observe(observation)
        self._told.pop(trial, None)
        has_run = observation.state != "running" or bool(scores)
        (self._silent.discard if has_run else self._silent.add)(trial)
        if trial not in self._ranks and self.space.problems(observation.values):
            return
        resource, score = max(scores.items(), default=(0, 0.0))
        rank = (-resource, -score, len(trial), trial)
        if trial in self._ranks:
            del self._from_best[bisect_left(self._from_best, self._ranks[trial])]
        else:
            insort(self._in_order, rank[2:])
        self._ranks[trial] = rank
        insort(self._from_best, rank)
        learned = _state(observation) in (TrialState.COMPLETE, TrialState.PRUNED)
        (self._learned.add if learned else self._learned.discard)(trial)

    def propose(self, number: int) -> dict[str, Scalar]:
        asked: dict[str, Scalar] | None = None
        if not self._is_crowded(number):
            # Before there is enough to learn from, Optuna draws at random: it need not be told.
            trials = self._tell() if len(self._learned) >= self.startup else []
            found: list[dict[str, Scalar]] = []
            for attempt in range(_ATTEMPTS):
                asked = self._ask(trials, derive_seed(self.seed, "tpe", number, attempt))
                if identity(asked) not in self._known:
                    found.append(asked)
                if len(found) == self._wanted(number):
                    break
            if found:
                return found[0] if self.cost is None else min(found, key=self.cost)
        chance = random.Random(derive_seed(self.seed, "tpe", number))
        for _ in range(_DRAWS):
            drawn = self.space.sample(chance)
            if identity(drawn) not in self._known:
                return drawn
        return asked or drawn

    def _wanted(self, number: int) -> int:
        """Draws of which the cheapest is suggested."""
        is_first = self.cost is not None and number <= len(self.first) + self.startup
        return _CHEAPEST_OF if is_first else 1

    def _is_crowded(self, number: int) -> bool:
        return number % (1 + len(self._silent) // _CROWD) != 0

    def _ask(self, trials: Sequence[FrozenTrial], seed: int) -> dict[str, Scalar]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = TPESampler(
                n_startup_trials=self.startup,
                seed=seed,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(trials)
        asked = study.ask()

        def pick(name: str, parameter: Parameter) -> Scalar:
            if isinstance(parameter, Choice):
                return parameter.values[asked.suggest_categorical(name, _options(parameter))]
            if isinstance(parameter, Float):
                return asked.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
            grid = _distribution(parameter)
            assert isinstance(grid, IntDistribution)
            return asked.suggest_int(name, grid.low, grid.high, step=grid.step, log=grid.log)

        return self.space.fill(pick)

    def _tell(self) -> list[_Told]:
        """What a study is told, in the order of the trials."""
        if len(self._in_order) <= _MOST:
            names = [trial for _, trial in self._in_order]
        else:
            best = {rank[3] for rank in self._from_best[: _MOST // 2]}
            others = (trial for _, trial in reversed(self._in_order) if trial not in best)
            names = sorted({*best, *islice(others, _MOST - len(best))}, key=lambda n: (len(n), n))
        for trial in names:
            if trial not in self._told:
                self._told[trial] = _told(self.observations[trial], self.space)
        return [self._told[trial] for trial in names]


def _told(observation: Observation, space: Space) -> _Told:
    distributions: dict[str, BaseDistribution] = {}
    values: dict[str, Scalar] = {}

    def look_up(name: str, parameter: Parameter) -> Scalar:
        value = values[name] = observation.values[name]
        distributions[name] = _distribution(parameter)
        if isinstance(parameter, Choice):
            # The place of the option stands for it: Optuna holds 1, 1.0 and True for the same.
            values[name] = parameter.options.index(parameter.option(value))
        return value

    space.fill(look_up)
    state = _state(observation)
    # A diverged trial's scores are left out: without any it ranks below all others.
    scores = {} if observation.state == "diverged" else dict(sorted(observation.scores.items()))
    return _Told(
        number=-1,
        trial_id=-1,
        state=state,
        datetime_start=_LONG_AGO,
        datetime_complete=_LONG_AGO if state.is_finished() else None,
        user_attrs={},
        system_attrs={},
        value=scores[max(scores)] if state == TrialState.COMPLETE else None,
        params=values,
        distributions=distributions,
        intermediate_values=scores if state == TrialState.PRUNED else {},
    )


def _state(observation: Observation) -> TrialState:
    if observation.scores and observation.state == "completed":
        return TrialState.COMPLETE
    if observation.scores or observation.state in ("diverged", "failed"):
        return TrialState.PRUNED
    return TrialState.RUNNING if observation.state == "running" else TrialState.FAIL


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(_options(parameter))
    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    step = 1 if parameter.log else parameter.step
    high = parameter.high - (parameter.high - parameter.low) % step
    return IntDistribution(parameter.low, high, log=parameter.log, step=step)


def _options(parameter: Choice) -> range:
    return range(len(parameter.options))
