"""How ASHA's two rules differ from Ray's and Optuna's, on the same orders of arrival.

    python benchmarks/schedulers/compare_rules.py

writes RULES.md beside this file. Needs ray and optuna, no cluster and no network.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from ray.tune.schedulers import AsyncHyperBandScheduler

from toprung.search.schedulers.asha import Asha
from toprung.trial.config import Resource, trial_id
from toprung.trial.decision import Continue
from toprung.trial.report import Metric

ETA, ARRIVALS, ORDERS, LEVELS = 3, (4, 9, 16, 27, 81), 400, 5
Rule = Callable[[Sequence[float]], list[bool]]


def ours(rule: str, later: bool) -> Rule:
    """Who goes on: at the moment of arrival, or at any time until the last has arrived."""

    def decide(scores: Sequence[float]) -> list[bool]:
        scheduler = Asha(reduction_factor=ETA, rule=rule)  # type: ignore[arg-type]
        scheduler.prepare(Resource("epochs", 1, ETA), Metric("accuracy"))
        went_on = {}
        for number, score in enumerate(scores, 1):
            name = trial_id(number)
            scheduler.add(name)
            went_on[name] = isinstance(scheduler.decide(name, 1, score), Continue)
            while later and (promotion := scheduler.promote()):
                went_on[promotion.trial] = True
        return list(went_on.values())

    return decide


def ray(scores: Sequence[float]) -> list[bool]:
    """Ray Tune's ASHAScheduler, which is this class."""
    scheduler = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="accuracy",
        mode="max",
        grace_period=1,
        max_t=ETA,
        reduction_factor=ETA,
    )
    went_on = []
    for number, score in enumerate(scores, 1):
        trial = SimpleNamespace(trial_id=trial_id(number))
        scheduler.on_trial_add(None, trial)
        action = scheduler.on_trial_result(None, trial, {"epoch": 1, "accuracy": score})
        went_on.append(action == AsyncHyperBandScheduler.CONTINUE)
    return went_on


def of_optuna(scores: Sequence[float]) -> list[bool]:
    """Optuna's pruner on a study in memory."""
    pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    went_on = []
    for score in scores:
        trial = study.ask()
        trial.report(score, step=1)
        went_on.append(not trial.should_prune())
    return went_on


RULES: dict[str, Rule] = {
    "toprung `stop`": ours("stop", later=False),
    "toprung `promote`, at once": ours("promote", later=False),
    "toprung `promote`, by the last arrival": ours("promote", later=True),
    "toprung `eager`, at once": ours("eager", later=False),
    "toprung `eager`, by the last arrival": ours("eager", later=True),
    "Ray `ASHAScheduler`": ray,
    "Optuna `SuccessiveHalvingPruner`": of_optuna,
}


def table(draw: Callable[[random.Random], float]) -> list[str]:
    """Markdown: a line per rule with survivors and, in brackets, agreement with `stop`."""
    heads = " | ".join(f"n = {count}" for count in ARRIVALS)
    cells: dict[str, list[str]] = {name: [] for name in RULES}
    for count in ARRIVALS:
        chance = random.Random(count)
        orders = [[draw(chance) for _ in range(count)] for _ in range(ORDERS)]
        decided = {name: [rule(order) for order in orders] for name, rule in RULES.items()}
        reference = [kept for order in decided["toprung `stop`"] for kept in order]
        for name, found in decided.items():
            flat = [kept for order in found for kept in order]
            same = sum(a == b for a, b in zip(flat, reference, strict=True)) / len(flat)
            cells[name].append(f"{sum(flat) / len(flat):.1%} ({same:.1%})")
    lines = [f"| rule | {heads} |", "|---" * (len(ARRIVALS) + 1) + "|"]
    return lines + [f"| {name} | {' | '.join(row)} |" for name, row in cells.items()]


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray").setLevel(logging.ERROR)
    text = f"""# Who goes on: five readings of ASHA

Made by `python benchmarks/schedulers/compare_rules.py` with ray {version("ray")} and optuna
{version("optuna")}. Trials arrive one by one at one rung, reduction factor {ETA}; the same
{ORDERS} random orders go through every rule. Each cell: the share that goes on, and in brackets
how often the rule decides as `stop` does.

## All scores different

{chr(10).join(table(lambda chance: chance.random()))}

- `stop` keeps the best max(1, ⌊n/{ETA}⌋) of those that have arrived, as Optuna's pruner does.
- Ray compares with a percentile that it interpolates between the *earlier* scores, the new one
  not among them; so it keeps more, above all at first.
- `promote` lets nobody go on before {ETA} have arrived, and lets waiting trials go on later, when
  a larger n has made room for them: no early arrival is promoted only for want of company, and
  none is lost for having come too early.
- `eager` is `promote` with the first ones of `stop`: the best of fewer than {ETA} goes on at once.

## Scores on {LEVELS} levels, as of trials that have hardly learned

{chr(10).join(table(lambda chance: chance.randrange(LEVELS) / LEVELS))}

Ray's and Optuna's rules let a trial go on that equals the last one kept; here the one that came
earlier ranks higher, so that trials that are all alike do not all go on.
"""
    Path(__file__).with_name("RULES.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
