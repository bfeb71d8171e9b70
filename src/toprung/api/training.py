"""What trains the trials of a search for real, and in which precision and where."""

from __future__ import annotations

from dataclasses import asdict

from toprung.api.folder import Folder
from toprung.core.later import later
from toprung.data import tasks
from toprung.data.dataset import Dataset
from toprung.learn.backbone.brought import offer
from toprung.learn.plan import Precision
from toprung.learn.trainer import Trainer
from toprung.search.driver import Driver
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource
from toprung.trial.report import Metric

device = later("toprung.learn.device")


def _precision(spec: SearchSpec, driver: Driver) -> Precision:
    """The spec's, or what was quicker when the search began; the journal knows the figures.

    It is measured on the driver's machine: trials of one search must not differ by their node.
    """
    if spec.precision != "auto":
        return spec.precision
    if tasks.registry.get(spec.task).reads == "series":
        return "float32"  # too narrow for bfloat16 to pay
    if driver.history.precision is None:
        found = device.measure_precision(device_of(spec), spec.cpus)
        driver.write("precision", **asdict(found))
    return "bfloat16" if driver.history.precision == "bfloat16" else "float32"


def device_of(spec: SearchSpec) -> str:
    """The device that trials of a spec train on."""
    return "cpu" if spec.gpus == 0 else "auto"


def make_trainer(
    spec: SearchSpec,
    folder: Folder,
    data: Dataset,
    driver: Driver,
    *,
    resource: Resource,
    metric: Metric,
) -> Trainer:
    """The trainer of a search or of one of its phases.

    Args:
        spec: of the search.
        folder: of the search.
        data: with the rows of the phase; the test split is taken out.
        driver: whose journal knows the precision, or is told it.
        resource: of the phase.
        metric: with the floor of the phase.
    """
    return Trainer(
        task=spec.task,
        dataset=data.without("test"),
        metric=metric,
        resource=resource,
        folder=folder.trials,
        cache=folder.cache,
        cpus=spec.cpus,
        precision=_precision(spec, driver),
        device=device_of(spec),
        gpus=spec.gpus or 0.0,
        pause_file=folder.pause,
        cards=spec.cards,
        prefix_bytes=None if spec.cache_gib is None else int(spec.cache_gib * 2**30),
        by_class=spec.by_class,
        store=folder.store,
        offered={} if folder.store is None else offer(spec.cards, folder.store.parent),
    )
