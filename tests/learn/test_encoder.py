from __future__ import annotations

from pathlib import Path

import pytest
import torch

from toprung.core.errors import FixSpec
from toprung.learn import adapters
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.encoder import Encoder
from toprung.learn.backbone.load import load_backbone

FAMILIES = ("bert", "roberta", "electra", "distilbert", "deberta-v2", "modernbert")
every_family = pytest.mark.parametrize("family", FAMILIES)
IDS = torch.tensor([[2, 7, 8, 9, 3], [2, 10, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def make(folder: Path, depth: int | None = None) -> Encoder:
    card = find_card(str(folder))
    return Encoder(load_backbone(card).encoder, card, depth)


@every_family
def test_a_cut_encoder_computes_the_first_layers(encoders: dict[str, Path], family: str) -> None:
    whole, cut = make(encoders[family]), make(encoders[family], depth=2)
    seen: list[torch.Tensor] = []
    whole.layers[1].register_forward_hook(
        lambda module, inputs, output: seen.append(output[0] if type(output) is tuple else output)
    )
    whole(IDS, MASK)
    expected = seen[0]
    if family == "modernbert":
        expected = whole.model.final_norm(expected)
    assert len(cut.layers) == 2
    assert cut.model.config.num_hidden_layers == 2
    assert torch.equal(cut(IDS, MASK), expected)


@every_family
def test_padding_has_no_influence_on_tokens(encoders: dict[str, Path], family: str) -> None:
    encoder = make(encoders[family])
    alone = encoder(IDS[1:, :3], MASK[1:, :3])
    torch.testing.assert_close(encoder(IDS, MASK)[1:, :3], alone, rtol=1e-4, atol=1e-5)


@every_family
@pytest.mark.parametrize("adapter", adapters.registry.names())
def test_every_adapter_trains_its_weights_only(
    encoders: dict[str, Path], family: str, adapter: str
) -> None:
    encoder = make(encoders[family])
    before = {id(p) for p in load_backbone(find_card(str(encoders[family]))).encoder.parameters()}
    adapters.registry.get(adapter)().apply(encoder)
    encoder.train()
    trained = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    frozen = [p for p in encoder.parameters() if not p.requires_grad]
    assert all(id(p) in before for p in frozen)
    assert not before & {id(p) for p in trained.values()}
    if adapter == "frozen":
        assert not trained
        return
    encoder(IDS, MASK).pow(2).sum().backward()
    unused = ("position_embeddings", "token_type_embeddings")  # DeBERTa keeps ones it lacks use of
    for name, parameter in trained.items():
        if parameter.grad is None:
            assert any(part in name for part in unused), name
        else:
            assert torch.isfinite(parameter.grad).all(), name


@every_family
def test_lora_in_the_top_third_leaves_lower_layers_without_dropout(
    encoders: dict[str, Path], family: str
) -> None:
    encoder = make(encoders[family])
    encoder.set_dropout(0.5)
    adapters.registry.get("lora")(layers="top_third").apply(encoder)
    encoder.train()
    states = [layer.training for layer in encoder.layers]
    levels = {encoder.level(n) for n, p in encoder.named_parameters() if p.requires_grad}
    assert states == [False, False, True]
    assert levels == {3}
    assert not encoder.model.embeddings.training
    assert any(
        m.training for m in encoder.layers[2].modules() if isinstance(m, torch.nn.Dropout)
    ) or (family == "modernbert")


@every_family
def test_full_training_has_dropout_in_the_embeddings(
    encoders: dict[str, Path], family: str
) -> None:
    encoder = make(encoders[family], depth=1)
    adapters.registry.get("full")().apply(encoder)
    encoder.train()
    assert encoder.model.embeddings.training
    assert all(
        module.training for module in encoder.layers.modules() if module is not encoder.layers
    )
    encoder.eval()
    assert not any(module.training for module in encoder.model.modules())


def test_a_depth_beyond_the_backbone_is_refused(encoders: dict[str, Path]) -> None:
    with pytest.raises(FixSpec, match="4 is not from 1 to 3"):
        make(encoders["bert"], depth=4)


def test_lora_on_a_backbone_without_targets_is_refused(encoders: dict[str, Path]) -> None:
    encoder = make(encoders["bert"])
    encoder.lora_targets = ()
    with pytest.raises(FixSpec, match="lora_targets"):
        adapters.registry.get("lora")().apply(encoder)


def test_adapters_leave_the_shared_backbone_as_it_was(encoders: dict[str, Path]) -> None:
    card = find_card(str(encoders["bert"]))
    shared = load_backbone(card).encoder
    names = [name for name, _ in shared.named_parameters()]
    before = [p.clone() for p in shared.parameters()]
    encoder = make(encoders["bert"])
    adapters.registry.get("full")().apply(encoder)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1.0)
    adapters.registry.get("lora")().apply(make(encoders["bert"]))
    assert [name for name, _ in shared.named_parameters()] == names
    assert all(torch.equal(a, b) for a, b in zip(before, shared.parameters(), strict=True))
    assert not any(p.requires_grad for p in shared.parameters())
