"""Opening a search: its folder, journal, driver and trainer put together."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toprung.api.folder import Folder
from toprung.core.clock import Clock, SystemClock
from toprung.core.errors import FixData, FixSpec, Problem
from toprung.core.files import sweep, write_json, write_text
from toprung.data import tasks
from toprung.data.dataset import Dataset
from toprung.data.load import load_dataset
from toprung.judge import ensembles
from toprung.judge.ensembles._base import Ensemble
from toprung.judge.tensorboard import Scalars
from toprung.learn.backbone.load import check_backbone
from toprung.learn.device import Precision, measure_precision
from toprung.learn.trainer import Trainer
from toprung.search import runners, schedulers, searchers
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._base import Runner, Train
from toprung.search.runners.virtual import Virtual, simulate, synthetic_curve
from toprung.spec.load import load_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.journal import Event, Journal, read_events

PACKAGES = (
    "torch", "ray", "transformers", "peft", "optuna", "datasets", "scikit-learn", "tensorboard",
    "rouge_score",
)  # fmt: skip

Watcher = Callable[[Event], None]


@dataclass(frozen=True)
class Settings:
    """How a search is run, as opposed to what is searched.

    Attributes:
        runner: name of the runner.
        address: of a Ray cluster; None for this machine.
        results: folder that holds a folder a search.
        watchers: called with each event.
    """

    runner: str = "ray"
    address: str | None = None
    results: str = "results"
    watchers: Sequence[Watcher] = ()


@dataclass(frozen=True)
class Run:
    """An open search."""

    spec: SearchSpec
    folder: Folder
    driver: Driver
    runner: Runner
    train: Train
    method: Ensemble
    data: Dataset | None

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
        FixSpec: the folder holds a search of another spec.
        FixData: the data cannot be used, or is not what the search began with.
        FixEnvironment: a backbone of the space cannot be had.
        GiveUp: another driver is at work in the folder, or its journal is damaged.
    """
    _same_spec(spec, folder)
    runner = _runner(spec, settings)
    simulated = isinstance(runner, Virtual)
    _same_clock(spec, folder, simulated)
    data = None if simulated else load_dataset(spec.data, spec.seed)
    if not simulated:
        for card in spec.cards.values():
            check_backbone(card)
    clock: Clock = runner.clock if isinstance(runner, Virtual) else SystemClock()
    _begin(spec, folder)
    with Journal(folder.root, clock, durable=not simulated) as journal:
        folder.pause.unlink(missing_ok=True)
        sweep(folder.root)
        scalars = Scalars(folder.trials, spec.space, spec.metric, earlier=journal.earlier)
        driver = _driver(spec, journal, (scalars, *settings.watchers))
        try:
            if data:
                _same_data(spec, data, driver)
            train = _trainer(spec, folder, data, driver) if data else _simulated(spec)
            method = ensembles.registry.make(spec.ensemble.name, spec.ensemble.options)
            yield Run(spec, folder, driver, runner, train, method, data)
        finally:
            scalars.close()


def _same_data(spec: SearchSpec, data: Dataset, driver: Driver) -> None:
    then = driver.history.data_sha256
    if then is None:
        driver.write("data", sha256=data.sha256)
    elif then != data.sha256:
        text = (
            "the rows are not those that the search began with, so its scores would not compare. "
            "Bring the old files back, or begin another search with --results."
        )
        raise FixData(spec.path, [Problem("data", text)])


def reopen(folder: Folder) -> SearchSpec:
    """The spec that a search was begun with.

    Raises:
        FixSpec: the folder's spec.yaml was changed into something that is no spec.
    """
    return load_spec(str(folder.spec))


def _runner(spec: SearchSpec, settings: Settings) -> Runner:
    on_ray = {"address": settings.address, "cpus": spec.cpus, "gpus": spec.gpus}
    return runners.registry.make(settings.runner, on_ray if settings.runner == "ray" else {})


def _simulated(spec: SearchSpec) -> Train:
    curve = synthetic_curve(spec.metric, spec.resource)
    return simulate(curve, spec.resource, spec.metric)


def _driver(spec: SearchSpec, journal: Journal, watchers: Sequence[Watcher]) -> Driver:
    scheduler = schedulers.registry.make(spec.scheduler.name, spec.scheduler.options)
    scheduler.prepare(spec.resource, spec.metric)
    searcher = searchers.registry.make(spec.searcher.name, spec.searcher.options)
    searcher.prepare(spec.space, spec.seed, spec.first)
    seconds = None if spec.minutes is None else spec.minutes * 60
    plan = Plan(spec.metric, spec.resource, spec.trials, seconds, spec.seed)
    return Driver(plan, scheduler, searcher, journal, watchers=watchers)


def _precision(spec: SearchSpec, driver: Driver) -> Precision:
    """The spec's, or what was quicker when the search began; the journal knows the figures.

    It is measured on the driver's machine: trials of one search must not differ by their node.
    """
    if spec.precision != "auto":
        return spec.precision
    if tasks.registry.get(spec.task).reads == "series":
        return "float32"  # too narrow for bfloat16 to pay
    if driver.history.precision is None:
        found = measure_precision(_device(spec), spec.cpus)
        driver.write("precision", **asdict(found))
    return "bfloat16" if driver.history.precision == "bfloat16" else "float32"


def _device(spec: SearchSpec) -> str:
    return "auto" if spec.gpus else "cpu"


def _trainer(spec: SearchSpec, folder: Folder, data: Dataset, driver: Driver) -> Trainer:
    return Trainer(
        task=spec.task,
        dataset=data.without("test"),
        metric=spec.metric,
        resource=spec.resource,
        folder=folder.trials,
        cache=folder.cache,
        cpus=spec.cpus,
        precision=_precision(spec, driver),
        device=_device(spec),
        gpus=spec.gpus,
        pause_file=folder.pause,
        cards=spec.cards,
        prefix_bytes=None if spec.cache_gib is None else int(spec.cache_gib * 2**30),
    )


def _same_spec(spec: SearchSpec, folder: Folder) -> None:
    if not folder.spec.is_file() or not folder.journal.is_file():
        return
    if folder.spec.read_text(encoding="utf-8") == spec.resolved:
        return
    then = folder.spec.read_text(encoding="utf-8").splitlines()
    changed = [line for line in spec.resolved.splitlines() if line not in then]
    shown = f" It has no line '{changed[0].strip()}'." if changed else ""
    raise FixSpec(
        spec.path,
        [
            Problem(
                "",
                f"{folder.root} holds a search of another spec.{shown} Choose another folder "
                f"with --results, another name with name=…, or remove that folder.",
            )
        ],
    )


def _same_clock(spec: SearchSpec, folder: Folder, simulated: bool) -> None:
    """Refuses to go on for real with what was simulated, and the other way round."""
    first = next(iter(read_events(folder.journal)), None)
    if first is None or first["time"].startswith("+") == simulated:
        return
    was = "a real search" if simulated else "a simulated search (--runner virtual)"
    text = f"{folder.root} holds {was}. Choose another folder with --results, or remove that one."
    raise FixSpec(spec.path, [text])


def _begin(spec: SearchSpec, folder: Folder) -> None:
    if folder.spec.is_file() and folder.journal.is_file():
        return
    write_text(folder.spec, spec.resolved)
    write_json(folder.environment, environment())


def environment() -> dict[str, Any]:
    """Versions and machine, as they stand in ``environment.json``."""
    return {
        "toprung": version("toprung"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def search_folder(spec: SearchSpec, results: str) -> Folder:
    """The folder that a spec's search has under ``results``."""
    return Folder(Path(results).resolve() / spec.name)
