"""How quick one trial is here: a few real steps of a configuration, timed and weighed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from toprung.core.files import files_below
from toprung.core.memory import HOLES, trim_heap, used_bytes
from toprung.learn.batches import Position, cut
from toprung.learn.checkpoint import PARTIAL
from toprung.learn.evaluate import predict
from toprung.learn.loop import Part
from toprung.learn.plan import Plan
from toprung.learn.run import Run
from toprung.learn.summaries.build import SummaryBuild
from toprung.learn.summaries.evaluate import write_held_out
from toprung.trial.config import Assignment, TrialConfig

_PARTS = 3
_PART_SECONDS = 0.5
_SCORED, _WRITTEN = 256, 32
_FEWEST_ROWS, _FIRST_PASS_SECONDS = 256, 16.0


@dataclass(frozen=True)
class Pace:
    """What a trial of a configuration costs, beside as many others as were timed at once.

    Attributes:
        start_seconds: to build the model and open the inputs.
        train_seconds: a training row of average length, the optimiser's step included.
        first_seconds: a row more, where what frozen layers make of it is not in the cache yet.
        score_seconds: a held-out row; where texts are written, the loss of its target.
        save_seconds, save_bytes: of a checkpoint.
        cache_bytes: a row, of what frozen layers make of it; 0 where nothing is kept.
        memory_bytes: of the process that trains it.
        spread: largest difference of the timed parts, as a share of their median.
        block_rows: that frozen layers run on at once where one of them is missing in the cache.
        write_seconds: each beam of a held-out row's text; 0 where none is written.
    """

    start_seconds: float
    train_seconds: float
    first_seconds: float
    score_seconds: float
    save_seconds: float
    save_bytes: int
    cache_bytes: float
    memory_bytes: int
    spread: float
    block_rows: float = 1.0
    write_seconds: float = 0.0


def measure_paces(plan: Plan, configs: Sequence[TrialConfig]) -> list[Pace]:
    """The pace of each configuration, measured one after the other in this process.

    Some two seconds each; up to half a minute where what frozen layers make of the rows is kept and
    the machine is slow, which then takes fewer rows. Nothing is left on disk.

    Args:
        plan: with a sample of the rows; its folders are not used.
        configs: one of each shape.
    """
    torch.set_num_threads(plan.cpus)
    folder = Path(tempfile.mkdtemp(prefix="toprung-estimate-"))
    try:
        return [_measure(plan, config, folder) for config in configs]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(plan: Plan, config: TrialConfig, folder: Path) -> Pace:
    clock = plan.clock
    # A cache of its own, so that no row is there yet.
    cache = folder / "cache" / config.trial
    own = replace(plan, folder=folder / "trials", cache=cache, pause_file=None)
    # Twice: the first pays for what stays in the process, such as the backbone's weights.
    Run(own, Assignment(config))
    began = clock.seconds()
    run = Run(own, Assignment(config))
    start = clock.seconds() - began
    own, run, first = _warm(own, run, config)
    cached = run.loop.feed.inputs.prefix
    block = 1.0 if cached is None else cached.block_rows
    parts = _time_parts(run)
    train = median(parts)
    # Before held-out rows join it.
    kept = _size(own.cache / "prefix") / max(1, len(run.labels)) if first else 0.0
    score, write = _score(run), _write(run)
    held = max(used_bytes(), _weigh(run))
    began = clock.seconds()
    with run.streams.turn():
        run.save_partial()
    save = clock.seconds() - began
    saved = folder / "trials" / config.trial / "checkpoints" / PARTIAL
    for done in (folder / "trials", cache):
        shutil.rmtree(done, ignore_errors=True)
    return Pace(
        start_seconds=start,
        train_seconds=train,
        first_seconds=max(0.0, first - train),
        score_seconds=score,
        save_seconds=save,
        save_bytes=_size(saved),
        cache_bytes=kept,
        memory_bytes=held,
        spread=(max(parts) - min(parts)) / train,
        block_rows=block,
        write_seconds=write,
    )


def _warm(own: Plan, run: Run, config: TrialConfig) -> tuple[Plan, Run, float]:
    """Trains until every row is in the cache, where there is one; with fewer rows if it is slow.

    Returns:
        Plan and run, those of fewer rows where they are others, and the seconds of a row that was
        not in the cache before; 0 without a cache.
    """
    if run.loop.feed.inputs.prefix is None:
        _train(run, 2 * run.loop.feed.batches.size)
        return own, run, 0.0
    enough = max(_FEWEST_ROWS, int(_FIRST_PASS_SECONDS / _train(run, 1)[0]))
    if enough < len(run.labels):
        fewer = own.dataset.first_train_rows(enough, config.seed)
        own = replace(own, dataset=fewer, cache=own.cache / "fewer")
        run = Run(own, Assignment(config))
        _train(run, 1)
    return own, run, _train(run, len(run.labels))[0]


def _time_parts(run: Run) -> list[float]:
    """Seconds a row of average length in steps that take half a second each."""
    parts: list[float] = []
    rows = run.loop.feed.batches.size
    while len(parts) < _PARTS:
        a_row, seconds = _train(run, rows)
        if seconds >= _PART_SECONDS or rows >= 4 * len(run.labels):
            parts.append(a_row)
        else:
            rows = int(rows * min(4.0, 1.2 * _PART_SECONDS / max(seconds, 1e-3))) + 1
    return parts


def _train(run: Run, rows: int) -> tuple[float, float]:
    """Trains so many rows more; seconds a row of average length, and seconds in all."""
    loop, clock = run.loop, run.plan.clock
    before = loop.progress.position
    examples = before.examples + rows
    tokens = _padded(run, before, examples)
    began = clock.seconds()
    with run.streams.turn():
        passes = loop.passes(examples, lambda: False)
        loop.train(passes)
    seconds = clock.seconds() - began
    whole = _padded(run, Position(), len(run.labels)) / len(run.labels)
    return seconds / tokens * whole, seconds


def _padded(run: Run, position: Position, examples: int) -> int:
    """Tokens with their padding of the steps from a position until so many examples."""
    feed = run.loop.feed
    lengths = feed.batches.lengths
    total = 0
    for rows, after in feed.batches.after(position):
        parts = cut(rows, lengths[rows], feed.micro, feed.micro_tokens)
        total += sum(len(part) * int(lengths[part].max()) for part in parts)
        if after.examples >= examples:
            break
    return max(1, total)


def _score(run: Run) -> float:
    """Seconds that scoring a held-out row takes, its frozen layers in the cache."""
    inputs = run.build.inputs(("stopping",))
    lengths = inputs.lengths
    rows = np.arange(min(_SCORED, len(lengths)))
    predict(run.model, inputs, rows)
    began = run.plan.clock.seconds()
    predict(run.model, inputs, rows)
    seconds = run.plan.clock.seconds() - began
    return float(seconds / max(1, lengths[rows].sum()) * lengths.mean())


def _write(run: Run) -> float:
    """Seconds that each beam of a held-out row's text takes, its frozen layers in the cache."""
    if not isinstance(run.build, SummaryBuild):
        return 0.0
    texts = run.plan.dataset.splits["stopping"].texts[:_WRITTEN]
    began = run.plan.clock.seconds()
    write_held_out(run.build, "stopping", texts, np.arange(len(texts)))
    seconds = run.plan.clock.seconds() - began
    return seconds / max(1, len(texts)) / run.build.decoding.beams


def _weigh(run: Run) -> int:
    """Bytes that this process will hold at most: in a step on the longest rows, among holes.

    Batches of all sizes leave holes in the heap: soon as much as a step takes, and then as much
    again before they are given back; each up to ``HOLES``.
    """
    if run.device.type != "cpu":
        return used_bytes()  # what a step takes is the card's
    loop, feed = run.loop, run.loop.feed
    rows = np.argsort(-feed.batches.lengths, kind="stable")[: feed.batches.size]
    trim_heap(0)
    lean = held = used_bytes()
    with run.streams.turn():
        run.model.train()
        for part in cut(rows, feed.batches.lengths[rows], feed.micro, feed.micro_tokens):
            loss = loop.loss_of(Part(part, len(rows)), feed.inputs.scores(run.model, part, 0))
            held = max(held, used_bytes())
            loss.backward()  # type: ignore[no-untyped-call]
    return held + 2 * min(HOLES, held - lean)


def _size(folder: Path) -> int:
    """Bytes that the files below a folder take on disk."""
    return sum(path.stat().st_blocks * 512 for path in files_below(folder))
