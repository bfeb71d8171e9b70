"""Errors named by what the caller does next, each with its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ToprungError(Exception):
    """Base of every error that toprung raises on purpose; shown without a traceback."""

    exit_code = 1


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a user's file: where, the value, what is allowed, the next step.

    >>> str(Problem(where="space.pooling", text="no pooling 'mena'.", line=4))
    "line 4, space.pooling: no pooling 'mena'."
    """

    where: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}, {self.where}" if self.line and self.where else self.where
        if self.line and not self.where:
            place = f"line {self.line}"
        return f"{place}: {self.text}" if place else self.text


class Fix(ToprungError):
    """A user's file has problems; all of them are told at once.

    >>> print(Fix("a.yaml", [Problem("seed", "'x' is not an integer.")]))
    a.yaml has 1 problem:
      seed: 'x' is not an integer.
    """

    exit_code = 2

    def __init__(self, source: str, problems: Sequence[Problem | str]) -> None:
        self.source = source
        self.problems = [p if isinstance(p, Problem) else Problem("", p) for p in problems]
        count = len(self.problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{source} has {count} problem{'s' * (count != 1)}:\n{lines}")

    def __reduce__(self) -> tuple[type[Fix], tuple[str, list[Problem]]]:
        return type(self), (self.source, self.problems)


class FixSpec(Fix):
    """The YAML of a search, a card or an override must be corrected."""


class FixData(Fix):
    """The data must be corrected."""


class FixEnvironment(ToprungError):
    """The machine lacks something: a model, a network, memory, disk, a cluster."""

    exit_code = 3


class RetryTrial(ToprungError):
    """A trial failed for a reason outside of it; the same trial may succeed elsewhere."""


class TrialDiverged(ToprungError):
    """A loss or metric is not finite; the trial is over and is not tried again."""


class GiveUp(ToprungError):
    """The search cannot go on, or no trial of it is usable."""


class Interrupted(ToprungError):
    """The user stopped the search; what is journaled is safe and can be resumed."""

    exit_code = 130
