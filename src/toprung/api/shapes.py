"""What of a configuration decides the time that a step takes, and how much arithmetic that is."""

from __future__ import annotations

from collections.abc import Mapping

from toprung.learn.backbone.card import Card
from toprung.trial.space import Scalar, Values

Shape = tuple[tuple[str, Scalar], ...]
"""The values of a configuration that decide what a step costs."""

_KEYS = (
    "backbone",
    "adapter",
    "max_length",
    "batch_size",
    "accumulation",
    "augmenter",
    "decoder_layers",
)
_ENDS = (".depth", ".layers", ".width", ".patch", ".stem", ".fusion")
_OPERATIONS = {"full": 6.0, "lora": 4.0, "frozen": 2.0}
_TRAINED = {"all": 1.0, "top_half": 1 / 2, "top_third": 1 / 3}
_DECODER = 2.0
"""6 operations for each parameter, a third more of them, a quarter of the source's tokens."""
_DEPTH, _HIDDEN = 6.0, 384


def shape_of(values: Values) -> Shape:
    """The values of a configuration that decide what a step costs.

    >>> shape_of({"adapter": "lora", "adapter.lora.layers": "all", "adapter.lora.rank": 8})
    (('adapter', 'lora'), ('adapter.lora.layers', 'all'))
    """
    return tuple(sorted((n, v) for n, v in values.items() if n in _KEYS or n.endswith(_ENDS)))


def work(shape: Shape, cards: Mapping[str, Card]) -> float:
    """Arithmetic of a row in a step, but for what all shapes share.

    It is 6 N operations a token, 4 N with LoRA, 2 N where all is frozen. N, the parameters, goes
    with the trained layers and the square of their width: what frozen layers make of a row is
    computed once. Pooling, head and embeddings count as half a layer, and the layers of a decoder
    that is started from an encoder's are all trained. Series have a token for every
    patch, and matrices so narrow that their time goes with their width.

    >>> lora = (("adapter", "lora"), ("adapter.lora.layers", "top_third"))
    >>> [work(shape, {}) / work(lora, {}) for shape in ((("adapter", "full"),), lora)]
    [3.9, 1.0]
    """
    adapter = str(dict(shape).get("adapter", "full"))
    each = _trained(shape, cards) + 0.5
    operations = _OPERATIONS.get(adapter, 6.0) * each + _DECODER * _decoder(shape, cards)
    return operations * _layer(shape, cards)


def reading(shape: Shape, cards: Mapping[str, Card]) -> float:
    """Arithmetic of a row that is only scored, but for what all shapes share."""
    return 2.0 * (_depth(shape, cards) + 0.5) * _layer(shape, cards)


def cost_of(values: Values, cards: Mapping[str, Card], *, kept: bool = True) -> float:
    """What training a configuration costs beside others.

    Args:
        values: of it.
        cards: of the backbones.
        kept: whether what frozen layers make of the texts is.
    """
    shape = shape_of(values)
    changes = str(values.get("augmenter") or "none") != "none"
    again = 0.0 if kept and not changes else _frozen(shape, cards) * _layer(shape, cards)
    return work(shape, cards) + 2.0 * again


def _frozen(shape: Shape, cards: Mapping[str, Card]) -> float:
    """How many layers learn nothing."""
    return _depth(shape, cards) - _trained(shape, cards)


def _trained(shape: Shape, cards: Mapping[str, Card]) -> float:
    """How many layers are trained, or adapted."""
    if dict(shape).get("adapter") == "frozen":
        return 0.0
    return _TRAINED.get(_layers(shape), 1.0) * _depth(shape, cards)


def _decoder(shape: Shape, cards: Mapping[str, Card]) -> float:
    """Layers of a decoder that is started from the encoder's; 0 where there is none."""
    card = _card(shape, cards)
    if card is None or card.decoder != "warm":
        return 0.0
    return _number(shape, ("decoder_layers",), _depth(shape, cards))


def _depth(shape: Shape, cards: Mapping[str, Card]) -> float:
    card = _card(shape, cards)
    return _number(shape, (".depth", ".layers"), _DEPTH if card is None else card.layers)


def _layer(shape: Shape, cards: Mapping[str, Card]) -> float:
    """Of one layer: its length times what goes with its width."""
    card = _card(shape, cards)
    width = _number(shape, (".width",), 1.0 if card is None else (card.hidden / _HIDDEN) ** 2)
    length = float(str(dict(shape).get("max_length", 128)))
    return length / _number(shape, (".patch",), 1.0) * width


def _card(shape: Shape, cards: Mapping[str, Card]) -> Card | None:
    return cards.get(str(dict(shape).get("backbone")))


def _number(shape: Shape, ends: tuple[str, ...], otherwise: float) -> float:
    """The number whose name ends so."""
    found = (v for n, v in shape if n.endswith(ends) and isinstance(v, int | float))
    return float(next(found, otherwise))


def _layers(shape: Shape) -> str:
    """Which layers LoRA adapts."""
    return str(dict(shape).get("adapter.lora.layers", "all"))
