"""Grid search: every combination once, in the order of the spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toprung.search.searchers._base import Cost, Searcher, identity
from toprung.trial.space import Choice, Scalar, Space, Values


class Grid(Searcher):
    """Walks through all combinations; the last parameter changes fastest.

    Choices give every option, each with the combinations of its own parameters; numbers give
    ``points`` values, whole numbers all of theirs where they are no more than that. What stood
    among the first configurations does not come again. After the last one there is nothing.

    >>> from toprung.trial.space import Int, Option
    >>> lora = Option("lora", Space({"rank": Int(4, 8, step=4)}))
    >>> grid = Grid(points=2)
    >>> grid.prepare(Space({"adapter": Choice((Option("full"), lora))}), seed=0)
    >>> [grid.suggest(number) for number in (1, 2)]
    [{'adapter': 'full'}, {'adapter': 'lora', 'adapter.lora.rank': 4}]
    >>> grid.suggest(3), grid.suggest(4)
    ({'adapter': 'lora', 'adapter.lora.rank': 8}, None)
    """

    def __init__(self, *, points: int = 3) -> None:
        """States the options.

        Args:
            points: values of each number, evenly spaced over its bounds.

        Raises:
            ValueError: fewer than one point.
        """
        if points < 1:
            raise ValueError(f"points: {points} is below 1")
        self.points = points

    def prepare(
        self,
        space: Space,
        seed: int,
        first: Sequence[Values] = (),
        *,
        cost: Cost | None = None,
    ) -> None:
        super().prepare(space, seed, first, cost=cost)
        self._left = _combinations(space, self.points)
        self._made: list[dict[str, Scalar]] = []
        self._known = {identity(values) for values in self.first}

    def propose(self, number: int) -> dict[str, Scalar] | None:
        while len(self._made) < number - len(self.first):
            values = next((v for v in self._left if identity(v) not in self._known), None)
            if values is None:
                return None
            self._made.append(values)
        return dict(self._made[number - len(self.first) - 1])


def _combinations(space: Space, points: int, prefix: str = "") -> Iterator[dict[str, Scalar]]:
    names = list(space.parameters)
    if not names:
        yield {}
        return
    name, parameter = names[0], space.parameters[names[0]]
    rest = Space({other: space.parameters[other] for other in names[1:]})
    for value in parameter.grid(points):
        nested = parameter.option(value).space if isinstance(parameter, Choice) else Space({})
        for inner in _combinations(nested, points, f"{prefix}{name}.{value}."):
            for outer in _combinations(rest, points, prefix):
                yield {prefix + name: value, **inner, **outer}
