"""The plan of a search: phase after phase, and between two of them the gates."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from toprung.api.courses import fitted, metric_of, resource_of
from toprung.api.opening import Run
from toprung.api.training import make_trainer
from toprung.core.errors import GiveUp
from toprung.judge.gates._base import Facts
from toprung.judge.gates.gain import Gain
from toprung.judge.gating import GateDecision, decide, diagnose, measure_facts
from toprung.judge.leaderboard import rank_trials
from toprung.search.searchers._base import identity
from toprung.spec.spec import SearchSpec
from toprung.trial.history import History
from toprung.trial.report import number_to_json
from toprung.trial.space import Values

_ENDED = ("failed", "diverged", "baseline")


def at_phase(run: Run) -> Run:
    """The run with the rows and the training of the phase at work; as it is without phases."""
    phases = run.driver.history.phases
    if not phases:
        return run
    event = phases[-1].event
    phase = run.spec.phases[phases[-1].number - 1]
    data = run.data and run.data.first_train_rows(event["rows"], run.spec.seed)
    metric = metric_of(run.spec, run.driver.history)
    resource = resource_of(phase, event)
    train = (
        run.simulation(resource, metric, event["rows"])
        if data is None
        else make_trainer(run.spec, run.folder, data, run.driver, resource=resource, metric=metric)
    )
    return replace(run, data=data, train=train)


def begin_next(run: Run) -> bool:
    """Begins the phase that is due, if one is; the journal says which.

    Returns:
        Whether there is a phase to work on; False where the plan is over.
    """
    history = run.driver.history
    if not history.phases:
        _begin(run, 1, 1, reason="the plan begins")
        return True
    last = history.phases[-1]
    if last.gate is None:
        return True
    action, reason = last.gate["action"], last.gate["reason"]
    if action == "next_phase":
        _begin(run, last.number + 1, 1, reason=reason)
    elif action == "shrink":
        _begin(run, last.number, last.attempt + 1, reason=reason, rows=last.gate["rows"])
    else:
        return False
    return True


def decide_gate(run: Run) -> GateDecision:
    """Asks the gates about the phase that has ended, and journals what they decide."""
    history = run.driver.history
    last = history.phases[-1]
    facts = measure_facts(history, metric_of(run.spec, history), run.driver.elapsed())
    decision = decide(
        [gate.rule() for gate in run.spec.gates],
        facts,
        phase=last.number,
        phases=len(run.spec.phases),
        is_spent=_left(run) == 0,
    )
    diagnosis = diagnose(facts) if decision.action == "debug" else []
    run.driver.write(
        "gate",
        phase=last.number,
        attempt=last.attempt,
        split="stopping",
        action=decision.action,
        rows=decision.rows,
        reason=decision.reason,
        steps=[asdict(step) for step in decision.steps],
        facts=_tell(facts),
        # Told whether or not a gate asks: a transformer must be worth its cost.
        gain=Gain(at_least=0.0).measure(facts).words.rstrip(","),
        diagnosis=diagnosis,
    )
    return decision


def refuse_debug(history: History) -> None:
    """Stops where the last gate asked for a person.

    Raises:
        GiveUp: with the gate's reason and the diagnosis.
    """
    gate = history.phases[-1].gate if history.phases else None
    if gate is None or gate["action"] != "debug":
        return
    told = " ".join(gate["diagnosis"])
    raise GiveUp(
        f"The plan stopped after phase {gate['phase']} to be debugged: {gate['reason']}. {told} "
        "The test split was not opened. The report tells more; 'toprung ensemble' builds from "
        "what there is."
    )


def _begin(run: Run, number: int, attempt: int, *, reason: str, rows: int | None = None) -> None:
    spec, history = run.spec, run.driver.history
    phase = spec.phases[number - 1]
    rows = phase.rows if rows is None else rows
    resource = phase.resource_with(rows, spec.resource)
    carried = _carried(history, number, phase.best, spec)
    told = _first(spec, history, number, carried)
    first = [fitted(values, phase, spec.space) for values in told]
    left = _left(run)
    limits = [*([] if left is None else [left])]
    limits += [] if phase.minutes is None else [phase.minutes * 60]
    run.driver.begin_phase(
        phase=number,
        attempt=attempt,
        rows=rows,
        trials=phase.trials,
        seconds=min(limits, default=None),
        unit=resource.unit,
        min=resource.min,
        max=resource.max,
        floor=spec.metric.floor if phase.floor is None else phase.floor,
        carried=carried,
        first=first,
        reason=reason,
    )


def _carried(history: History, number: int, best: int, spec: SearchSpec) -> list[str]:
    """The best trials of the phase before, in their order; none has another's configuration."""
    before = _before(history, number)
    if not best or before is None:
        return []
    metric = replace(spec.metric, floor=history.phases[before - 1].event["floor"])
    found: dict[Any, str] = {}
    for row in rank_trials(history, metric, phase=before):
        if row.state not in _ENDED and row.score is not None and "-s" not in row.trial:
            found.setdefault(identity(row.values), row.trial)
    return list(found.values())[:best]


def _before(history: History, number: int) -> int | None:
    """The last begun phase of the number before, counted from 1; None for the first."""
    counts = [i for i, record in enumerate(history.phases, 1) if record.number == number - 1]
    return counts[-1] if counts else None


def _first(spec: SearchSpec, history: History, number: int, carried: list[str]) -> list[Values]:
    if number == 1:
        return [*spec.first]
    return [history.trials[trial].config.values for trial in carried]


def _left(run: Run) -> float | None:
    """Seconds of the whole search's budget that are left; None where it has no limit."""
    if run.spec.minutes is None:
        return None
    return max(0.0, run.spec.minutes * 60 - run.driver.elapsed())


def _tell(facts: Facts) -> dict[str, Any]:
    """The facts as the journal keeps them: what decided, in numbers."""
    return {
        "metric": facts.metric.name,
        "floor": facts.metric.floor,
        "rows": facts.rows,
        "trial": facts.trial,
        "metrics": {name: number_to_json(value) for name, value in facts.metrics.items()},
        "trial_seconds": facts.trial_seconds,
        "baselines": {
            name: {"metrics": dict(one.metrics), "seconds": one.seconds}
            for name, one in facts.baselines.items()
        },
        "trials": facts.trials,
        "crashes": list(facts.crashes),
        "seconds": facts.seconds,
    }
