"""How searches that run at once share a cluster: by priority, one trial at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """What one search says of itself to the others.

    Attributes:
        name: of the search's driver, unique on the cluster.
        priority: its weight; twice the priority is twice the share.
        wants: trials that it has work for now; None where it would take whatever it gets.
        size: of one of its trials, in the resource that is shared.
        resource: that its trials need most dearly: ``GPU`` where they use any, else ``CPU``.
        most: trials at a time that it will ever train; None for no limit.
    """

    name: str
    priority: float = 1.0
    wants: int | None = None
    size: float = 1.0
    resource: str = "CPU"
    most: int | None = None


def shares(claims: Sequence[Claim], capacity: Mapping[str, float]) -> dict[str, int]:
    """How many trials each search may train at a time.

    One trial after another goes to the search that has least for its priority and wants more
    (max-min fairness with weights, in whole trials). What nobody wants is dealt out in the same
    way, so that a search whose wants grow need not ask first. Nobody is left without a trial.

    Args:
        claims: of all searches, in any order.
        capacity: of the whole cluster by resource.

    >>> three = [Claim("a"), Claim("b"), Claim("c", priority=2.0)]
    >>> shares(three, {"CPU": 8})
    {'a': 2, 'b': 2, 'c': 4}
    >>> shares([Claim("a", wants=1), Claim("b")], {"CPU": 8})
    {'a': 1, 'b': 7}
    """
    given = {claim.name: 0 for claim in claims}
    for resource in {claim.resource for claim in claims}:
        group = sorted((c for c in claims if c.resource == resource), key=lambda c: c.name)
        left = _deal(group, given, capacity.get(resource, 0.0), sated=True)
        _deal(group, given, left, sated=False)
    return {name: max(1, trials) for name, trials in given.items()}


def _deal(claims: Sequence[Claim], given: dict[str, int], left: float, *, sated: bool) -> float:
    """Gives trial after trial; returns what is left of the resource."""
    open_claims = [claim for claim in claims if not _is_full(claim, given[claim.name], sated=sated)]
    while open_claims:
        claim = min(open_claims, key=lambda c: given[c.name] * c.size / c.priority)
        if claim.size > left + 1e-9:
            open_claims.remove(claim)
            continue
        left -= claim.size
        given[claim.name] += 1
        if _is_full(claim, given[claim.name], sated=sated):
            open_claims.remove(claim)
    return left


def _is_full(claim: Claim, given: int, *, sated: bool) -> bool:
    """Whether a search has all that it may have, or, while others want, all that it wants."""
    limits = (claim.most, claim.wants if sated else None)
    return any(limit is not None and given >= limit for limit in limits)
