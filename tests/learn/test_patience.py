"""Patience: when training ends early, and with which weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from toprung.learn import run
from toprung.learn.patience import Patience
from toprung.trial.config import Resource
from toprung.trial.report import Metric


def weights(value: float) -> dict[str, torch.nn.Parameter]:
    return {"w": torch.nn.Parameter(torch.tensor([value]))}


def test_scores_of_fewer_rows_are_forgotten_when_there_are_more() -> None:
    patience = Patience(2)
    for score, rows, value in ((0.95, 512, 1.0), (0.94, 512, 2.0), (0.90, 2000, 3.0)):
        patience.hear(score, weights(value), rows=rows)
    assert not patience.ended
    assert patience.best == 0.90
    patience.hear(0.89, weights(4.0), rows=2000)
    found = weights(0.0)
    patience.give_back(found)
    assert found["w"].item() == 3.0


def test_what_was_waited_for_is_kept_in_a_checkpoint() -> None:
    patience, again = Patience(2), Patience(2)
    patience.hear(0.9, weights(1.0), rows=2000)
    patience.hear(0.8, weights(2.0), rows=2000)
    again.restore(patience.state(), patience.tensors())
    again.hear(0.7, weights(3.0), rows=2000)
    assert again.ended
    assert again.best == 0.9


def test_weights_that_reach_the_floor_are_not_given_up_for_a_higher_score(
    trainer: Any, assign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = Resource("epochs", 1, 3, (1, 2, 3))
    plan = trainer(resource=points, metric=Metric("accuracy", floor=0.9), by_class=True)
    scores = iter([(0.92, 0.91), (0.95, 0.89), (0.96, 0.5), (0.92, 0.91)])
    scored: list[torch.Tensor] = []

    def score(build: Any, *_: Any, **__: Any) -> dict[str, float]:
        scored.append(next(iter(build.model.trainable().values())).detach().clone())
        accuracy, recall = next(scores)
        return {"accuracy": accuracy, "recall.a": recall, "evaluated_rows": 40.0}

    monkeypatch.setattr(run, "score_held_out", score)
    reports = list(plan(assign(24, patience=6)))
    assert [report.metrics["accuracy"] for report in reports] == [0.92, 0.95, 0.92]
    assert not any(torch.equal(scored[0], other) for other in scored[1:3])
    assert torch.equal(scored[3], scored[0])
