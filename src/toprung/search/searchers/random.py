"""Random search: every configuration is drawn on its own."""

from __future__ import annotations

import random
from collections.abc import Sequence

from toprung.core.seeds import derive_seed
from toprung.search.searchers._base import Cost, Searcher, identity
from toprung.trial.space import Float, Scalar, Space, Values

_ATTEMPTS = 100


class Random(Searcher):
    """Draws each configuration from its own seed; the observations change nothing.

    In a space without continuous parameters a configuration that stood before is drawn again,
    up to 100 times, so that repeats come only when few new ones are left.

    >>> from toprung.trial.space import Choice, Option
    >>> searcher = Random()
    >>> coin = Choice((Option("heads"), Option("tails")))
    >>> searcher.prepare(Space({"coin": coin}), seed=7)
    >>> sorted(searcher.suggest(number)["coin"] for number in (1, 2))
    ['heads', 'tails']
    """

    def prepare(
        self,
        space: Space,
        seed: int,
        first: Sequence[Values] = (),
        *,
        cost: Cost | None = None,
    ) -> None:
        super().prepare(space, seed, first, cost=cost)
        self._finite = not any(isinstance(parameter, Float) for _, parameter in space.walk())
        self._drawn: list[dict[str, Scalar]] = []
        self._known = {identity(values) for values in self.first}

    def propose(self, number: int) -> dict[str, Scalar]:
        if not self._finite:
            return self._draw(number, 0)
        # What is new depends on all that came before, so the sequence is drawn from its start.
        while len(self._drawn) < number - len(self.first):
            self._drawn.append(self._draw_new(len(self.first) + len(self._drawn) + 1))
        return dict(self._drawn[number - len(self.first) - 1])

    def _draw_new(self, number: int) -> dict[str, Scalar]:
        for attempt in range(_ATTEMPTS):
            values = self._draw(number, attempt)
            if identity(values) not in self._known:
                self._known.add(identity(values))
                break
        return values

    def _draw(self, number: int, attempt: int) -> dict[str, Scalar]:
        return self.space.sample(random.Random(derive_seed(self.seed, "random", number, attempt)))
