"""A search's time, memory and disk before it runs: real steps timed, the rest simulated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from toprung.api.folder import Folder, folder_of
from toprung.api.machines import Machine, other_machine, this_machine
from toprung.api.opening import Settings
from toprung.api.pricing import Prices, frequent_shapes
from toprung.api.shapes import Shape
from toprung.api.simulating import SIMULATIONS, TELLING, Simulated, even, simulate
from toprung.api.timing import baseline_seconds, measure_beside, sample_plan
from toprung.api.training import device_of
from toprung.core.clock import SystemClock
from toprung.core.files import write_json
from toprung.core.memory import held_bytes
from toprung.data.dataset import Dataset
from toprung.data.load import load_dataset
from toprung.judge.forecast import MEMORY_UNCERTAINTY, Forecast, Range, RungForecast
from toprung.learn.device import measure_precision
from toprung.learn.paces import Pace
from toprung.spec.spec import SearchSpec
from toprung.trial.history import History

_MOST_SHAPES, _MOST_TRIALS = 6, 100
_SIMULATING_SECONDS = 30.0
_LEAST_UNCERTAINTY = 0.15
_RAY_SECONDS, _RAY_BYTES = 10.0, 600 * 2**20
_RAY_BYTES_OF_A_WORKER = 75 * 2**20


@dataclass(frozen=True)
class _Known:
    """What was measured, and what it is for.

    Attributes:
        paces: by shape.
        data: whole.
        baselines: seconds of all baselines before each phase.
        started: seconds until the first worker trains.
        again: seconds until workers train after each further start.
        slots: trials at a time.
        machine: that the search will run on.
    """

    paces: dict[Shape, Pace]
    data: Dataset
    baselines: Sequence[float]
    started: float
    again: float
    slots: int
    machine: Machine

    @property
    def uncertainty(self) -> float:
        """Of every time, as a share."""
        spread = max(pace.spread for pace in self.paces.values()) / 2
        return max(_LEAST_UNCERTAINTY, min(1.0, spread), self.machine.uncertainty)


def estimate(spec: SearchSpec, settings: Settings, like: str | None = None) -> Forecast:
    """What a search of the spec will cost; it is kept for the search where it is for this machine.

    The shapes of trials that simulated searches give most are timed for a few steps, as many
    at once as trials will train at once; other shapes are scaled by their arithmetic. Then the
    search is simulated up to nine times with those times, with its own scheduler and searcher under
    made-up scores, from such that know nothing of costs to such that are the better the more a
    configuration costs; their spread, widened by the timing's own, is the range. A plan is
    simulated through all of its phases; its gates may end it earlier.

    Args:
        spec: of the search.
        settings: runner and results folder of the search.
        like: another machine, see ``other_machine``.

    Raises:
        FixData, FixEnvironment: as a search does.
        FixSpec: ``like`` names no machine.
    """
    clock = SystemClock()
    began = clock.seconds()
    speed = measure_precision(device_of(spec), spec.cpus)
    own_ms = speed.bfloat16_ms if speed.precision == "bfloat16" else speed.float32_ms
    machine = this_machine() if like is None else other_machine(like, own_ms, speed.device)
    data = load_dataset(spec.data, spec.seed)
    inline = settings.runner == "inline"
    slots = 1 if inline else machine.slots(spec.cpus, spec.gpus, spec.cpus_alone or 0)
    whole = replace(spec, gates=())
    few = replace(whole, trials=min(_MOST_TRIALS, whole.trials))
    some = [simulate(few, slots, even, number) for number in TELLING]
    given = [record for run in some for record in run.history.trials.values()]
    shapes = frequent_shapes(given, _MOST_SHAPES)
    # Of one card at most: trials on others do not slow those on it.
    own = this_machine()
    here = min(slots, replace(own, gpus=min(1, own.gpus)).slots(spec.cpus, spec.gpus))
    paces, started = measure_beside(sample_plan(spec, data, speed), list(shapes.values()), here)
    known = _Known(
        paces=dict(zip(shapes, paces, strict=True)),
        data=data,
        baselines=baseline_seconds(spec, data),
        started=0.0 if inline else _RAY_SECONDS + started,
        again=0.0 if inline else started,
        slots=slots,
        machine=machine,
    )
    runs = _simulate_often(whole, known)
    forecast = _forecast(whole, known, runs, took=clock.seconds() - began)
    if like is None:
        keep_forecast(spec, settings.runner, forecast, folder_of(settings.results, spec.name))
    return forecast


def _simulate_often(spec: SearchSpec, known: _Known) -> list[Simulated]:
    """The search's simulations; fewer where each takes long, for many trials vary little."""
    clock = SystemClock()
    began = clock.seconds()
    runs: list[Simulated] = []
    for number in dict.fromkeys((*TELLING, *range(SIMULATIONS))):
        if len(runs) >= len(TELLING) and clock.seconds() - began > _SIMULATING_SECONDS:
            break
        prices = Prices(known.paces, known.data, spec.cards, known.machine.slowness)
        runs.append(simulate(spec, known.slots, prices.legs, number))
    return runs


def keep_forecast(spec: SearchSpec, runner: str, forecast: Forecast, folder: Folder) -> None:
    """Keeps a forecast where the search of the same spec and runner finds it when it begins."""
    folder.make_private()
    folder.refresh()
    said = {"spec": spec.resolved, "runner": runner, "forecast": forecast.to_json()}
    write_json(folder.forecast, said)
    folder.publish()


def _forecast(
    spec: SearchSpec, known: _Known, runs: Sequence[Simulated], *, took: float
) -> Forecast:
    unsure = known.uncertainty
    planned = range(len(known.baselines))
    before = [sum(known.baselines[: n + 1]) + known.started + n * known.again for n in planned]
    # A budget that is spent ends a plan before its last phase.
    phases = range(min(len(run.closings) for run in runs))
    until = [[run.closings[n] + before[n] for run in runs] for n in phases]
    finish = known.again + known.baselines[-1]
    ends = [
        run.end + before[len(run.closings) - 1] + finish + _test_seconds(spec, known, run.history)
        for run in runs
    ]
    of_trial = max(pace.memory_bytes for pace in known.paces.values())
    memory = held_bytes()
    if known.started:
        of_trial += _RAY_BYTES_OF_A_WORKER
        memory += _RAY_BYTES
    memory += of_trial * known.slots
    disk = [_disk_bytes(spec, known, run.history) for run in runs]
    return Forecast(
        seconds=Range.of(ends, unsure),
        until=tuple(Range.of(values, unsure) for values in until),
        rungs=tuple(_rungs(runs, unsure)),
        memory_bytes=Range.of([float(memory)], MEMORY_UNCERTAINTY),
        disk_bytes=Range.of(disk, 0.25),
        machine=known.machine.words,
        measured={
            _words(shape): round(1 / pace.train_seconds, 2) for shape, pace in known.paces.items()
        },
        took_seconds=round(took, 1),
        trial_memory_bytes=of_trial,
    )


def _test_seconds(spec: SearchSpec, known: _Known, history: History) -> float:
    """Scoring the test split by as many members as may be, the best that were trained to the end.

    The best trial alone is one of them, or costs about what the last of them does.
    """
    rows = len(known.data.splits["test"])
    prices = Prices(known.paces, known.data, spec.cards, known.machine.slowness)
    trained = history.in_state("completed") or [r for r in history.trials.values() if r.reports]
    best = sorted(trained, key=lambda r: spec.metric.rate(r.reports[-1].metrics), reverse=True)
    return sum(prices.answering(record.config, rows) for record in best[: _members(spec)])


def _members(spec: SearchSpec) -> int:
    """Of the ensemble, at most."""
    return int(str(spec.ensemble.options.get("members", 1) or 1))


def _rungs(runs: Sequence[Simulated], unsure: float) -> Iterator[RungForecast]:
    """Trials and seconds of every rung, over all simulations."""
    counts: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0] * len(runs))
    seconds: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0] * len(runs))
    for number, run in enumerate(runs):
        judged = _judged(run)
        for record in run.history.trials.values():
            before = 0.0
            for report in record.reports:
                key = (record.phase, report.resource)
                if key in judged:
                    counts[key][number] += 1
                    seconds[key][number] += report.seconds - before
                    before = report.seconds
    for key in sorted(counts):
        trials = Range.of(counts[key], 0.0)
        yield RungForecast(*key, trials, Range.of(seconds[key], unsure))


def _judged(run: Simulated) -> set[tuple[int, int]]:
    """Phase and resource of every rung: where any trial paused or ended."""
    trials = run.history.trials
    return {
        (trials[e["trial"]].phase, int(e["resource"]))
        for e in run.events
        if e["kind"] == "decided" and e["decision"] != "continue"
    }


def _disk_bytes(spec: SearchSpec, known: _Known, history: History) -> float:
    """Checkpoints that stay (two, and an older best), what caches keep, and the ensemble."""
    prices = Prices(known.paces, known.data, spec.cards)
    train = len(known.data.splits["train"])
    total, cached = 0.0, dict[Shape, float]()
    for record in history.trials.values():
        pace = prices.pace(record.config.values)
        total += pace.save_bytes * min(2.3, max(1, len(record.reports)))
    for shape, pace in known.paces.items():
        cached[shape] = pace.cache_bytes * train
    largest = max(pace.save_bytes for pace in known.paces.values())
    return total + sum(cached.values()) + _members(spec) * largest / 3


def _words(shape: Shape) -> str:
    return " ".join(f"{name.rpartition('.')[2]}={value}" for name, value in shape)
