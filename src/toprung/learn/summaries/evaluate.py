"""How good a writer is: the loss of held-out targets, and ROUGE of what it writes for some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toprung.core.errors import TrialDiverged
from toprung.data.answers import as_texts, write_answers
from toprung.learn.batches import Rows, nested_order
from toprung.learn.evaluate import predict
from toprung.learn.plan import Plan
from toprung.learn.summaries.beams import Decoding, write_beams
from toprung.learn.summaries.build import SummaryBuild
from toprung.learn.summaries.inputs import SummaryInputs
from toprung.learn.summaries.model import Writer
from toprung.learn.summaries.spelling import Spelling, words_of
from toprung.trial.config import Resource

_FEWEST_WRITTEN = 64
_TRAINED_A_WRITTEN = 32
MOST_LOSSES = 512
"""Held-out rows whose targets' loss is told."""
_TOKENS_AT_ONCE = {"cpu": 16384, "cuda": 262144}


def score_written(
    build: SummaryBuild, plan: Plan, point: int, *, unit: int, shrink: int, folder: Path
) -> dict[str, float]:
    """Metrics of a trial at a point, on the stopping rows; texts of whole splits are kept.

    ``token_loss`` is of up to 512 rows at every report, ``answer_words`` the mean length, and
    ``largest_predicted_share`` the share of rows whose text is the most frequent one. What is
    written is a matter of cost; see ``rows_to_write``.

    Args:
        build: the trial's model and inputs.
        plan: of the search.
        point: of the report.
        unit: examples in a unit of the resource.
        shrink: takes so many times fewer tokens at once.
        folder: of the trial's predictions.

    Raises:
        TrialDiverged: the loss is not finite.
    """
    task, splits = plan.dataset.task, plan.dataset.splits
    strata = {name: task.strata(splits[name].labels) for name in task.splits if name in splits}
    metrics: dict[str, float] = {"token_loss": _token_loss(build, point, shrink)}
    written = 0
    sizes = {name: len(found) for name, found in strata.items()}
    for name, rows in rows_to_write(sizes, plan.resource, point, unit=unit).items():
        split = splits[name]
        answers = write_held_out(build, name, split.texts, rows, shrink=shrink)
        written += len(rows)
        if len(rows) == len(split):
            write_answers(folder / f"{point}.{name}", answers)
        if name == "stopping":
            firsts = [texts[0] for texts in answers]
            metrics |= task.measure(answers, split.labels[rows])
            metrics["answer_words"] = float(np.mean([len(text.split()) for text in firsts]))
            most = Counter(firsts).most_common(1)[0][1]
            metrics["largest_predicted_share"] = most / len(firsts)
    return {**metrics, "evaluated_rows": written}


def write_held_out(
    build: SummaryBuild, name: str, texts: Sequence[str], rows: Rows, *, shrink: int = 1
) -> NDArray[Any]:
    """What a trial writes for rows of a held-out split, as of ``write_rows``.

    Args:
        build: the trial's model and inputs.
        name: of the split.
        texts: its sources.
        rows: (B,) which of them.
        shrink: takes so many times fewer tokens at once.
    """
    return write_rows(
        build.model,
        build.inputs((name,)),
        rows,
        tokenizer=build.backbone.tokenizer,
        texts=[texts[row] for row in rows],
        how=(build.decoding, build.spelling),
        shrink=shrink,
    )


def rows_to_write(
    sizes: Mapping[str, int], resource: Resource, point: int, *, unit: int
) -> dict[str, Rows]:
    """Which held-out rows a report at a point writes texts for: all of them, or a fixed few.

    With 4 beams a text takes as long as training on 5 rows (measured on dialogsum), so that
    at a rung a 32nd of what was trained since the rung below is written, at least 64 rows, which
    adds about a sixth to the time; between rungs 64. All at the largest resource. The few are
    the first of one order, so that trials compare at each rung and rungs are nested.

    Args:
        sizes: rows of each split that is scored.
        resource: of the search.
        point: of the report.
        unit: examples in a unit of the resource.

    >>> resource = Resource("examples", 64, 9600, (64, 3200, 9600), (64, 9600))
    >>> [len(rows_to_write({"stopping": 500}, resource, point, unit=1)["stopping"])
    ...  for point in resource.points]
    [64, 64, 500]
    """
    if point == resource.max:
        return {name: np.arange(size) for name, size in sizes.items() if size}
    worth = resource.since_rung(point) * unit // _TRAINED_A_WRITTEN
    some = max(_FEWEST_WRITTEN, worth if resource.is_rung(point) else 0)
    first = nested_order(np.zeros(sizes.get("stopping", 0), dtype=np.int64))[:some]
    return {"stopping": np.sort(first)} if len(first) else {}


def write_rows(
    model: Writer,
    inputs: SummaryInputs,
    rows: Rows,
    *,
    tokenizer: Any,
    texts: Sequence[str],
    how: tuple[Decoding, Spelling],
    shrink: int = 1,
) -> NDArray[Any]:
    """Candidates of rows, (B,) tuples of texts, best first; the model is left in ``eval`` mode.

    Args:
        model: that writes.
        inputs: N rows.
        rows: (B,) which of them.
        tokenizer: of the backbone.
        texts: sources of those rows.
        how: texts are found and spelled.
        shrink: takes so many times fewer tokens at once.
    """
    decoding, spelling = how
    budget = _TOKENS_AT_ONCE.get(inputs.device.type, 16384) // shrink
    lengths = inputs.source.tokens.lengths[rows]
    order = np.argsort(-lengths, kind="stable")
    model.eval()
    found: list[tuple[str, ...]] = [()] * len(rows)
    ids = inputs.vocabulary.kept
    start = 0
    while start < len(order):
        each = decoding.beams * int(lengths[order[start]] + decoding.most)
        part = order[start : start + max(1, min(64, budget // each))]
        with torch.inference_mode(), model.autocast(inputs.device):
            states, mask = inputs.states(model, rows[part])
            numbers = write_beams(model.decoder, states, mask, decoding)
        for place, candidates in zip(part.tolist(), numbers, strict=True):
            words = words_of(tokenizer, [texts[place]]) if spelling.words else {}
            pieces = [tuple(ids[number] for number in text) for text in candidates]
            spelled = [spelling.write(tokenizer, piece, words) for piece in pieces]
            found[place] = tuple(dict.fromkeys(spelled))
        start += len(part)
    return as_texts(found)


def _token_loss(build: SummaryBuild, point: int, shrink: int) -> float:
    """Nats of a token of the first stopping rows' targets."""
    inputs = build.inputs(("stopping",))
    rows = np.arange(min(MOST_LOSSES, len(inputs.lengths)))
    sums = predict(build.model, inputs, rows, shrink=shrink)[:, 0] * inputs.unit
    assert inputs.targets is not None
    ids = inputs.targets.ids[: inputs.targets.offsets[len(rows)]]
    # A token that training never showed cannot be written, and has no loss.
    loss = float(sums.sum() / max(1, np.isin(ids, build.vocabulary.ids).sum()))
    if not np.isfinite(loss):
        raise TrialDiverged(f"the loss of stopping rows is {loss} at {point}")
    return loss
