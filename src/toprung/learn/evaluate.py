"""Scores of many rows: sorted by length, in the order of the rows, without gradients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from toprung.core.errors import TrialDiverged
from toprung.data.answers import write_answers
from toprung.data.tasks._base import Labels, Task
from toprung.learn.batches import Rows, nested_order
from toprung.learn.build import Build
from toprung.learn.inputs import RowInputs
from toprung.learn.model import Model
from toprung.learn.plan import Plan
from toprung.trial.config import Resource

_FEWEST_SCORED = 512
_TRAINED_A_SCORED = 4
_TOKENS_OF_A_BATCH = {"cpu": 4096, "cuda": 65536}


def predict(
    model: Model, inputs: RowInputs, rows: Rows | None = None, *, shrink: int = 1
) -> NDArray[np.float32]:
    """Scores of rows, (B, outputs) float32.

    The same rows give the same bits: batches depend on the lengths alone, and nothing is drawn.
    The model is left in ``eval`` mode.

    Args:
        model: that scores them.
        inputs: N rows.
        rows: (B,) which of them; None takes all.
        shrink: scores so many times fewer tokens at once.
    """
    budget = _TOKENS_OF_A_BATCH.get(inputs.device.type, 4096) // shrink
    rows = np.arange(len(inputs.lengths)) if rows is None else rows
    lengths = inputs.lengths[rows]
    order = np.argsort(-lengths, kind="stable")
    model.eval()
    found: list[torch.Tensor] = []
    start = 0
    with torch.inference_mode():
        while start < len(order):
            size = max(1, budget // max(1, int(lengths[order[start]])))
            part = order[start : start + min(size, 256)]
            found.append(inputs.scores(model, rows[part]))
            start += len(part)
    if not found:
        raise ValueError("there are no rows to score")
    scores = torch.cat(found).float().cpu().numpy()
    result = np.empty_like(scores)
    result[order] = scores
    return result


def answer_shares(task: Task, logits: NDArray[np.floating], labels: Labels) -> dict[str, float]:
    """Shares of the rows with the most frequent answer, of the model's and of the true ones.

    >>> from toprung.data.tasks.single_label import SingleLabel
    >>> answer_shares(SingleLabel(), np.eye(2)[[0, 0, 0, 0]], np.array([0, 1, 0, 1]))
    {'largest_predicted_share': 1.0, 'largest_true_share': 0.5}
    """
    answered = task.decide(task.probabilities(logits))
    true = task.marks(labels, answered.shape[1])
    return {"largest_predicted_share": _most(answered), "largest_true_share": _most(true)}


def _most(marks: NDArray[np.bool_]) -> float:
    """The share of the most frequent row of (N, C)."""
    _, counts = np.unique(np.packbits(marks, axis=1), axis=0, return_counts=True)
    return float(counts.max() / len(marks))


def rows_to_score(
    strata: Mapping[str, Rows], resource: Resource, point: int, *, unit: int
) -> dict[str, Rows]:
    """Which held-out rows a report at a point is about: all of them, or a fixed few.

    All at the largest resource, and at a rung where they are at most a quarter of what was
    trained since the rung below. Otherwise so many stopping rows, from
    512, as are a quarter of it: the first of one order, so that trials compare at each rung.

    Args:
        strata: (N,) of each split that is scored; few rows have all of them in proportion.
        resource: of the search.
        point: of the report.
        unit: examples in a unit of the resource.
    """
    sizes = {name: len(found) for name, found in strata.items()}
    worth = resource.since_rung(point) * unit // _TRAINED_A_SCORED
    cheap = resource.is_rung(point) and sum(sizes.values()) <= worth
    if point == resource.max or cheap:
        return {name: np.arange(size) for name, size in sizes.items() if size}
    some = max(_FEWEST_SCORED, worth)
    first = nested_order(strata.get("stopping", np.zeros(0, dtype=np.int64)))[:some]
    return {"stopping": np.sort(first)} if len(first) else {}


def score_held_out(
    build: Build, plan: Plan, point: int, *, unit: int, shrink: int, folder: Path
) -> dict[str, float]:
    """Metrics of a trial at a point, on the stopping rows; scores of whole splits are kept.

    ``evaluated_rows`` are those of all splits; ``answer_shares`` are of the stopping rows.

    Args:
        build: the trial's model and inputs.
        plan: of the search.
        point: of the report.
        unit: examples in a unit of the resource.
        shrink: scores so many times fewer tokens at once.
        folder: of the trial's predictions.

    Raises:
        TrialDiverged: a score is not finite.
    """
    task, splits = plan.dataset.task, plan.dataset.splits
    strata = {name: task.strata(splits[name].labels) for name in task.splits if name in splits}
    metrics: dict[str, float] = {}
    scored = 0
    for name, rows in rows_to_score(strata, plan.resource, point, unit=unit).items():
        split = splits[name]
        logits = predict(build.model, build.inputs((name,)), rows, shrink=shrink)
        if not np.isfinite(logits).all():
            raise TrialDiverged(f"scores of {name} rows are not finite at {point}")
        scored += len(rows)
        if len(rows) == len(split):
            write_answers(folder / f"{point}.{name}", logits)
        if name == "stopping":
            metrics = task.measure(logits, split.labels[rows])
            if task.answers != "texts":
                metrics |= answer_shares(task, logits, split.labels[rows])
            if plan.by_class:
                metrics |= task.recalls(logits, split.labels[rows], plan.dataset.label_names)
    return {**metrics, "evaluated_rows": scored}
