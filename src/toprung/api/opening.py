"""Opening a search: its folder, journal, driver and trainer put together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from toprung.api.cleaning import Janitor
from toprung.api.courses import metric_of, phase_course, whole_course
from toprung.api.curves import Curves
from toprung.api.environment import environment
from toprung.api.folder import Folder, folder_of
from toprung.api.placing import trial_place
from toprung.api.probing import check_place
from toprung.api.sameness import check_rows, same_clock, same_data, same_spec
from toprung.api.training import make_trainer
from toprung.core.clock import Clock, SystemClock
from toprung.core.files import read_json, sweep, write_json, write_text
from toprung.data.dataset import Dataset
from toprung.data.load import load_dataset
from toprung.judge import ensembles
from toprung.judge.diagnoses._base import Facts
from toprung.judge.diagnosing import Examiner
from toprung.judge.ensembles._base import Ensemble
from toprung.judge.tensorboard import Scalars, rebuild
from toprung.learn.backbone.locate import check_backbone
from toprung.search import runners
from toprung.search.driver import Driver
from toprung.search.room import Room
from toprung.search.runners._base import Runner, Train
from toprung.search.runners.virtual import Virtual, simulate, synthetic_curve
from toprung.search.symptoms import find_nothing
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource
from toprung.trial.journal import Event, Journal, read_events
from toprung.trial.report import Metric

Watcher = Callable[[Event], None]
Simulation = Callable[[Resource, Metric, int | None], Train]
"""From resource, metric and rows of train to what the virtual runner takes for a training."""


def synthetic(resource: Resource, metric: Metric, rows: int | None) -> Train:
    """The training of a simulated search: made-up learning curves, however many rows."""
    return simulate(synthetic_curve(metric, resource), resource, metric)


@dataclass(frozen=True)
class Settings:
    """How a search is run, as opposed to what is searched.

    Attributes:
        runner: name of the runner.
        address: of a Ray cluster; None for this machine.
        priority: among the searches that share the cluster.
        trusts_open: whether a cluster on a network may be used that asks for no token.
        at_once: trials at a time that an autoscaling cluster is asked for; None for as many as
            its nodes hold.
        results: folder or URL that holds a folder a search.
        watchers: called with each event.
        simulation: what the virtual runner takes for a training.
        workers: trials that the virtual runner trains at a time.
    """

    runner: str = "ray"
    address: str | None = None
    results: str = "results"
    watchers: Sequence[Watcher] = ()
    simulation: Simulation = synthetic
    workers: int = 4
    priority: float = 1.0
    trusts_open: bool = False
    at_once: int | None = None


@dataclass(frozen=True)
class Run:
    """An open search, or a phase of it: then ``train`` and ``data`` are those of the phase.

    Attributes:
        alone: set while this process works by itself on what may be broken off at any moment.
    """

    spec: SearchSpec
    folder: Folder
    driver: Driver
    runner: Runner
    train: Train
    method: Ensemble
    data: Dataset | None
    simulation: Simulation = synthetic
    alone: threading.Event = field(default_factory=threading.Event)

    @property
    def metric(self) -> Metric:
        """The metric that trials are ranked by, with the floor of the phase at work."""
        return metric_of(self.spec, self.driver.history)

    @property
    def simulated(self) -> bool:
        """Whether nothing is really trained."""
        return isinstance(self.runner, Virtual)

    @property
    def dataset(self) -> Dataset:
        """The rows; a simulated search has none."""
        assert self.data is not None
        return self.data


@contextmanager
def open_run(spec: SearchSpec, folder: Folder, settings: Settings) -> Iterator[Run]:
    """Opens a search for work; it is begun where it was not, and goes on where it was.

    Raises:
        FixSpec: the folder holds a search of another spec, or cannot be written.
        FixData: the data cannot be used, or is not what the search began with.
        FixEnvironment: a backbone of the space cannot be had.
        GiveUp: another driver is at work in the folder, or its journal is damaged.
    """
    if folder.store is not None:
        folder.make_private()
        check_place(folder)
    with folder.at_work(), _opened(spec, folder, settings) as run:
        yield run


@contextmanager
def _opened(spec: SearchSpec, folder: Folder, settings: Settings) -> Iterator[Run]:
    same_spec(spec, folder)
    runner = _runner(spec, settings, folder)
    simulated = isinstance(runner, Virtual)
    same_clock(spec, folder, simulated)
    data = None if simulated else load_dataset(spec.data, spec.seed)
    if data is not None:
        check_rows(spec, data)
        for card in spec.cards.values():
            check_backbone(card)
    clock: Clock = runner.clock if isinstance(runner, Virtual) else SystemClock()
    folder.make_private()
    if not simulated and folder.store is None:
        check_place(folder)
    _begin(spec, folder, simulated)
    folder.publish()
    room = Room(folder.root, folder.store)
    with Journal(
        folder.root, clock, durable=not simulated, push=folder.push, patience=room
    ) as journal:
        folder.pause.unlink(missing_ok=True)
        sweep(folder.root)
        curves = _curves(spec, folder, journal)
        driver = _driver(spec, journal, (curves, *settings.watchers), data)
        room.is_over = lambda: driver.interrupted
        try:
            if data:
                same_data(spec, data, driver)
                _take_forecast(spec, settings.runner, folder, driver)
            resource, metric = spec.resource, spec.metric
            train = (
                make_trainer(spec, folder, data, driver, resource=resource, metric=metric)
                if data
                else settings.simulation(resource, metric, None)
            )
            method = ensembles.registry.make(spec.ensemble.name, spec.ensemble.options)
            if data:
                driver.watch(Janitor(folder, driver, spec.disk_gib, method.candidates))
            yield Run(spec, folder, driver, runner, train, method, data, settings.simulation)
        finally:
            curves.close()


def _curves(spec: SearchSpec, folder: Folder, journal: Journal) -> Curves:
    log = (folder.trials, spec.space, spec.metric)
    scalars = Scalars(*log, earlier=journal.earlier)
    return Curves(scalars, lambda: rebuild(*log, read_events(folder.journal)))


def _take_forecast(spec: SearchSpec, runner: str, folder: Folder, driver: Driver) -> None:
    """Journals what ``toprung estimate`` said, before anything has happened."""
    if driver.history.suggested or driver.history.forecast or not folder.forecast.is_file():
        return
    try:
        said = read_json(folder.forecast)
        if (said["spec"], said["runner"]) == (spec.resolved, runner):
            driver.write("forecast", **said["forecast"])
    except (ValueError, KeyError, TypeError):
        return  # A file that somebody changed is no forecast.


def _runner(spec: SearchSpec, settings: Settings, folder: Folder) -> Runner:
    on_ray = {**trial_place(spec, folder), "address": settings.address}
    on_ray |= {"priority": settings.priority, "workers": settings.at_once}
    on_ray |= {"trusts_open": settings.trusts_open}
    options: dict[str, dict[str, Any]] = {"ray": on_ray}
    options["virtual"] = {"workers": settings.workers}
    return runners.registry.make(settings.runner, options.get(settings.runner, {}))


def _driver(
    spec: SearchSpec, journal: Journal, watchers: Sequence[Watcher], data: Dataset | None
) -> Driver:
    course = whole_course(spec)
    return Driver(
        course.plan,
        course.scheduler,
        course.searcher,
        journal,
        watchers=watchers,
        diagnose=find_nothing if data is None else Examiner(_facts(spec, data)),
        phases=partial(phase_course, spec) if spec.phases else None,
    )


def _facts(spec: SearchSpec, data: Dataset) -> Facts:
    train = data.splits["train"]
    counts = data.task.marks(train.labels, data.classes).sum(axis=0).tolist()
    class_rows = dict(zip(data.label_names, counts, strict=True))
    return Facts(metric=spec.metric, resource=spec.resource, rows=len(train), class_rows=class_rows)


def _begin(spec: SearchSpec, folder: Folder, simulated: bool) -> None:
    if folder.spec.is_file() and folder.journal.is_file():
        return
    write_text(folder.spec, spec.resolved)
    write_json(folder.environment, environment(simulated))


def search_folder(spec: SearchSpec, results: str) -> Folder:
    """The folder that a spec's search has under ``results``, a path or a URL."""
    return folder_of(results, spec.name)
