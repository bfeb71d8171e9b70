"""A GPU that is too small. For want of one its memory and CUDA's error are made up; no more is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.learn.model import Classifier

ROOM = 8
"""Rows of a training batch that the GPU would hold."""


def test_a_trial_that_is_out_of_a_gpus_memory_goes_on_with_half_the_micro_batch(
    tmp_path: Path, write_spec: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, seen = Classifier.forward, list[int]()

    def small(model: Classifier, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if model.training:
            if len(ids) > ROOM:
                text = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.10 GiB free."
                raise torch.OutOfMemoryError(text)
            seen.append(len(ids))
        return forward(model, ids, mask)

    monkeypatch.setattr(Classifier, "forward", small)
    settings = Settings(runner="inline", results=str(tmp_path / "results"))
    trial = {"precision": "float32", "cache_gib": 0}
    spec = write_spec(tmp_path, trial=trial, baselines=["majority"])
    search = Search(str(spec), settings=settings).fit()
    records = list(search.history().trials.values())
    struck = [record for record in records if record.failures]
    assert struck
    for record in struck:
        assert {failure.kind for failure in record.failures} == {"out_of_memory"}
        assert record.shrink == 2 ** len(record.failures)
    assert all(record.state in ("completed", "stopped") for record in records)
    assert max(seen) == ROOM
