"""The report of a search, put together from its journal, data and kept predictions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from toprung.api.folder import Folder
from toprung.api.opening import Run
from toprung.api.searching import leaderboard
from toprung.api.testing import read_verdicts
from toprung.core.files import read_json, write_json
from toprung.judge.calibrate import Calibration
from toprung.judge.leaderboard import write_leaderboard
from toprung.judge.report import write as markdown
from toprung.judge.report.material import EnsembleSummary, Material, MemberSummary
from toprung.judge.verdicts import write_metrics
from toprung.search.schedulers._base import rungs
from toprung.ship.predictor import ENSEMBLE_NAME
from toprung.spec.spec import SearchSpec
from toprung.trial.journal import Event, read_events


def write_views(run: Run) -> None:
    """Writes the leaderboard, and of a real search the report and the test metrics."""
    write_leaderboard(run.folder.leaderboard, leaderboard(run))
    if not run.simulated:
        write_report(run)


def write_report(run: Run) -> None:
    """Writes ``report.md`` and, where the test was opened, ``metrics.csv``."""
    verdicts = read_verdicts(run)
    if verdicts is not None:
        write_metrics(run.folder.metrics, verdicts)
    events = read_events(run.folder.journal)
    environment = read_json(run.folder.environment) | {"hours": round(_seconds(events) / 3600, 3)}
    write_json(run.folder.environment, environment)
    material = Material(
        name=run.spec.name,
        command=f"toprung search {_spec_path(run.folder)} --results again",
        spec=run.spec.to_yaml(portable=True),
        versions=_versions(environment),
        dataset=run.dataset,
        events=events,
        metric=run.spec.metric,
        resource=run.spec.resource,
        ladders=ladders(run.spec),
        ensemble=_ensemble(run),
        verdicts=verdicts,
    )
    markdown.write_report(run.folder.report, material)


def _seconds(events: Sequence[Event]) -> float:
    """Search time up to the last thing that was done, not counting later openings."""
    return float(next((e["at"] for e in reversed(events) if e["kind"] != "opened"), 0.0))


def ladders(spec: SearchSpec) -> Mapping[int, Sequence[int]]:
    """The rungs of each bracket of the spec's scheduler; none without early stopping."""
    eta = spec.scheduler.options.get("reduction_factor")
    if not isinstance(eta, int):
        return {}
    ladder = rungs(spec.resource.min, spec.resource.max, eta)
    brackets = int(str(spec.scheduler.options.get("brackets", 1)))
    return {bracket: ladder[bracket:] for bracket in range(brackets)}


def _ensemble(run: Run) -> EnsembleSummary | None:
    file = run.folder.ensemble / ENSEMBLE_NAME
    if not file.is_file():
        return None
    said = read_json(file)
    if not {"selection", "test"} <= said.keys():
        return None
    calibration, selection = said.get("calibration"), said["selection"]
    return EnsembleSummary(
        method=run.spec.ensemble.name,
        members=[
            MemberSummary(
                member["trial"],
                member["weight"],
                member["backbone"],
                selection["members"][member["trial"]],
            )
            for member in said["members"]
        ],
        calibration=None
        if calibration is None
        else Calibration(said["temperature"], calibration["ece_before"], calibration["ece_after"]),
        candidates=selection["candidates"],
        value=selection["value"],
        single=selection["single"],
    )


def _spec_path(folder: Folder) -> str:
    return shlex.quote(f"{folder.root.parent.name}/{folder.name}/{folder.spec.name}")


def _versions(environment: Mapping[str, Any]) -> dict[str, str]:
    flat = {name: str(environment[name]) for name in sorted(environment) if name != "packages"}
    return flat | {name: str(value) for name, value in environment["packages"].items()}
