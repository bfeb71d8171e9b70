"""The contracts of the registries, over every component there is."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import pytest
import torch

from toprung.data.tasks.multi_label import MultiLabel
from toprung.data.tasks.single_label import SingleLabel
from toprung.data.tasks.summarization import Summarization
from toprung.learn import (
    adapters,
    architectures,
    augmenters,
    fusions,
    heads,
    losses,
    poolings,
    positions,
    schedules,
)

REGISTRIES: list[Any] = [
    *(augmenters, losses, poolings, heads, adapters, schedules),
    *(architectures, fusions, positions),
]
EVERY = [(m.registry, name) for m in REGISTRIES for name in m.registry.names()]
STATES = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(3))
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
LOGITS = 3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(4))
TARGETS = torch.tensor([0, 1, 2, 3, 0, 0])
MARKS = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0] * 4, [1] * 4, [0, 1, 0, 1]])
LOSSES = [
    *((name, TARGETS) for name in SingleLabel.losses),
    *((name, MARKS.float()) for name in MultiLabel.losses),
]
WRITTEN = set(Summarization.losses)


@pytest.mark.parametrize(("registry", "name"), EVERY, ids=[f"{r.kind}-{n}" for r, n in EVERY])
def test_every_component_has_plain_options_with_defaults_and_a_doc(
    registry: Any, name: str
) -> None:
    component = registry.get(name)
    assert component.__doc__
    assert len(component.__doc__.splitlines()[0]) <= 90
    hints = get_type_hints(component.__init__)
    for option, parameter in list(inspect.signature(component.__init__).parameters.items())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue  # nn.Module's own constructor, where a component has no options
        assert parameter.default is not parameter.empty, option
        plain = {int, float, bool, str, type(None)}
        kinds = get_args(hints[option]) or (hints[option],)
        assert all(kind in plain or isinstance(kind, str) for kind in kinds), option
    component()


@pytest.mark.parametrize("name", poolings.registry.names())
def test_padding_has_no_influence_on_a_pooled_vector(name: str) -> None:
    pooling = poolings.registry.get(name)()
    width = pooling.build(8)
    for parameter in pooling.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    clean = pooling(STATES, MASK)
    dirty = pooling(STATES.masked_fill(MASK[..., None] == 0, torch.nan), MASK)
    short = pooling(STATES[1:2, :2], MASK[1:2, :2])
    assert clean.shape == (3, width)
    assert torch.equal(clean, dirty)
    torch.testing.assert_close(clean[1:2], short)


@pytest.mark.parametrize("name", poolings.registry.names())
def test_gradients_through_a_pooling_are_finite(name: str) -> None:
    pooling = poolings.registry.get(name)()
    pooling.build(8)
    states = STATES.clone().requires_grad_()
    pooling(states, MASK).pow(2).sum().backward()
    grads = [states.grad, *(p.grad for p in pooling.parameters())]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)
    assert states.grad is not None
    assert not states.grad[MASK == 0].any()


@pytest.mark.parametrize("name", heads.registry.names())
@pytest.mark.parametrize("options", [{}, {"residual": True, "layer_norm": True}])
def test_a_head_scores_every_label(name: str, options: dict[str, bool]) -> None:
    known = inspect.signature(heads.registry.get(name).__init__).parameters
    head = heads.registry.get(name)(**{k: v for k, v in options.items() if k in known})
    head.build(8, 4)
    scores = head(torch.randn(5, 8))
    scores.pow(2).sum().backward()
    assert scores.shape == (5, 4)
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_every_loss_fits_a_task() -> None:
    assert {name for name, _ in LOSSES} | WRITTEN == set(losses.registry.names())


@pytest.mark.parametrize(("name", "targets"), LOSSES, ids=[name for name, _ in LOSSES])
def test_a_loss_is_a_finite_number_a_row_and_falls_along_its_gradient(
    name: str, targets: torch.Tensor
) -> None:
    loss = losses.registry.get(name)()
    logits = LOGITS.clone().requires_grad_()
    rows = loss(logits, targets)
    rows.mean().backward()
    assert rows.shape == (6,)
    assert (rows >= 0).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert loss(LOGITS - 0.5 * logits.grad, targets).mean() < rows.mean()


@pytest.mark.parametrize(("name", "targets"), LOSSES, ids=[name for name, _ in LOSSES])
@pytest.mark.parametrize("size", [1e4, 1e-8])
def test_a_loss_stands_extreme_scores(name: str, targets: torch.Tensor, size: float) -> None:
    many = targets.ndim == 2
    right = 2 * targets - 1 if many else torch.eye(4)[targets]
    logits = (size * right).requires_grad_()
    for shown in (targets, 1 - targets if many else (targets + 1) % 4):
        rows = losses.registry.get(name)()(logits, shown)
        rows.sum().backward()
        assert torch.isfinite(rows).all()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("name", "option"), [("bce", "class_weights"), ("binary_focal", "alpha")])
def test_balanced_positives_weigh_as_much_as_the_rows_without_them(name: str, option: str) -> None:
    counts = MARKS.sum(dim=0)
    weights = losses.registry.get(name)(**{option: "balanced"}).prepare(counts, len(MARKS))
    assert weights is not None
    torch.testing.assert_close(weights * counts, (len(MARKS) - counts).float())


def test_binary_focal_loss_without_gamma_is_binary_cross_entropy() -> None:
    focal = losses.registry.get("binary_focal")(gamma=0.0)(LOGITS, MARKS.float())
    torch.testing.assert_close(focal, losses.registry.get("bce")()(LOGITS, MARKS.float()))


def test_asymmetric_loss_forgets_rows_that_are_clearly_without_a_class() -> None:
    loss = losses.registry.get("asymmetric")()
    clear = loss(torch.tensor([[-4.0, -4.0]]), torch.zeros(1, 2))
    assert clear.item() < 1e-20


@pytest.mark.parametrize(
    ("name", "option"),
    [("cross_entropy", "class_weights"), ("focal", "alpha")],
)
def test_class_weights_favour_rare_classes_and_average_to_one(name: str, option: str) -> None:
    counts = torch.bincount(TARGETS)
    weights = losses.registry.get(name)(**{option: "balanced"}).prepare(counts, len(TARGETS))
    assert weights is not None
    assert weights[1] == 3 * weights[0]
    torch.testing.assert_close(weights[TARGETS].mean(), torch.tensor(1.0))


def test_focal_loss_without_gamma_is_cross_entropy() -> None:
    focal = losses.registry.get("focal")(gamma=0.0)(LOGITS, TARGETS)
    torch.testing.assert_close(focal, losses.registry.get("cross_entropy")()(LOGITS, TARGETS))


@pytest.mark.parametrize("name", schedules.registry.names())
def test_a_schedule_starts_at_one_and_stays_within_bounds(name: str) -> None:
    schedule = schedules.registry.get(name)()
    scales = [schedule.scale(i / 100) for i in range(101)]
    assert scales[0] == 1.0
    assert all(0.0 <= scale <= 1.0 for scale in scales)


@pytest.mark.parametrize("name", schedules.registry.names())
def test_a_schedule_goes_on_from_its_kept_state(name: str) -> None:
    heard = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
    whole, first = schedules.registry.get(name)(), schedules.registry.get(name)()
    for loss in heard:
        whole.observe(loss)
    for loss in heard[:7]:
        first.observe(loss)
    second = schedules.registry.get(name)()
    second.restore(first.state())
    for loss in heard[7:]:
        second.observe(loss)
    assert second.state() == whole.state()
    assert second.scale(0.4) == whole.scale(0.4)
