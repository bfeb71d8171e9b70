from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from toprung.learn import paces
from toprung.learn.batches import cut
from toprung.learn.paces import measure_paces
from toprung.learn.trainer import Trainer
from toprung.trial.config import TrialConfig

CACHED: dict[str, Any] = {
    "backbone": "tiny",
    "adapter": "lora",
    "adapter.lora.layers": "top_third",
}
"""Frozen layers below, so that what they make of the rows is kept."""


def test_a_slow_machine_is_timed_with_fewer_rows(
    trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    train = paces._train

    def counted(run: Any, rows: int) -> tuple[float, float]:
        trained.append(len(run.labels))
        return train(run, rows)

    monkeypatch.setattr(paces, "_train", counted)
    monkeypatch.setattr(paces, "_PART_SECONDS", 0.01)
    plan, configs = trainer(), [TrialConfig("t0001", CACHED, 1)]
    (whole,) = measure_paces(plan, configs)
    assert set(trained) == {len(plan.dataset.splits["train"])}
    trained.clear()
    monkeypatch.setattr(paces, "_FEWEST_ROWS", 64)
    monkeypatch.setattr(paces, "_FIRST_PASS_SECONDS", 0.0)
    (part,) = measure_paces(plan, configs)
    assert trained[-1] == 64
    assert part.train_seconds > 0
    # Each row takes its own place, however many are timed.
    assert part.cache_bytes == pytest.approx(whole.cache_bytes, rel=0.25)


def test_what_one_configuration_keeps_is_not_counted_for_the_next(
    trainer: Callable[..., Trainer],
) -> None:
    frozen = {"backbone": "tiny", "adapter": "frozen"}
    one, two = measure_paces(
        trainer(), [TrialConfig("t0001", CACHED, 1), TrialConfig("t0002", frozen, 1)]
    )
    assert two.cache_bytes == pytest.approx(one.cache_bytes, rel=0.5)


def test_memory_is_weighed_in_a_step_on_the_longest_rows(
    trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[int, int]] = []

    def noted(rows: Any, lengths: Any, *most: int) -> Any:
        steps.append((len(rows), int(lengths.min())))
        return cut(rows, lengths, *most)

    monkeypatch.setattr(paces, "cut", noted)
    monkeypatch.setattr(paces, "used_bytes", lambda: len(steps))
    (pace,) = measure_paces(trainer(), [TrialConfig("t0001", CACHED, 1)])
    size = steps[0][0]
    assert steps[-1][0] == size
    assert steps[-1][1] >= max(shortest for rows, shortest in steps if rows == size)
    # And twice what a step takes for holes in the heap.
    assert pace.memory_bytes == len(steps) + 2
