"""What a name in the YAML may be: the components of a registry, or the cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from toprung.core.errors import FixSpec
from toprung.core.registry import Registry, nearest
from toprung.learn.backbone.card import Card, card_names, find_card
from toprung.spec.fields import Field, fields_of
from toprung.spec.limits import Limit
from toprung.spec.nodes import shown
from toprung.trial.space import Scalar

PACKAGES = {
    "task": "data.tasks",
    "architecture": "learn.architectures",
    "fusion": "learn.fusions",
    "position": "learn.positions",
    "adapter": "learn.adapters",
    "pooling": "learn.poolings",
    "head": "learn.heads",
    "augmenter": "learn.augmenters",
    "loss": "learn.losses",
    "schedule": "learn.schedules",
    "scheduler": "search.schedulers",
    "searcher": "search.searchers",
    "ensemble": "judge.ensembles",
    "baseline": "judge.baselines",
    "gate": "judge.gates",
    "corpus": "data.corpora",
}


class Family(Protocol):
    """Names of one kind, each with options of its own."""

    kind: str

    def names(self) -> Sequence[str]:
        """Every known name."""
        ...

    def unknown(self, name: str) -> str | None:
        """Why the name cannot be used, with the nearest one; None where it can."""
        ...

    def fields(self, name: str) -> Mapping[str, Field]:
        """The options of a known name."""
        ...

    def refuse(self, name: str, options: Mapping[str, Scalar]) -> str | None:
        """Why a known name refuses these options, each of which fits alone; None if not."""
        ...


class Components:
    """The components of a registry; one is imported only where its options are asked for."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._registry = registry(kind)

    def names(self) -> Sequence[str]:
        """Every component's name."""
        return self._registry.names()

    def unknown(self, name: str) -> str | None:
        """Why there is no such component, with the nearest name; None where there is."""
        if name in self.names():
            return None
        return f"no {self.kind} {shown(name)}. {nearest(name, self.names())}"

    def fields(self, name: str) -> Mapping[str, Field]:
        """The keyword parameters of the component's constructor."""
        return fields_of(self._registry.get(name))

    def refuse(self, name: str, options: Mapping[str, Scalar]) -> str | None:
        """What the component's own constructor says against the options."""
        required = [field.name for field in self.fields(name).values() if field.required]
        if not options or any(key not in options for key in required):
            return None
        try:
            self._registry.get(name)(**options)
        except ValueError as error:
            return str(error)
        return None


class Backbones:
    """The cards of the catalogue, and those that a path names; the option is the depth."""

    kind = "backbone"

    def __init__(self, base: Path) -> None:
        self.base = base
        self.cards: dict[str, Card] = {}

    def names(self) -> Sequence[str]:
        """Every card's name in the catalogue."""
        return card_names()

    def unknown(self, name: str) -> str | None:
        """What is wrong with the card, or why there is none; None where it is usable."""
        if name in self.cards:
            return None
        try:
            if not 0 < len(name) <= 1000:
                raise ValueError(name)
            self.cards[name] = find_card(name, self.base)
        except FixSpec as error:
            texts = [f"{problem.where}: {problem.text}" for problem in error.problems]
            return " ".join(text.removeprefix(": ") for text in texts)
        except (OSError, ValueError):  # a name too long for a path, a folder with a broken config
            return f"no backbone {shown(name)}. {nearest(name, self.names())}"
        return None

    def fields(self, name: str) -> Mapping[str, Field]:
        """The depth: how many of the card's layers are kept."""
        layers = self.cards[name].layers
        depth = Field("depth", kinds=(int,), default=layers, limit=Limit(1, layers))
        return {"depth": depth}

    def refuse(self, name: str, options: Mapping[str, Scalar]) -> str | None:
        """Nothing: a depth that fits alone fits."""
        return None


@cache
def registry(kind: str) -> Registry[Any]:
    """The registry of the components of a kind; imported when first asked for."""
    found = import_module(f"toprung.{PACKAGES[kind]}").registry
    assert isinstance(found, Registry)
    return found
