"""The space of a search: parameters, and the options under which they exist."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool | None
Values = Mapping[str, Scalar]


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], uniform or log-uniform."""

    low: float
    high: float
    log: bool = False

    def sample(self, chance: random.Random) -> float:
        """One value; log-uniform where ``log``."""
        if self.log:
            drawn = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = chance.uniform(self.low, self.high)
        return min(self.high, max(self.low, drawn))

    def contains(self, value: Scalar) -> bool:
        """Whether the value is a number within the bounds."""
        return _is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]

    def grid(self, points: int) -> list[Scalar]:
        """Evenly spaced values, evenly in the logarithm where ``log``."""
        if points == 1 or self.low == self.high:
            return [self.low]
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        steps = [low + (high - low) * i / (points - 1) for i in range(points)]
        inner = [math.exp(s) if self.log else s for s in steps[1:-1]]
        return [self.low, *inner, self.high]

    def describe(self) -> str:
        """The domain in words."""
        return f"a number from {self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high] in steps, uniform or log-uniform."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def sample(self, chance: random.Random) -> int:
        """One value on the grid of steps."""
        if not self.log:
            return chance.randrange(self.low, self.high + 1, self.step)
        drawn = math.exp(chance.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(self.high, max(self.low, round(drawn)))

    def contains(self, value: Scalar) -> bool:
        """Whether the value is a whole number within the bounds and on a step."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (self.log or (value - self.low) % self.step == 0)

    def grid(self, points: int) -> list[Scalar]:
        """Every value where few, else evenly spaced ones."""
        span = range(self.low, self.high + 1, 1 if self.log else self.step)
        if len(span) <= points:
            values: list[Scalar] = [*span]
            return values
        spaced = Float(self.low, self.high, self.log).grid(points)
        whole = {round(float(v)) for v in spaced if v is not None}
        steps = {round((v - self.low) / span.step) for v in whole}
        return [span[number] for number in sorted({min(s, len(span) - 1) for s in steps})]

    def describe(self) -> str:
        """The domain in words."""
        step = f" in steps of {self.step}" if self.step > 1 else ""
        return f"a whole number from {self.low} to {self.high}{step}"


@dataclass(frozen=True)
class Option:
    """One value of a choice, and the parameters that exist only under it."""

    value: Scalar
    space: Space = field(default_factory=lambda: Space({}))


@dataclass(frozen=True)
class Choice:
    """One of several values, each with parameters of its own."""

    options: tuple[Option, ...]

    @property
    def values(self) -> list[Scalar]:
        """The values alone, in the order of the spec."""
        return [option.value for option in self.options]

    def sample(self, chance: random.Random) -> Scalar:
        """One value, all equally likely."""
        return self.values[chance.randrange(len(self.options))]

    def contains(self, value: Scalar) -> bool:
        """Whether the value is one of the options, of the same type."""
        return any(value == known and type(value) is type(known) for known in self.values)

    def grid(self, points: int) -> list[Scalar]:
        """Every value, however few points are asked for."""
        return self.values

    def option(self, value: Scalar) -> Option:
        """The option of that value."""
        return next(o for o in self.options if o.value == value and type(o.value) is type(value))

    def describe(self) -> str:
        """The domain in words."""
        return "one of " + ", ".join(map(str, self.values))


Parameter = Float | Int | Choice


@dataclass(frozen=True)
class Space:
    """Named parameters; those under an option are named ``parameter.option.name``.

    A configuration is flat: ``{"adapter": "lora", "adapter.lora.rank": 8}``. Parameters under
    an option that was not chosen do not stand in it.

    >>> lora = Option("lora", Space({"rank": Int(4, 64, log=True)}))
    >>> space = Space({"adapter": Choice((Option("full"), lora)), "rate": Float(0.1, 1.0)})
    >>> space.fill(lambda name, parameter: parameter.grid(1)[-1])
    {'adapter': 'lora', 'adapter.lora.rank': 4, 'rate': 0.1}
    """

    parameters: Mapping[str, Parameter]

    def fill(self, pick: Callable[[str, Parameter], Scalar], prefix: str = "") -> dict[str, Scalar]:
        """A configuration: asks ``pick`` for each parameter that applies, in a fixed order.

        Args:
            pick: from a parameter's full name and domain to its value.
            prefix: what stands before every name; used for nested spaces.
        """
        values: dict[str, Scalar] = {}
        for name, parameter in self.parameters.items():
            full = prefix + name
            value = values[full] = pick(full, parameter)
            if isinstance(parameter, Choice):
                nested = parameter.option(value).space
                values.update(nested.fill(pick, f"{full}.{value}."))
        return values

    def sample(self, chance: random.Random) -> dict[str, Scalar]:
        """A random configuration."""
        return self.fill(lambda _, parameter: parameter.sample(chance))

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Every parameter that exists under any option, with its full name."""
        for name, parameter in self.parameters.items():
            yield prefix + name, parameter
            if isinstance(parameter, Choice):
                for option in parameter.options:
                    yield from option.space.walk(f"{prefix}{name}.{option.value}.")

    def problems(self, values: Values) -> list[str]:
        """What is wrong with a configuration for this space; empty where it fits.

        >>> Space({"rate": Float(0.1, 1.0)}).problems({"rate": 2.0, "x": 1})
        ['rate: 2.0 is not a number from 0.1 to 1', 'x: no such parameter here']
        """
        found: list[str] = []

        def check(name: str, parameter: Parameter) -> Scalar:
            fallback = parameter.grid(1)[0]
            if name not in values:
                found.append(f"{name}: missing; {parameter.describe()}")
                return fallback
            if not parameter.contains(values[name]):
                found.append(f"{name}: {values[name]!r} is not {parameter.describe()}")
                return fallback
            return values[name]

        known = self.fill(check)
        found += [f"{name}: no such parameter here" for name in values if name not in known]
        return found


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
