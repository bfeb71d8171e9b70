"""The report's sections on how trainings went, on symptoms, and on what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from toprung.judge.courses import Courses
from toprung.judge.diagnosing import Complaint
from toprung.judge.report.charts.search import draw_learning, draw_losses
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.material import Material
from toprung.judge.report.parts import Part
from toprung.trial.history import History

_CONVERGED = 0.005
_SHOWN = 6


def tell_training(
    material: Material, history: History, courses: Courses, ranked: Sequence[str]
) -> list[Part]:
    """Parts of the section; none where no trial reported twice."""
    metric, unit = material.metric, material.resource.unit
    figures: list[Part] = []
    if any(len(history.trials[trial].usable(metric)) > 1 for trial in ranked):
        figures.append(draw_learning(history, ranked, metric, unit))
        losses = draw_losses(history.trials[ranked[0]], metric, unit)
        figures += [losses] if losses is not None else []
    said = [
        *_say_convergence(courses, material),
        *_say_overfitting(courses, material),
        *_say_stability(courses, material),
    ]
    if not figures and not said:
        return []
    sentences = [*(f"- {sentence}" for sentence in said), *([""] if said else [])]
    return ["## Training", "", *sentences, *figures]


def tell_diagnoses(complaints: Sequence[Complaint]) -> list[Part]:
    """Every symptom with its evidence; none where no trial showed any."""
    if not complaints:
        return []
    ended = any(one.stopped for one in complaints)
    body = [
        [
            escape(one.finding.title),
            "the data" if one.finding.of_data else _trials(one.trials),
            escape(one.finding.evidence),
            *([_trials(one.stopped)] if ended else []),
        ]
        for one in complaints
    ]
    header = ["symptom", "where", "evidence", *(["ended for it"] if ended else [])]
    return [
        "## Diagnoses",
        "",
        "Symptoms that trials showed; the evidence is that of the best of them.",
        "",
        *table(header, body),
    ]


def tell_recommendations(found: Sequence[str]) -> list[Part]:
    """What to do next, a line each; none where nothing follows."""
    if not found:
        return []
    return ["## Recommendations", "", *(f"- {one}" for one in found), ""]


def _trials(trials: Sequence[str]) -> str:
    shown = ", ".join(code(trial) for trial in trials[:_SHOWN])
    return shown + (f" and {len(trials) - _SHOWN} more" if len(trials) > _SHOWN else "")


def _say_convergence(courses: Courses, material: Material) -> list[str]:
    endings, gain = courses.endings, courses.median_gain
    if not endings or gain is None:
        return []
    since, name = endings[0].since, code(material.metric.name)
    still = sum(ending.gain > _CONVERGED for ending in endings)
    some = f"{len(endings)} trial{'s' * (len(endings) != 1)}"
    verdict = (
        "more training would likely help"
        if gain > _CONVERGED
        else "more training would likely buy little"
    )
    said = [
        f"Convergence: from {since:,} to {endings[0].till:,} "
        f"{escape(material.resource.unit)} {name} of the {some} that got there changed by "
        f"{gain:+.4f} in the median, and rose by more than {_CONVERGED} in {still}: {verdict}."
    ]
    best = endings[0]
    if best.train_loss is not None:
        said.append(
            f"The training loss of {code(best.trial)} went from {best.train_loss[0]:.3f} to "
            f"{best.train_loss[1]:.3f} meanwhile."
        )
    return said


def _say_overfitting(courses: Courses, material: Material) -> list[str]:
    known = [e for e in courses.endings if e.lowest is not None and e.last_loss is not None]
    if not known:
        return []
    turned = [ending for ending in known if ending.overfits]
    best, unit = known[0], escape(material.resource.unit)
    assert best.lowest is not None
    place = (
        f"was lowest at the end ({best.last_loss:.3f})"
        if best.lowest[0] == best.till
        else f"was lowest at {best.lowest[0]:,} {unit} ({best.lowest[1]:.3f}) and ended at "
        f"{best.last_loss:.3f}"
    )
    return [
        f"Overfitting: {len(turned)} of {len(known)} full trainings ended with a held-out log-loss "
        f"more than 3 % above their lowest; that of {code(best.trial)} {place}."
    ]


def _say_stability(courses: Courses, material: Material) -> list[str]:
    said = []
    unit = escape(material.resource.unit)
    for one in courses.agreements:
        said.append(
            f"Stability: the order of {one.trials} trials at {one.low:,} {unit} and that at "
            f"{one.high:,}, which only they reached, have a rank correlation of {one.rho:+.2f} "
            f"(Spearman, p = {one.p_value:.3f})."
        )
    for seeds in courses.seeds:
        said.append(
            f"Stability: {len(seeds.values)} seeds of {code(seeds.trial)} reach "
            f"{code(material.metric.name)} {mean(seeds.values):.4f} with a standard deviation of "
            f"{stdev(seeds.values):.4f}."
        )
    return said
