"""The test split, opened once: what everyone predicts there, and the verdict on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toprung.api.opening import Run
from toprung.api.searching import leaderboard
from toprung.core.files import inside, new_folder, read_json, write_json
from toprung.core.later import later
from toprung.data.answers import read_answers, write_answers
from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline
from toprung.judge.calibrate import apply_temperature
from toprung.judge.ensembles._base import blend
from toprung.judge.finalists import member_report
from toprung.judge.leaderboard import Row, best_trial
from toprung.judge.thresholds import THRESHOLDS, fit_thresholds
from toprung.judge.verdicts import BEST_TRIAL, ENSEMBLE, Contender, Verdicts, judge_test
from toprung.judge.yardstick import MeasuredBaseline
from toprung.learn.kept import Kept
from toprung.ship.predictor import Ensemble
from toprung.trial.history import TrialRecord
from toprung.trial.report import Report

Floats = npt.NDArray[Any]
CONTENDERS = "contenders.json"
MEMBERS = "members"

member = later("toprung.learn.member")


@dataclass(frozen=True)
class _Entry:
    """What is kept of a contender beside its logits."""

    who: str
    seconds: float | None
    detail: str
    thresholds: list[float] | None = None


def open_test(run: Run, learned: Mapping[str, MeasuredBaseline]) -> Verdicts:
    """Lets everyone predict the test rows, keeps the predictions, and judges them.

    Args:
        run: whose ensemble is saved.
        learned: the baselines, by name.
    """
    split = run.dataset.splits["test"]
    task = run.dataset.task
    loaded = Ensemble.load(run.folder.ensemble)
    logits = loaded.member_logits(split.content)
    best = _best_alone(run)
    alone = logits.get(best.trial)
    if alone is None:
        alone = _predict_trial(run, best.trial, split.content)
    calibrated = apply_temperature(blend(logits, loaded.weights, task), loaded.temperature, task)
    trials, count = run.driver.history.trials, len(loaded.weights)
    contenders = [
        Contender(
            ENSEMBLE,
            task.logits(calibrated),
            _seconds(run, loaded.weights),
            f"{count} member{'s' * (count != 1)}",
            loaded.thresholds,
        ),
        Contender(
            BEST_TRIAL,
            alone,
            trials[best.trial].seconds,
            best.trial,
            _fit(run, lambda: predictions(run, trials[best.trial], THRESHOLDS)),
        ),
    ]
    for name, one in learned.items():
        found = one.baseline.logits(split.content)
        fitted = _fit(run, partial(_predict_baseline, run, one.baseline))
        # As timed in the search, beside which trials were timed too.
        seconds = run.driver.history.baselines[name].seconds
        contenders.append(Contender(name, found, seconds, thresholds=fitted))
    _keep(run.folder.predictions, contenders, split.labels, logits)
    return _judge(run, contenders, split.labels)


def _best_alone(run: Run) -> Row:
    """The best trial of those that were trained to the end, where there is one.

    What others scored on the few rows of a rung compares with nothing, and their weights may be
    gone.
    """
    rows = leaderboard(run)
    best = best_trial([row for row in rows if row.state == "completed"]) or best_trial(rows)
    assert best is not None
    return best


def _seconds(run: Run, members: Iterable[str]) -> float:
    """What training them took."""
    history = run.driver.history
    return sum(
        (history.trials[name] if name in history.trials else history.baselines[name]).seconds
        for name in members
    )


def predictions(run: Run, record: TrialRecord, split: str) -> Floats:
    """As ``kept_predictions``, but predicted now where the trial never scored all rows."""
    try:
        return kept_predictions(run, record, split)
    except FileNotFoundError:
        return _predict_trial(run, record.config.trial, run.dataset.splits[split].content)


def kept_predictions(run: Run, record: TrialRecord, split: str) -> Floats:
    """A trial's logits (N, C) on a split, of the weights that it gives to an ensemble.

    Raises:
        OSError, ValueError, EOFError: not there, or damaged.
    """
    best = member_report(record, run.metric)
    assert best is not None
    kept = kept_of(run)
    if kept is not None:
        kept.bring_predictions(record.config.trial, str(best.resource))
    folder = run.folder.trials / record.config.trial / "predictions"
    return read_answers(folder / f"{best.resource}.{split}")


def save_weights(run: Run, trial: str, report: Report, to: Path) -> None:
    """Saves the checkpoint of a trial's report as a member, from wherever it is kept."""
    assert report.checkpoint is not None
    kept = kept_of(run)
    if kept is not None:
        kept.bring_weights(trial, str(report.resource))
    member.save_member(run.folder.trials / trial, report.checkpoint, to)


def kept_of(run: Run) -> Kept | None:
    """What trials keep on a storage; None where the search's folder has it."""
    store = run.folder.store
    return None if store is None else Kept(store, run.folder.trials)


def read_verdicts(run: Run) -> Verdicts | None:
    """The verdict on the predictions that were kept; None where the test was not opened."""
    folder = run.folder.predictions
    if not (folder / CONTENDERS).is_file():
        return None
    entries = [_Entry(**entry) for entry in read_json(folder / CONTENDERS)]
    contenders = [
        Contender(
            e.who,
            read_answers(inside(folder, e.who)),
            e.seconds,
            e.detail,
            None if e.thresholds is None else np.array(e.thresholds),
        )
        for e in entries
    ]
    return _judge(run, contenders, read_answers(folder / "labels"))


def summarise(verdicts: Verdicts, opened: int) -> dict[str, Any]:
    """The verdict as it stands in ``ensemble.json``.

    Args:
        verdicts: on the test split.
        opened: how often the search has looked at the test split, this time included.
    """
    name = verdicts.metric.name
    own, gain = verdicts.intervals[ENSEMBLE], verdicts.gains[BEST_TRIAL][name]
    best = next(one for one in verdicts.contenders if one.who == BEST_TRIAL)
    return {
        "rows": len(verdicts.labels),
        "opened": opened,
        "value": own.value,
        "interval": [own.low, own.high],
        "best_trial": {"trial": best.detail, "value": verdicts.metrics[BEST_TRIAL][name]},
        "gain_over_best_trial": {"value": gain.value, "interval": [gain.low, gain.high]},
    }


def _judge(run: Run, contenders: Sequence[Contender], labels: Floats) -> Verdicts:
    return judge_test(
        contenders,
        labels,
        metric=run.metric,
        task=run.dataset.task,
        label_names=run.dataset.label_names,
        seed=run.spec.seed,
    )


def _predict_trial(run: Run, trial: str, content: Content) -> Floats:
    best = member_report(run.driver.history.trials[trial], run.metric)
    assert best is not None
    folder = run.folder.root / ".best_trial"
    try:
        save_weights(run, trial, best, folder)
        logits: Floats = member.load_member(folder).logits(content)
        return logits
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fit(run: Run, logits: Callable[[], Floats]) -> Floats | None:
    """Thresholds of a contender, on the rows of the ensemble's; None where the task has none."""
    task = run.dataset.task
    if not task.many:
        return None
    labels = run.dataset.splits[THRESHOLDS].labels
    fitted = fit_thresholds(task.probabilities(logits()), labels, run.dataset.label_names)
    return np.array(fitted.values)


def _predict_baseline(run: Run, baseline: Baseline) -> Floats:
    return baseline.logits(run.dataset.splits[THRESHOLDS].content)


def read_members(run: Run) -> dict[str, Floats]:
    """The members' logits on the test split, by trial; none where they were not kept."""
    folder = run.folder.predictions / MEMBERS
    return {file.stem: read_answers(file.with_suffix("")) for file in sorted(folder.glob("*.npy"))}


def _keep(
    folder: Path, contenders: Sequence[Contender], labels: Floats, members: Mapping[str, Floats]
) -> None:
    with new_folder(folder) as aside:
        (aside / MEMBERS).mkdir()
        for trial, found in members.items():
            if found.dtype != object:  # texts are told apart by nothing that is drawn of members
                file = aside / MEMBERS / f"{trial}.npy"
                np.save(file, found.astype(np.float32), allow_pickle=False)
        write_answers(aside / "labels", labels)
        for one in contenders:
            texts = one.logits.dtype == object
            write_answers(aside / one.who, one.logits if texts else one.logits.astype(np.float32))
        entries = [
            _Entry(
                one.who,
                one.seconds,
                one.detail,
                None if one.thresholds is None else [float(t) for t in one.thresholds],
            )
            for one in contenders
        ]
        write_json(aside / CONTENDERS, [asdict(entry) for entry in entries])
