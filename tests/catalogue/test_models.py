"""Every card of the catalogue can stand in a search."""

from __future__ import annotations

import pytest

from toprung.learn.backbone.card import Card, card_names, find_card
from toprung.spec.load import parse_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.space import Choice

SPEC = """
task: single_label
data: {{corpus: tickets}}
space:
  backbone: {name}
  adapter: {{lora: {{rank: 4}}}}
  pooling: {pooling}
metric: macro_f1
"""
WRITES = """
task: summarization
data: {{path: somewhere}}
space:
  backbone: {name}
  adapter: {{lora: {{rank: 4, targets: [card, all]}}}}
metric: rouge1
"""


def spec_of(card: Card, backbone: str, pooling: str) -> SearchSpec:
    text = (WRITES if card.decoder else SPEC).format(name=backbone, pooling=pooling)
    return parse_spec(text.encode(), path="spec.yaml")


@pytest.mark.parametrize("name", card_names())
def test_a_card_stands_in_a_search_with_its_own_pooling_and_lora(name: str) -> None:
    card = find_card(name)
    assert spec_of(card, name, card.pooling).cards == {name: card}


@pytest.mark.parametrize("name", card_names())
def test_a_card_offers_no_more_layers_than_its_encoder_has(name: str) -> None:
    card = find_card(name)
    layers = card.layers
    head = f"{{{name}: {{depth: {{int: [1, {layers}]}}}}}}"
    spec = spec_of(card, head, "mean")
    assert not isinstance(dict(spec.space.walk())[f"backbone.{name}.depth"], Choice)


@pytest.mark.parametrize("name", card_names())
def test_a_card_says_how_big_and_whose_it_is(name: str) -> None:
    card = find_card(name)
    # The heads of T5 are 64 wide, whatever the model is.
    assert card.hidden % card.heads == 0 or "t5" in name
    assert 1e6 < card.parameters < 1e9
    assert card.licence in ("apache-2.0", "mit")
    assert card.max_length >= 256
