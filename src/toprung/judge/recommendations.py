"""What to do next, as it follows from diagnoses, results and the edges of the space."""

from __future__ import annotations

import math
from collections.abc import Sequence

from toprung.judge.courses import Courses
from toprung.judge.diagnosing import Complaint
from toprung.judge.mistakes import Mistakes
from toprung.judge.verdicts import Verdicts
from toprung.trial.space import Float, Int, Space, Values

_EDGE = 0.05
_GAIN = 0.005


def recommend(
    complaints: Sequence[Complaint],
    *,
    verdicts: Verdicts | None = None,
    courses: Courses | None = None,
    mistakes: Mistakes | None = None,
    best: Values | None = None,
    space: Space | None = None,
    tests_opened: int = 0,
) -> list[str]:
    """Sentences in plain text, the most important first."""
    found = []
    baseline = None if verdicts is None else verdicts.best_baseline()
    if verdicts is not None and baseline is not None and baseline is not verdicts.first:
        gain = verdicts.gains[baseline.who][verdicts.metric.name]
        if gain.low <= 0:
            found.append(
                f"Keep {baseline.who}: no gain of the {verdicts.first.who} over it can be measured "
                f"({gain.low:+.4f} to {gain.high:+.4f})."
            )
    said: dict[str, list[str]] = {}
    for one in complaints:
        many = "the data" if one.finding.of_data else _count(len(one.trials), "trial")
        said.setdefault(one.finding.remedy, []).append(f"{one.finding.title} ({many})")
    for remedy, symptoms in said.items():
        words = ", ".join(symptoms)
        found.append(f"{words[:1].upper()}{words[1:]}: {remedy}")
    if best is not None and space is not None:
        found += _edges(best, space)
    if courses is not None and courses.median_gain is not None and courses.median_gain > _GAIN:
        found.append(
            f"Raise resource.max (of a plan, the epochs of its last phase): full trainings were "
            f"still improving by {courses.median_gain:.4f} over their last third."
        )
    if mistakes is not None and mistakes.suspects:
        found.append(
            f"Check the labels of the {_count(mistakes.suspected, 'test row')} that ensemble "
            f"and {mistakes.baseline} agree against, and of rows like them in train."
        )
    if tests_opened > 1:
        found.append(
            f"Test on new rows: this search looked at its test split {tests_opened} times, so its "
            "figures flatter whatever was chosen by them."
        )
    return found


def _edges(best: Values, space: Space) -> list[str]:
    found = []
    for name, parameter in space.walk():
        value = best.get(name)
        if not isinstance(parameter, Float | Int) or not isinstance(value, int | float):
            continue
        low, high, at = float(parameter.low), float(parameter.high), float(value)
        if parameter.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        if high <= low:
            continue
        place = (at - low) / (high - low)
        if _EDGE < place < 1 - _EDGE:
            continue
        if place <= _EDGE and parameter.low == 0:
            continue  # shares, rates and exponents: below 0 there is nothing
        end = "lower" if place <= _EDGE else "upper"
        found.append(
            f"Widen {name}: the best trial's {value:.3g} is at the {end} edge of "
            f"{parameter.low:g} to {parameter.high:g}."
        )
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
