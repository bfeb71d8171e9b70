"""The report of a search, put together from its journal, data and kept predictions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from toprung.api.courses import resource_of
from toprung.api.folder import Folder
from toprung.api.opening import Run
from toprung.api.searching import leaderboard
from toprung.api.testing import read_members, read_verdicts
from toprung.core.files import inside, read_json, write_json
from toprung.core.later import later
from toprung.judge.calibrate import Calibration
from toprung.judge.leaderboard import write_leaderboard
from toprung.judge.report.material import (
    Architecture,
    EnsembleSummary,
    Material,
    MemberSummary,
)
from toprung.judge.verdicts import write_metrics
from toprung.search.schedulers._base import rungs
from toprung.ship.predictor import ENSEMBLE_NAME
from toprung.spec.choices import Component
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource
from toprung.trial.journal import Event, read_events

write = later("toprung.judge.report.write")


def write_views(run: Run) -> None:
    """Writes the leaderboard, and of a real search the report and the test metrics."""
    write_leaderboard(run.folder.leaderboard, leaderboard(run))
    if not run.simulated:
        write_report(run)
    run.folder.publish()


def write_report(run: Run) -> None:
    """Writes ``report.md``, ``report.html`` and, where the test was opened, ``metrics.csv``."""
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
        metric=run.metric,
        resource=run.spec.resource,
        ladders={} if run.spec.phases else ladders(run.spec),
        phase_ladders=_phase_ladders(run),
        gates=[gate.sentence() for gate in run.spec.gates],
        ensemble=_ensemble(run),
        verdicts=verdicts,
        architectures=_architectures(run),
        member_logits={} if verdicts is None else read_members(run),
        space=run.spec.space,
        seed=run.spec.seed,
    )
    write.write_report(run.folder.report, run.folder.page, material)


def _seconds(events: Sequence[Event]) -> float:
    """Search time up to the last thing that was done, not counting later openings."""
    return float(next((e["at"] for e in reversed(events) if e["kind"] != "opened"), 0.0))


def ladders(spec: SearchSpec) -> Mapping[int, Sequence[int]]:
    """The rungs of each bracket of the spec's scheduler; none without early stopping."""
    return _ladders(spec.scheduler, spec.resource)


def _ladders(scheduler: Component, resource: Resource) -> Mapping[int, Sequence[int]]:
    eta = scheduler.options.get("reduction_factor")
    if not isinstance(eta, int):
        return {}
    ladder = rungs(resource.min, resource.max, eta)
    brackets = int(str(scheduler.options.get("brackets", 1)))
    return {bracket: ladder[bracket:] for bracket in range(brackets)}


def _phase_ladders(run: Run) -> dict[int, Mapping[int, Sequence[int]]]:
    found = {}
    for begun, record in enumerate(run.driver.history.phases, 1):
        phase = run.spec.phases[record.number - 1]
        found[begun] = _ladders(phase.scheduler, resource_of(phase, record.event))
    return found


def _ensemble(run: Run) -> EnsembleSummary | None:
    said = run.folder.tested()
    if said is None:
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
                bool(member.get("baseline")),
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


def _architectures(run: Run) -> list[Architecture]:
    """What each member says of itself, in the order of the ensemble."""
    folder = run.folder.ensemble
    if not (folder / ENSEMBLE_NAME).is_file():
        return []
    found = []
    for member in read_json(folder / ENSEMBLE_NAME)["members"]:
        file = inside(folder / "members", member["trial"]) / "member.json"
        if not file.is_file():
            continue
        facts = read_json(file)
        counted = facts.get("parameters")
        found.append(
            Architecture(
                trial=member["trial"],
                backbone=member["backbone"],
                source=member["source"],
                depth=facts.get("depth"),
                max_length=facts.get("max_length"),
                values=facts["values"],
                parameters=None if counted is None else (counted["all"], counted["trained"]),
                licence=(facts.get("card") or {}).get("licence"),
            )
        )
    return found


def _spec_path(folder: Folder) -> str:
    near = f"{folder.root.parent.name}/{folder.name}" if folder.store is None else folder.where
    return shlex.quote(f"{near}/{folder.spec.name}")


def _versions(environment: Mapping[str, Any]) -> dict[str, str]:
    flat = {name: str(environment[name]) for name in sorted(environment) if name != "packages"}
    return flat | {name: str(value) for name, value in environment["packages"].items()}
