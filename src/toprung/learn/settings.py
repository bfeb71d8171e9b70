"""The values of a configuration as training takes them, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from toprung.core.errors import FixSpec, Problem
from toprung.core.registry import Registry
from toprung.learn.backbone.card import Card
from toprung.trial.config import TrialConfig

T = TypeVar("T")

_RATES = {"full": 5e-5, "lora": 1e-3, "frozen": 2e-3}


@dataclass(frozen=True)
class Settings:
    """The plain numbers of a configuration.

    Attributes:
        learning_rate: highest, of the head and the top layer; 0 is "by the adapter".
        weight_decay: of matrices; biases and norms have none.
        batch_size: rows of a micro-batch.
        accumulation: micro-batches of a step, which so takes batch_size x accumulation rows.
        warmup: share of the largest resource in which the rate rises from 0.
        dropout: of encoder layers and before the head; None keeps the backbone's and 0.1.
        max_length: longest text in tokens; the backbone's own limit where that is lower.
        sampling: rows as they are, or drawn so that classes are ``balanced`` or nearer (``sqrt``).
        layer_decay: factor of the rate from each layer to the one below; 1 is off.
        max_grad_norm: longest gradient; longer ones are scaled down.
        patience: reports without a better score after which training ends; the best weights then
            come back, and so they do at the largest resource. None trains on with the last ones.
    """

    learning_rate: float = 0.0
    weight_decay: float = 0.01
    batch_size: int = 32
    accumulation: int = 1
    warmup: float = 0.06
    dropout: float | None = None
    max_length: int = 128
    sampling: Literal["plain", "balanced", "sqrt"] = "plain"
    layer_decay: float = 1.0
    max_grad_norm: float = 1.0
    patience: int | None = None


def settings_of(config: TrialConfig, *, rate: float | None = None) -> Settings:
    """The plain numbers of a configuration; a rate that is missing is derived from the adapter.

    Args:
        config: of a trial.
        rate: that takes the place of a missing one instead.

    >>> settings_of(TrialConfig("t0001", {"adapter": "lora"}, 0)).learning_rate
    0.001
    """
    known = {field.name for field in fields(Settings)}
    given: dict[str, Any] = {name: v for name, v in config.values.items() if name in known}
    for name in ("learning_rate", "weight_decay", "warmup", "layer_decay", "max_grad_norm"):
        if name in given:
            given[name] = float(given[name])
    if not given.get("learning_rate"):
        given["learning_rate"] = rate or _RATES.get(str(config.values.get("adapter", "full")), 5e-5)
    return Settings(**given)


def choose(registry: Registry[T], config: TrialConfig, parameter: str, default: str) -> T:
    """The component that a configuration chooses, made with its options.

    Raises:
        FixSpec: no component or option of that name.
    """
    name, options = default, dict[str, Any]()
    if config.values.get(parameter) is not None:
        name, options = config.component(parameter)
    try:
        return registry.get(name)(**options)
    except (KeyError, TypeError, ValueError) as error:
        text = str(error.args[0]) if error.args else str(error)
        raise FixSpec(config.trial, [Problem(parameter, text)]) from error


def card_of(config: TrialConfig, cards: Mapping[str, Card]) -> tuple[Card, int | None]:
    """The card and the depth that a configuration chooses; the only card where it says nothing.

    Raises:
        FixSpec: no card of that name.
    """
    name = config.values.get("backbone")
    if name is None and len(cards) == 1:
        return next(iter(cards.values())), None
    if str(name) not in cards:
        text = f"no card '{name}'. Known: {', '.join(cards)}."
        raise FixSpec(config.trial, [Problem("backbone", text)])
    depth = config.component("backbone")[1].get("depth")
    return cards[str(name)], None if depth is None else int(depth)
