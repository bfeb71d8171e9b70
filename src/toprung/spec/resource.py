"""How much a trial is given: from ``min`` to ``max``, and where it reports."""

from __future__ import annotations

from typing import Literal

from toprung.search.schedulers._base import rungs
from toprung.spec.fields import field
from toprung.spec.nodes import Node, Problems
from toprung.spec.sections import read_fields
from toprung.trial.config import Resource

Unit = Literal["examples", "epochs"]
FIELDS = {
    "unit": field("unit", Unit, default="examples"),
    "min": field("min", int, default=512),
    "max": field("max", int, default=13824),
}
_REPORTS = 9


def report_points(minimum: int, maximum: int, eta: int | None) -> tuple[int, ...]:
    """Where a trial reports: at every rung, and between them at least each ninth of ``max``.

    >>> report_points(512, 4608, 3)
    (512, 1024, 1536, 2048, 2560, 3072, 3584, 4096, 4608)
    >>> report_points(1, 4, 3)
    (1, 2, 3, 4)
    """
    stops = rungs(minimum, maximum, eta) if eta else (minimum, maximum)
    gap = max(1, maximum // _REPORTS)
    points: list[int] = []
    last = 0
    for stop in sorted({*stops, minimum}):
        pieces = -(-(stop - last) // gap)
        points += [last + (stop - last) * piece // pieces for piece in range(1, pieces + 1)]
        last = stop
    return tuple(points)


def read_resource(node: Node | None, eta: int | None, problems: Problems) -> Resource | None:
    """The resource of a search; None, and why in ``problems``, where no rung could fire.

    What is left out is derived: ``min`` is 512 examples or 1 epoch, ``max`` is ``min`` times the
    cube of the reduction factor (its square for epochs), and ``min`` of a given ``max`` the
    reverse.

    Args:
        node: the mapping under ``resource``, if any.
        eta: reduction factor of the scheduler; None where it has none.
        problems: what is found wrong is added here.
    """
    before = len(problems)
    given = read_fields(node, FIELDS, problems)
    if len(problems) > before:
        return None
    unit = str(given.get("unit", "examples"))
    factor = (eta or 3) ** (3 if unit == "examples" else 2)
    smallest = 512 if unit == "examples" else 1
    if "min" not in given and "max" in given:
        smallest = max(1, int(given["max"] or 0) // factor)
    low = int(given.get("min") or smallest)
    high = int(given.get("max") or low * factor)
    at = node.items.get("max", node) if node else Node("resource", None, None)
    if low > high:
        problems.add(at, f"max {high} is below min {low}. Swap them: min: {high}, max: {low}.")
    elif eta and high < low * eta:
        text = f"{high} is below resource.min × reduction_factor = {low * eta}"
        problems.add(at, f"{text}, so no rung would ever fire. Raise max or lower min.")
    else:
        return make_resource(unit, low, high, eta)
    return None


def make_resource(unit: str, low: int, high: int, eta: int | None) -> Resource:
    """A resource with its points and rungs; one rung alone where there is no early stopping.

    >>> make_resource("examples", 100, 900, 3).rungs, make_resource("epochs", 1, 9, None).rungs
    ((100, 300, 900), (9,))
    """
    ladder = rungs(low, high, eta) if eta else (high,)
    return Resource(unit, low, high, report_points(low, high, eta), ladder)
