"""The options of a component, read from its constructor's signature."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from toprung.core.registry import nearest
from toprung.spec.limits import ANY, Limit, limit
from toprung.spec.nodes import shown
from toprung.trial.space import Scalar

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


@dataclass(frozen=True)
class Field:
    """One option: its name, what it takes and its default.

    Attributes:
        name: of the constructor's parameter.
        kinds: types it takes, of ``int``, ``float``, ``bool`` and ``str``.
        choices: single values it takes beside them.
        nullable: whether null is one more value.
        required: whether it has no default.
        default: its value where it is left out.
        limit: interval that its numbers must lie in.

    >>> rank = Field("rank", kinds=(int,), default=8, limit=Limit(1))
    >>> rank.problem(0)
    '0 is not a whole number of at least 1. For example: 8.'
    """

    name: str
    kinds: tuple[type, ...] = ()
    choices: tuple[Scalar, ...] = ()
    nullable: bool = False
    required: bool = False
    default: Scalar = None
    limit: Limit = ANY

    @property
    def numeric(self) -> bool:
        """Whether it takes numbers."""
        return int in self.kinds or float in self.kinds

    def coerce(self, value: Scalar) -> Scalar:
        """The value in the option's own type: 1 becomes 1.0 where a real number is wanted."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value or 0) if whole and self._wants_float else value

    @property
    def _wants_float(self) -> bool:
        return float in self.kinds and int not in self.kinds

    def fits(self, value: Scalar) -> bool:
        """Whether the option takes the value."""
        if any(value == choice and type(value) is type(choice) for choice in self.choices):
            return True
        if value is None:
            return self.nullable
        if isinstance(value, bool | str):
            return type(value) in self.kinds
        return self._takes_number(value)

    def problem(self, value: Scalar) -> str | None:
        """What is wrong with a value, and what would be right; None where it fits."""
        if self.fits(value):
            return None
        return f"{shown(value)} is not {self.describe()}.{self._hint(value)}"

    def _takes_number(self, value: float) -> bool:
        if isinstance(value, float) and (float not in self.kinds or not math.isfinite(value)):
            return False
        return self.numeric and abs(value) < 2**63 and self.limit.allows(value)

    def describe(self) -> str:
        """What it takes, in words."""
        kinds = [kind for kind in self.kinds if kind is not int or float not in self.kinds]
        interval = self.limit.describe()
        words = [
            f"{_WORDS[kind]} {'of ' if interval.startswith('at') else ''}{interval}".strip()
            if kind in (int, float)
            else _WORDS[kind]
            for kind in kinds
        ]
        words += ["one of " + ", ".join(shown(c).strip("'") for c in self.choices)] * bool(
            self.choices
        )
        words += ["null"] * self.nullable
        return " or ".join(words)

    def _hint(self, value: Scalar) -> str:
        if self.choices and isinstance(value, str):
            hint = nearest(value, [str(choice) for choice in self.choices])
            return f" {hint}" if "?" in hint else " Choose one of them."
        if isinstance(value, str) and self.numeric and _reads_as_number(value):
            return " Write it without quotes, units or separators."
        if str in self.kinds and isinstance(value, int | float):
            return " Put it in quotes where it is meant as text."
        if self.default is not None and self.fits(self.default):
            return f" For example: {shown(self.default)}."
        return " Choose such a value."


def _reads_as_number(text: str) -> bool:
    return any(character.isdigit() for character in text)


def fields_of(component: type[Any], leave_out: Sequence[str] = ()) -> dict[str, Field]:
    """The options of a component by name, in the order of its constructor.

    Args:
        component: a class.
        leave_out: parameters that are read in another way.

    Raises:
        TypeError: an annotation is none of the plain ones; a bug of the component.
    """
    maker = component.__init__
    # A dataclass may inherit fields; each annotation is read in the module that wrote it.
    hints = get_type_hints(component if is_dataclass(component) else maker)
    parameters = list(inspect.signature(maker).parameters.values())[1:]
    plain = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    named = [p for p in plain if p.name not in leave_out]
    return {p.name: _field(p, hints.get(p.name, str)) for p in named}


def field(name: str, hint: Any, default: Scalar = None, limits: Limit | None = None) -> Field:
    """An option of that annotation.

    Raises:
        TypeError: the annotation is none of the plain ones.

    >>> field("gamma", float | None).describe()
    'a number of at least 0 or null'
    """
    kinds: list[type] = []
    choices: list[Scalar] = []
    nullable = False
    for part in _parts(hint):
        if part is type(None):
            nullable = True
        elif get_origin(part) is Literal:
            choices += get_args(part)
        elif part in _WORDS:
            kinds.append(part)
        else:
            raise TypeError(f"option {name}: {part!r} is not a plain annotation")
    return Field(
        name=name,
        kinds=tuple(kinds),
        choices=tuple(choices),
        nullable=nullable,
        default=default,
        limit=limits or (limit(name) if {int, float} & set(kinds) else ANY),
    )


def _parts(hint: Any) -> Sequence[Any]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _field(parameter: inspect.Parameter, hint: Any) -> Field:
    required = parameter.default is parameter.empty
    made = field(parameter.name, hint, None if required else parameter.default)
    return Field(**{**vars(made), "required": required})
