"""The report's section on the ensemble: members, weights and calibration."""

from __future__ import annotations

import numpy as np

from toprung.judge.blends import Growth
from toprung.judge.calibrate import Calibration
from toprung.judge.report.charts.ensemble import draw_disagreement, draw_growth
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.material import EnsembleSummary
from toprung.judge.report.parts import Part
from toprung.trial.report import Metric


def tell_ensemble(
    ensemble: EnsembleSummary, metric: Metric, *, growth: Growth | None = None, size: str = ""
) -> list[Part]:
    """Parts of the section.

    Args:
        ensemble: and what was measured on the selection split.
        metric: of the search.
        growth: the members on the test split, where there are several.
        size: what it costs at prediction time, in a sentence.
    """
    body = [
        [
            code(member.trial),
            escape(member.backbone),
            f"{member.weight:.3f}",
            "" if member.score is None else f"{member.score:.4f}",
        ]
        for member in ensemble.members
    ]
    count = sum(not member.baseline for member in ensemble.members)
    return [
        "## Ensemble",
        "",
        f"{code(ensemble.method)} chose {count} member{'s' * (count != 1)} of "
        f"{ensemble.candidates} trained candidate{'s' * (ensemble.candidates != 1)} on the "
        "selection split."
        f"{_gain(ensemble, metric)}",
        "",
        *table(["member", "backbone", "weight", f"{escape(metric.name)} alone"], body, numbers=2),
        *_tell_joined(ensemble),
        *_tell_calibration(ensemble.calibration),
        *([escape(size), ""] if size else []),
        *(_tell_growth(growth, metric) if growth is not None else []),
    ]


def _tell_joined(ensemble: EnsembleSummary) -> list[str]:
    joined = [member for member in ensemble.members if member.baseline]
    return [
        f"{code(member.trial)} is a baseline: of the shares of 0 to 0.95 beside what came before "
        f"it, the one that it has scores best on those rows; {member.weight:.3f} of the whole."
        for member in joined
    ] + [""] * bool(joined)


def _tell_calibration(calibration: Calibration | None) -> list[str]:
    if calibration is None:
        return [
            "Weights were fitted on those rows, so the figures of this section flatter; those of "
            "the test split do not. Of each row's candidates, the one is written that agrees most "
            "with all others, each counting by its member's weight (minimum Bayes risk).",
            "",
        ]
    effect = "softens" if calibration.temperature > 1 else "sharpens"
    return [
        f"Temperature {calibration.temperature:.3f} {effect} the blend; on the selection split it "
        f"takes the expected calibration error from {calibration.ece_before:.4f} to "
        f"{calibration.ece_after:.4f}. Weights and temperature were fitted on those rows, so the "
        "figures of this section flatter; those of the test split do not.",
        "",
    ]


def _tell_growth(growth: Growth, metric: Metric) -> list[Part]:
    others = growth.disagreement[~np.eye(len(growth.members), dtype=bool)]
    count = len(growth.members)
    body = [
        [str(size), code(name), f"{alone:.4f}", f"{together:.4f}"]
        for size, (name, alone, together) in enumerate(
            zip(growth.members, growth.alone, growth.together, strict=True), 1
        )
    ]
    name = escape(metric.name)
    return [
        "### Member by member, on the test split",
        "",
        f"Two members answer {others.mean():.1%} of the rows otherwise on average; {count} "
        f"together reach {growth.together[-1]:.4f} before the temperature, the first alone "
        f"{growth.together[0]:.4f}.",
        "",
        draw_growth(growth, metric),
        *([draw_disagreement(growth)] if count > 2 else []),
        *table(["size", "with", f"{name} alone", f"{name} together"], body, numbers=2),
    ]


def _gain(ensemble: EnsembleSummary, metric: Metric) -> str:
    if ensemble.value is None or ensemble.single is None:
        return ""
    return (
        f" There it reaches {code(metric.name)} {ensemble.value:.4f}; the best single candidate "
        f"has {ensemble.single:.4f}."
    )
