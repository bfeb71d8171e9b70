"""Puts the report's sections together, and writes ``report.md`` and ``report.html``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from toprung.core.files import write_text
from toprung.judge.blends import Growth, grow
from toprung.judge.budget import search_phase
from toprung.judge.calibrate import Calibration
from toprung.judge.courses import Courses, study_courses
from toprung.judge.diagnosing import gather
from toprung.judge.leaderboard import Row, best_trial, rank_trials
from toprung.judge.mistakes import Mistakes, find_mistakes
from toprung.judge.recommendations import recommend
from toprung.judge.report.architecture_section import say_size, tell_architecture
from toprung.judge.report.data_section import tell_data
from toprung.judge.report.ensemble_section import tell_ensemble
from toprung.judge.report.errors_section import tell_mistakes
from toprung.judge.report.examples_section import tell_examples
from toprung.judge.report.forecast_section import tell_forecast
from toprung.judge.report.markdown import code, code_block, escape, table
from toprung.judge.report.material import Material
from toprung.judge.report.page import render_page
from toprung.judge.report.parts import Part, markdown_lines
from toprung.judge.report.phases_section import tell_phases
from toprung.judge.report.results_section import tell_calibration, tell_results
from toprung.judge.report.search_section import tell_leaderboard, tell_search
from toprung.judge.report.training_section import (
    tell_diagnoses,
    tell_recommendations,
    tell_training,
)
from toprung.judge.sentences import say_verdicts
from toprung.trial.history import History


def compose(material: Material) -> list[Part]:
    """The whole report, computed once; the same material gives the same parts."""
    history = History.of(material.events)
    rows = rank_trials(history, material.metric)
    mistakes = _mistakes(material)
    courses = study_courses(history, material.metric, material.resource, _ladders(material))
    parts: list[Part] = [f"# {escape(material.name)}", ""]
    if material.verdicts is not None:
        parts += [escape(" ".join(say_verdicts(material.verdicts))), ""]
    parts += _recommendations(material, rows, courses, mistakes, history=history)
    if material.verdicts is not None:
        parts += tell_results(material.verdicts)
        parts += tell_examples(material.verdicts, material.dataset)
    calibration = None if material.ensemble is None else material.ensemble.calibration
    if material.verdicts is not None and calibration is not None:
        parts += tell_calibration(material.verdicts, calibration.temperature)
    if mistakes is not None and material.verdicts is not None:
        many = material.verdicts.task.many
        names = material.dataset.label_names
        parts += tell_mistakes(mistakes, label_names=names, many=many)
    parts += _ensemble(material, rows)
    parts += tell_leaderboard(rows, material.metric.name, material.resource.unit)
    parts += tell_phases(
        search_phase(material.events),
        material.metric,
        unit=material.resource.unit,
        ladders=material.phase_ladders,
        gates=material.gates,
    )
    parts += tell_search(material, history, rows)
    parts += tell_forecast(material.events)
    parts += _training(material, rows, courses, history=history)
    parts += tell_data(material.dataset, truncated=_truncated(material, history, rows))
    parts += tell_architecture(material.architectures)
    parts += ["## Configuration", "", *code_block(material.spec, "yaml")]
    return [*parts, *_tell_repetition(material)]


def render_report(material: Material) -> str:
    """The report as Markdown, without its figures."""
    return _as_markdown(compose(material))


def write_report(path: Path, page: Path, material: Material) -> None:
    """Writes the report twice, each whole, or leaves the old ones."""
    parts = compose(material)
    write_text(path, _as_markdown(parts))
    write_text(page, render_page(parts, material))


def _as_markdown(parts: list[Part]) -> str:
    return "\n".join(markdown_lines(parts)).rstrip("\n") + "\n"


def _mistakes(material: Material) -> Mistakes | None:
    test = material.dataset.splits.get("test")
    if material.verdicts is None or test is None:
        return None
    # Predictions that were kept of other rows tell nothing about these.
    same = len(test) == len(material.verdicts.labels)
    on_classes = test.texts and material.dataset.task.answers != "texts"
    return find_mistakes(material.verdicts, test.texts) if same and on_classes else None


def _ranked(rows: list[Row]) -> list[str]:
    return [row.trial for row in rows if row.state != "baseline" and row.score is not None]


def _ladders(material: Material) -> list[Sequence[int]]:
    phases = material.phase_ladders.values() or [material.ladders]
    return [ladder for brackets in phases for ladder in brackets.values()]


def _recommendations(
    material: Material,
    rows: list[Row],
    courses: Courses,
    mistakes: Mistakes | None,
    *,
    history: History,
) -> list[Part]:
    best = best_trial(rows)
    found = recommend(
        gather(history, [row.trial for row in rows]),
        verdicts=material.verdicts,
        courses=courses,
        mistakes=mistakes,
        best=None if best is None else best.values,
        space=material.space,
        tests_opened=history.tests_opened,
    )
    return tell_recommendations([escape(one) for one in found])


def _ensemble(material: Material, rows: list[Row]) -> list[Part]:
    if material.ensemble is None:
        return []
    best = best_trial(rows)
    built = {one.trial: one for one in material.architectures}
    size = say_size(material.architectures, built.get(best.trial) if best else None)
    return tell_ensemble(material.ensemble, material.metric, growth=_growth(material), size=size)


def _growth(material: Material) -> Growth | None:
    verdicts, ensemble = material.verdicts, material.ensemble
    if verdicts is None or ensemble is None or len(ensemble.members) < 2:
        return None
    weights = {member.trial: member.weight for member in ensemble.members}
    if weights.keys() != material.member_logits.keys():
        return None
    return grow(
        material.member_logits,
        weights,
        verdicts.labels,
        verdicts.task,
        material.metric,
        thresholds=_before_temperature(verdicts.first.thresholds, ensemble.calibration),
    )


def _before_temperature(
    thresholds: NDArray[np.floating] | None, calibration: Calibration | None
) -> NDArray[np.floating] | None:
    """Thresholds on probabilities whose temperature has not been applied."""
    if thresholds is None or calibration is None:
        return thresholds
    return np.asarray(expit(calibration.temperature * logit(thresholds)))


def _training(
    material: Material, rows: list[Row], courses: Courses, *, history: History
) -> list[Part]:
    ranked = _ranked(rows)
    if not ranked:
        return []
    complaints = gather(history, [row.trial for row in rows])
    return [*tell_training(material, history, courses, ranked), *tell_diagnoses(complaints)]


def _truncated(
    material: Material, history: History, rows: list[Row]
) -> tuple[str, float, int] | None:
    """Of the best trial, where its reports say it."""
    best = best_trial(rows)
    if best is None:
        return None
    reports = history.trials[best.trial].reports
    share = reports[-1].metrics.get("truncated_share") if reports else None
    limit = best.values.get("max_length", 128)
    if share is None or not isinstance(limit, int):
        return None
    return best.trial, float(share), limit


def _tell_repetition(material: Material) -> list[str]:
    versions = [[escape(name), code(version)] for name, version in material.versions.items()]
    return [
        "## To repeat it",
        "",
        *code_block(material.command, "sh"),
        *table(["what", "version"], versions),
    ]
