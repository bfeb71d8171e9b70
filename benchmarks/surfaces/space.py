"""The configurations of the recorded surfaces: the same list on every data set."""

from __future__ import annotations

from pathlib import Path

from toprung.search.searchers.random import Random
from toprung.spec.load import load_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.space import Scalar, Values

HERE = Path(__file__).parent
DATASETS = ("banking77", "sst2")
POINTS = (144, 432, 1296, 3888)
SEED = 7
FULL_FACTOR = 0.1
REPLICATED, REPLICAS = 12, 2

# How many of each kind: cheap ones are well represented, dear ones not left out.
QUOTAS = {
    ("frozen", None): 48,
    ("lora", "top_third"): 40,
    ("lora", "top_half"): 32,
    ("lora", "all"): 28,
    ("full", None): 6,
}


def read_space(data: Path = Path()) -> SearchSpec:
    """The spec of the surfaces on a folder of data."""
    return load_spec(str(HERE / "space.yaml"), [f"data.path={data}"])


def configurations() -> list[dict[str, Scalar]]:
    """The list, in the order of recording: random search, thinned to the quotas."""
    searcher = Random()
    searcher.prepare(read_space().space, SEED)
    room, found, number = dict(QUOTAS), [], 0
    while any(room.values()):
        number += 1
        values = searcher.propose(number)
        kind = kind_of(values)
        if room[kind]:
            room[kind] -= 1
            found.append(values)
    return found


def kind_of(values: Values) -> tuple[str, str | None]:
    """Adapter, and its layers where it is LoRA: what decides the cost."""
    layers = values.get("adapter.lora.layers")
    return str(values["adapter"]), None if layers is None else str(layers)


def as_trained(values: Values) -> dict[str, Scalar]:
    """The values that the trainer is given: full fine-tuning has a tenth of the learning rate.

    The grammar of spaces has one range of rates for all adapters; with the factor, the good part
    of the range is about the same for all of them.
    """
    trained = dict(values)
    if trained["adapter"] == "full":
        trained["learning_rate"] = float(trained["learning_rate"] or 0.0) * FULL_FACTOR
    return trained
