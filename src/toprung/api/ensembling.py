"""From the best configurations to the saved ensemble, and what the test split says of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toprung.api.opening import Run
from toprung.api.progress import peak_memory
from toprung.api.searching import leaderboard, learn_baselines, work
from toprung.api.testing import (
    kept_predictions,
    open_test,
    predictions,
    save_weights,
    summarise,
)
from toprung.core.errors import GiveUp
from toprung.core.files import files_below, new_folder, sha256_file, write_json
from toprung.core.later import later
from toprung.data import tasks
from toprung.judge import baselines
from toprung.judge.calibrate import Calibration, apply_temperature, calibrate
from toprung.judge.ensembles._base import Blend, blend
from toprung.judge.ensembles._mixing import mix_in
from toprung.judge.finalists import choose_finalists, member_report
from toprung.judge.leaderboard import rank_trials, write_leaderboard
from toprung.judge.thresholds import THRESHOLDS, fit_thresholds
from toprung.judge.yardstick import MeasuredBaseline
from toprung.learn.trainer import Trainer
from toprung.ship.plain import LEARNED, save_baseline
from toprung.ship.predictor import ENSEMBLE_NAME

Floats = npt.NDArray[Any]
Plain = Mapping[str, MeasuredBaseline]

checkpoint = later("toprung.learn.checkpoint")


def ensemble(run: Run) -> None:
    """Trains the finalists, weighs and calibrates them, saves ``ensemble/``, tests once.

    Raises:
        Interrupted: the search was paused.
        GiveUp: no trial reached the last rung.
    """
    trials = train_finalists(run)
    write_leaderboard(run.folder.leaderboard, leaderboard(run))
    if run.simulated:
        run.driver.write("ensembled", members=trials, trials=len(run.driver.history.trials))
        return
    candidates = _candidates(run, trials)
    if not candidates:
        raise GiveUp("No trial reached the last rung, so there is nothing to build from.")
    learned = learn_baselines(run)
    plain = _joining(run, learned)
    logits = {name: _logits(run, plain, name, "selection") for name in [*candidates, *plain]}
    weights = _weigh(run, plain, logits)
    blended = blend(logits, weights, run.dataset.task)
    calibration = calibrate(blended, run.dataset.splits["selection"].labels, run.dataset.task)
    # What an earlier ensemble predicted is no word on this one.
    shutil.rmtree(run.folder.predictions, ignore_errors=True)
    said = _save(run, plain, weights, calibration)
    said["selection"] = _on_selection(run, blended, logits, weights)
    run.driver.write("test_opened")
    said["test"] = summarise(open_test(run, learned), run.driver.history.tests_opened)
    write_json(run.folder.ensemble / ENSEMBLE_NAME, said)
    run.folder.publish(run.folder.ensemble.name, run.folder.predictions.name)
    run.driver.write(
        "ensembled",
        members=list(weights),
        trials=len(run.driver.history.trials),
        test=said["test"]["value"],
        trial_memory_bytes=peak_memory(run.folder.trials),
    )


def train_finalists(run: Run) -> list[str]:
    """Trains the best configurations to the last rung; returns their trials.

    The choice is journaled: training changes scores, and a search that was cut off among its
    finalists goes on with the same ones.
    """
    if not run.driver.history.finalists:
        run.driver.write("chosen", finalists=_choose(run))
    anew = run.method.rows == "all"
    finalists = run.driver.history.finalists
    trials = run.driver.train_fully(finalists, seeds=run.method.seeds, anew=anew)
    train = run.train
    if isinstance(train, Trainer):
        train = replace(train, rows=run.method.rows)
    work(run, train)
    return trials


def _choose(run: Run) -> list[str]:
    stopping: dict[str, Floats] = {}
    for trial, record in run.driver.history.trials.items():
        if not run.simulated and member_report(record, run.metric):
            # A file that a power cut emptied only costs its trial the look at its diversity.
            with suppress(OSError, ValueError, EOFError):
                stopping[trial] = kept_predictions(run, record, "stopping")
    task = tasks.registry.get(run.spec.task)()
    history = run.driver.history
    # Only the last phase's training is at hand: earlier ones learned from other rows.
    rows = rank_trials(history, run.metric, phase=len(history.phases) or None)
    chosen = choose_finalists(rows, stopping, run.method.candidates, task=task)
    return [finalist.trial for finalist in chosen]


def _candidates(run: Run, trials: Sequence[str]) -> list[str]:
    """The finalists that got through, and every other trial that reached the last rung."""
    completed = [record.config.trial for record in run.driver.history.in_state("completed")]
    anew = run.method.rows == "all"
    return [trial for trial in completed if trial in trials or not anew]


def _joining(run: Run, learned: Plain) -> Plain:
    """The baselines that take part in the ensemble."""
    if not (isinstance(run.method, Blend) and run.method.baselines):
        return {}
    return {n: one for n, one in learned.items() if baselines.registry.get(n).joins}


def _weigh(run: Run, plain: Plain, logits: Mapping[str, Floats]) -> dict[str, float]:
    labels, task = run.dataset.splits["selection"].labels, run.dataset.task
    trained = {name: found for name, found in logits.items() if name not in plain}
    weights = run.method.weigh(trained, labels, run.metric, task)
    if not plain:
        return weights
    others = {name: logits[name] for name in plain}
    return mix_in(weights, trained, others, labels, metric=run.metric, task=task)


def _logits(run: Run, plain: Plain, name: str, split: str) -> Floats:
    """What a trial or a baseline says of a split, as the saved member will say it."""
    if name in plain:
        found = plain[name].baseline.logits(run.dataset.splits[split].content)
        return np.asarray(found, np.float32)
    return predictions(run, run.driver.history.trials[name], split)


def _on_selection(
    run: Run, blended: Floats, logits: Mapping[str, Floats], weights: Mapping[str, float]
) -> dict[str, Any]:
    labels, metric, task = run.dataset.splits["selection"].labels, run.metric, run.dataset.task
    trials = run.driver.history.trials
    alone = {trial: task.measure(found, labels)[metric.name] for trial, found in logits.items()}
    return {
        "rows": len(labels),
        "value": task.measure(task.logits(blended), labels)[metric.name],
        "single": metric.value(max(map(metric.score, alone.values()))),
        "candidates": sum(name in trials for name in logits),
        "members": {trial: alone[trial] for trial in weights},
    }


def _save(
    run: Run, plain: Plain, weights: Mapping[str, float], calibration: Calibration
) -> dict[str, Any]:
    members: list[dict[str, Any]] = []
    said: dict[str, Any] = {
        "members": members,
        "temperature": calibration.temperature,
        **_calibration(run, calibration),
        "labels": list(run.dataset.label_names),
        "metric": run.metric.name,
        "task": run.spec.task,
        "data_sha256": run.dataset.sha256,
        **_thresholds(run, plain, weights, calibration.temperature),
    }
    with new_folder(run.folder.ensemble) as aside:
        for name, weight in weights.items():
            one = plain.get(name)
            saved = save_trial(run, name, aside) if one is None else _save_plain(run, one, aside)
            members.append(saved | {"weight": weight})
        write_json(aside / ENSEMBLE_NAME, said)
    return said


def _calibration(run: Run, calibration: Calibration) -> dict[str, Any]:
    """What ``ensemble.json`` says of calibration; nothing where texts are answered."""
    if run.dataset.task.answers == "texts":
        return {}
    return {
        "calibration": {
            "split": "selection",
            "ece_before": calibration.ece_before,
            "ece_after": calibration.ece_after,
        }
    }


def _thresholds(
    run: Run, plain: Plain, weights: Mapping[str, float], temperature: float
) -> dict[str, Any]:
    """What ``ensemble.json`` says of thresholds, fitted on the calibrated blend."""
    dataset = run.dataset
    if not dataset.task.many:
        return {}
    logits = {name: _logits(run, plain, name, THRESHOLDS) for name in weights}
    shares = apply_temperature(blend(logits, weights, dataset.task), temperature, dataset.task)
    labels = dataset.splits[THRESHOLDS].labels
    fitted = fit_thresholds(shares, labels, dataset.label_names)
    return {
        "thresholds": {
            "split": THRESHOLDS,
            "rows": len(labels),
            "values": dict(zip(dataset.label_names, fitted.values, strict=True)),
            "positives": dict(zip(dataset.label_names, fitted.positives, strict=True)),
            "shared": list(fitted.shared),
        }
    }


def save_trial(run: Run, trial: str, aside: Path) -> dict[str, Any]:
    """Saves a trial's best checkpoint under ``members/`` of a folder; returns what it is."""
    record = run.driver.history.trials[trial]
    best = member_report(record, run.metric)
    assert best is not None
    folder = aside / "members" / trial
    backbone = str(record.config.values["backbone"])
    card = run.spec.cards.get(backbone)  # none where the weights start from nothing
    save_weights(run, trial, best, folder)
    files = _hashes(folder)
    return {
        "trial": trial,
        "backbone": backbone if card is None else card.name,
        "source": None if card is None else card.source,
        "published": None if card is None else card.published,
        "revision": None if card is None else card.revision,
        "config": dict(record.config.values),
        "seed": record.config.seed,
        "resource": best.resource,
        "sha256": files[checkpoint.WEIGHTS],
        "files": files,
    }


def _save_plain(run: Run, one: MeasuredBaseline, aside: Path) -> dict[str, Any]:
    """Saves a baseline under ``members/`` of a folder; returns what it is."""
    folder = aside / "members" / one.name
    save_baseline(folder, one.name, one.baseline.learned, run.dataset.label_names)
    files = _hashes(folder)
    options = next(c.options for c in run.spec.baselines if c.name == one.name)
    return {
        "trial": one.name,
        "baseline": True,
        "backbone": "baseline",
        "source": None,
        "published": None,
        "revision": None,
        "config": dict(options),
        "seed": run.spec.seed,
        "resource": len(run.dataset.splits["train"]),
        "sha256": files[LEARNED],
        "files": files,
    }


def _hashes(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): sha256_file(file) for file in files_below(folder)}
