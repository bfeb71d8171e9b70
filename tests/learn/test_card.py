from __future__ import annotations

from pathlib import Path

import pytest

from toprung.core.errors import FixSpec
from toprung.learn.backbone.card import Card, card_names, find_card


@pytest.mark.parametrize("name", card_names())
def test_every_card_of_the_catalogue_reads_and_survives_json(name: str) -> None:
    card = find_card(name)
    assert card.name == name
    assert card.lora_targets
    assert Card.from_json(card.to_json()) == card


def test_the_usual_families_have_cards() -> None:
    families = {"minilm", "bert_base", "distilbert", "roberta_base", "modernbert_base"}
    families |= {"deberta_v3_small", "deberta_v3_base", "electra_small", "electra_base"}
    assert families <= set(card_names())


def test_a_revision_is_a_whole_commit_or_absent() -> None:
    for name in card_names():
        revision = find_card(name).revision
        assert revision is None or (len(revision) == 40 and int(revision, 16))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(FixSpec, match="Did you mean 'minilm'"):
        find_card("minilmm")


def test_all_problems_of_a_card_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("source: a b c\nlayers: six\nhiden: 3\nlora_targets: query\n")
    with pytest.raises(FixSpec) as caught:
        find_card("bad.yaml", tmp_path)
    told = {problem.where for problem in caught.value.problems}
    assert {"source", "layers", "hiden", "lora_targets", "hidden", "heads"} <= told


def test_a_folder_with_an_encoder_needs_no_card(encoders: dict[str, Path]) -> None:
    card = find_card(str(encoders["distilbert"]))
    assert (card.kind, card.layers, card.hidden, card.heads) == ("folder", 3, 16, 2)
    assert card.layers_path == "transformer.layer"


def test_a_folder_of_another_family_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(FixSpec, match="gpt2"):
        find_card(str(tmp_path))
