"""The ``space`` of a spec: which parameters there may be, and what must fit together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from toprung.core.registry import nearest
from toprung.data.tasks._base import Task
from toprung.learn.backbone.card import Card, card_names, find_card
from toprung.learn.series.settings import SeriesSettings
from toprung.learn.settings import Settings
from toprung.learn.summaries.settings import SummarySettings
from toprung.spec.choices import read_choice
from toprung.spec.domain import read_parameter
from toprung.spec.families import Backbones, Components, Family
from toprung.spec.fields import Field, fields_of
from toprung.spec.nodes import Node, Problems
from toprung.trial.space import Choice, Float, Int, Parameter, Space

COMPONENTS = ("adapter", "pooling", "head", "loss", "schedule", "augmenter")
NUMBERS: Mapping[str, Field] = fields_of(Settings)
KEYS = ("backbone", *COMPONENTS, *NUMBERS)
_OF_SUMMARIES = ("adapter", "loss", "schedule")
_NUMBERS_OF_SUMMARIES: Mapping[str, Field] = {
    **{name: known for name, known in NUMBERS.items() if name not in ("sampling", "layer_decay")},
    **fields_of(SummarySettings),
}
_OF_SERIES = ("pooling", "head", "loss", "schedule")
_NUMBERS_OF_SERIES: Mapping[str, Field] = {
    **{name: known for name, known in NUMBERS.items() if name not in ("max_length", "layer_decay")},
    **fields_of(SeriesSettings),
}


def read_space(
    node: Node, base: Path, problems: Problems, *, task: Task
) -> tuple[Space, Mapping[str, Card]]:
    """The space and the cards of its backbones; what is wrong goes into ``problems``.

    Args:
        node: the mapping under ``space``.
        base: folder that paths of backbones start from.
        problems: what is found wrong is added here.
        task: of the spec: a backbone is a card for texts, an architecture for windows.
    """
    on_series = task.reads == "series"
    components, numbers = _parameters(task)
    cards = Backbones(base)
    backbones: Family = Components("architecture") if on_series else cards
    keys = ("backbone", *components, *numbers)
    readers = {name: partial(read_parameter, field=numbers[name]) for name in numbers}
    found: dict[str, Parameter] = {}
    for key, child in node.items.items():
        parameter: Parameter | None = None
        if key == "backbone":
            parameter = read_choice(child, backbones, problems)
        elif key in components:
            parameter = read_choice(child, Components(key), problems)
        elif key in readers:
            parameter = readers[key](child, problems=problems)
        else:
            problems.add(child, f"no parameter '{key}'. {nearest(key, keys)}")
        if parameter is not None:
            found[key] = parameter
    if "backbone" not in node.items:
        text = f"no backbone. Write backbone: with a name. {nearest('', backbones.names())}"
        problems.add(node, text)
    _check_decoder(node, cards.cards, task, problems)
    _check_lora(node, found, cards.cards, problems)
    _check_length(node, found, cards.cards, problems)
    return Space(found), cards.cards


def _parameters(task: Task) -> tuple[tuple[str, ...], Mapping[str, Field]]:
    """The components that a task's trials choose, and their numbers."""
    if task.answers == "texts":
        return _OF_SUMMARIES, _NUMBERS_OF_SUMMARIES
    if task.reads == "series":
        return _OF_SERIES, _NUMBERS_OF_SERIES
    return COMPONENTS, NUMBERS


def _check_decoder(node: Node, cards: Mapping[str, Card], task: Task, problems: Problems) -> None:
    """A task that writes needs a decoder, and no other task has work for one."""
    writes = task.answers == "texts"
    for name, card in cards.items():
        if writes and card.decoder is None:
            text = f"'{name}' only reads, and summaries are written."
            problems.add(node.items["backbone"], f"{text} Use a card with a decoder: {_writers()}.")
        elif not writes and card.decoder is not None:
            text = f"'{name}' writes texts, and this task answers with classes."
            problems.add(node.items["backbone"], f"{text} Use an encoder, as minilm.")


def _writers() -> str:
    return ", ".join(name for name in card_names() if find_card(name).decoder)


def _check_lora(
    node: Node, found: Mapping[str, Parameter], cards: Mapping[str, Card], problems: Problems
) -> None:
    adapter = found.get("adapter")
    if not isinstance(adapter, Choice) or "lora" not in adapter.values:
        return
    for name in [name for name, card in cards.items() if not card.lora_targets]:
        text = f"'lora' does not fit backbone '{name}': its card names no lora_targets."
        others = [value for value in adapter.values if value != "lora"] or ["full", "frozen"]
        allowed = ", ".join(map(str, others))
        problems.add(node.items["adapter"], f"{text} Use {allowed}, or add them to the card.")


def _check_length(
    node: Node, found: Mapping[str, Parameter], cards: Mapping[str, Card], problems: Problems
) -> None:
    longest = _largest(found.get("max_length"))
    for name, card in cards.items():
        if longest > card.max_length:
            text = f"{longest:g} is above {card.max_length}, the longest input of '{name}'."
            problems.add(node.items["max_length"], f"{text} Lower it.")


def _largest(parameter: Parameter | None) -> float:
    if isinstance(parameter, Int | Float):
        return parameter.high
    values = parameter.values if parameter else []
    return max((v for v in values if isinstance(v, int | float)), default=0)
