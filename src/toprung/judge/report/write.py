"""Puts the report's sections together and writes ``report.md``."""

from __future__ import annotations

from pathlib import Path

from toprung.core.files import write_text
from toprung.judge.leaderboard import rank_trials
from toprung.judge.report.data_section import tell_data
from toprung.judge.report.ensemble_section import tell_ensemble
from toprung.judge.report.examples_section import tell_examples
from toprung.judge.report.markdown import code, code_block, escape, table
from toprung.judge.report.material import Material
from toprung.judge.report.results_section import tell_results
from toprung.judge.report.search_section import tell_leaderboard, tell_search
from toprung.judge.sentences import say_verdicts
from toprung.trial.history import History


def render_report(material: Material) -> str:
    """The report as Markdown; the same material gives the same text."""
    history = History.of(material.events)
    rows = rank_trials(history, material.metric)
    lines = [f"# {escape(material.name)}", ""]
    if material.verdicts is not None:
        lines += [escape(" ".join(say_verdicts(material.verdicts))), ""]
    lines += tell_leaderboard(rows, material.metric.name, material.resource.unit)
    lines += tell_search(material, history)
    if material.ensemble is not None:
        lines += tell_ensemble(material.ensemble, material.metric)
    if material.verdicts is not None:
        lines += tell_results(material.verdicts)
        lines += tell_examples(material.verdicts, material.dataset)
    lines += tell_data(material.dataset)
    lines += ["## Configuration", "", *code_block(material.spec, "yaml")]
    lines += _tell_repetition(material)
    return "\n".join(lines).rstrip("\n") + "\n"


def write_report(path: Path, material: Material) -> None:
    """Writes the report whole, or leaves the old one."""
    write_text(path, render_report(material))


def _tell_repetition(material: Material) -> list[str]:
    versions = [[escape(name), code(version)] for name, version in material.versions.items()]
    return [
        "## To repeat it",
        "",
        *code_block(material.command, "sh"),
        *table(["what", "version"], versions),
    ]
