"""The report's section on the ensemble: members, weights and calibration."""

from __future__ import annotations

from toprung.judge.calibrate import Calibration
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.material import EnsembleSummary
from toprung.trial.report import Metric


def tell_ensemble(ensemble: EnsembleSummary, metric: Metric) -> list[str]:
    """Lines of the section."""
    body = [
        [
            code(member.trial),
            escape(member.backbone),
            f"{member.weight:.3f}",
            "" if member.score is None else f"{member.score:.4f}",
        ]
        for member in ensemble.members
    ]
    count = len(ensemble.members)
    return [
        "## Ensemble",
        "",
        f"{code(ensemble.method)} chose {count} member{'s' * (count != 1)} of "
        f"{ensemble.candidates} trained candidates on the selection split."
        f"{_gain(ensemble, metric)}",
        "",
        *table(["member", "backbone", "weight", f"{escape(metric.name)} alone"], body, numbers=2),
        *_tell_calibration(ensemble.calibration),
    ]


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


def _gain(ensemble: EnsembleSummary, metric: Metric) -> str:
    if ensemble.value is None or ensemble.single is None:
        return ""
    return (
        f" There it reaches {code(metric.name)} {ensemble.value:.4f}; the best single candidate "
        f"has {ensemble.single:.4f}."
    )
