"""Options are read from constructors; every component of every registry can be bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from toprung.spec.families import PACKAGES, Components, registry
from toprung.spec.fields import fields_of
from toprung.spec.space import COMPONENTS, KEYS, NUMBERS


@dataclass(frozen=True)
class Parent:
    """Options that another class inherits."""

    rows: Literal["train", "all"] = "train"
    size: int | None = None


@dataclass(frozen=True)
class Child(Parent):
    """One option more."""

    gamma: float = 2.0


class Plain:
    """Options of an ordinary constructor."""

    def __init__(self, *, wide: bool, name: str = "x") -> None:
        self.wide = wide
        self.name = name


class Bare:
    """No constructor at all."""


def test_fields_come_from_dataclasses_constructors_and_nothing() -> None:
    assert list(fields_of(Child)) == ["rows", "size", "gamma"]
    assert [field.required for field in fields_of(Plain).values()] == [True, False]
    assert fields_of(Bare) == {}


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("rows", "all", True),
        ("rows", "none", False),
        ("size", 3, True),
        ("size", None, True),
        ("size", 3.0, False),
        ("size", True, False),
        ("size", 2**70, False),
        ("gamma", 1, True),
        ("gamma", -1.0, False),
        ("gamma", float("nan"), False),
        ("gamma", "1", False),
        ("gamma", None, False),
    ],
)
def test_a_field_takes_its_type_and_nothing_else(name: str, value: object, fits: bool) -> None:
    assert (fields_of(Child)[name].problem(value) is None) is fits  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_component_can_be_bound_and_made_with_its_defaults(kind: str) -> None:
    family = Components(kind)
    assert family.names()
    for name in family.names():
        fields = family.fields(name)
        optional = {key: field for key, field in fields.items() if not field.required}
        assert [key for key, f in optional.items() if f.problem(f.default)] == [], name
        if len(optional) == len(fields):
            given = {key: f.default for key, f in optional.items()}
            given |= {"at_least": 0.5} if kind == "gate" else {}  # one bound at least
            made = registry(kind).get(name)(**given)
            assert isinstance(made, registry(kind).base)


def test_every_key_of_a_space_is_a_component_a_number_or_the_backbone() -> None:
    assert set(KEYS) == {"backbone", *COMPONENTS, *NUMBERS}
    assert len(KEYS) == len(set(KEYS))
