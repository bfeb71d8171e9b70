"""What an event of a journal must hold, so that no view stumbles over a foreign one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from toprung.trial.config import TRIAL_ID
from toprung.trial.decision import STATES

Check = Callable[[Any], bool]


def problem_of(event: object, number: int) -> str | None:
    """What is wrong with the event of a journal's line; None where it is sound.

    An event of a kind that is not known here passes: a later version may have written it.

    Args:
        event: the value of the line.
        number: that the event must have.

    >>> problem_of({"seq": 1, "epoch": 1, "at": 0.0, "time": "", "kind": "closed"}, 1)
    "closed: 'reason' is missing"
    """
    if not isinstance(event, Mapping):
        return "no object"
    found = _missing(event, _ENVELOPE)
    if found is None and event["seq"] != number:
        found = f"event {event['seq']} stands where {number} belongs"
    if found is None and not isinstance(event.get("trial", ""), str):
        found = "'trial' is no name"
    if found is not None:
        return found
    found = _missing(event, _FIELDS.get(event["kind"], {}))
    return None if found is None else f"{event['kind']}: {found}"


def _missing(event: Mapping[str, Any], fields: Mapping[str, Check]) -> str | None:
    for name, fits in fields.items():
        if name not in event:
            return f"'{name}' is missing"
        if not fits(event[name]):
            return f"'{name}' is {str(event[name])[:60]!r}"
    return None


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 128


def _step(value: Any) -> bool:
    """A resource; views count in 64 bits."""
    return _whole(value) and abs(value) < 1 << 62


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _trial(value: Any) -> bool:
    return isinstance(value, str) and bool(TRIAL_ID.match(value))


def _count(value: Any) -> bool:
    return _whole(value) and value >= 0


def _state(value: Any) -> bool:
    return value in STATES


def _scalars(value: Any) -> bool:
    """A flat mapping of names, as configurations are."""
    return isinstance(value, Mapping) and all(
        isinstance(one, str | int | float | bool | None) for one in value.values()
    )


def _place(value: Any) -> bool:
    """The name of a folder inside of a trial's, or nothing."""
    if value is None:
        return True
    if not isinstance(value, str) or not value or len(value) > 200 or "\0" in value:
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in value


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _metrics(value: Any) -> bool:
    """Names with values, which may be anything that a trial said but a number without end."""
    return isinstance(value, Mapping) and all(
        not isinstance(one, int) or abs(one) < 1 << 1000 for one in value.values()
    )


def _optional(fits: Check) -> Check:
    return lambda value: value is None or fits(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


_ENVELOPE: Mapping[str, Check] = {
    "seq": _count,
    "epoch": _count,
    "at": _number,
    "time": _text,
    "kind": _text,
}
_FIELDS: Mapping[str, Mapping[str, Check]] = {
    "suggested": {
        "trial": _trial,
        "values": _scalars,
        "seed": _whole,
        "source": _text,
        "bracket": _count,
    },
    "started": {"trial": _trial, "attempt": _count, "from": _step},
    "reported": {
        "trial": _trial,
        "resource": _step,
        "metrics": _metrics,
        "seconds": _number,
        "checkpoint": _place,
    },
    "decided": {
        "trial": _trial,
        "resource": _step,
        "decision": _text,
        "state": _state,
        "reason": _text,
        "by": _text,
    },
    "promoted": {"trial": _trial, "reason": _text, "by": _text},
    "failed": {
        "trial": _trial,
        "class": _text,
        "message": _text,
        "state": _state,
        "reason": _text,
        "attempt": _count,
        "shrink": _count,
    },
    "diagnosed": {
        "trial": _trial,
        "symptom": _text,
        "title": _text,
        "evidence": _text,
        "remedy": _text,
        "resource": _step,
        "stops": _flag,
        "of_data": _flag,
    },
    "finalist": {"trial": _trial, "reason": _text},
    "chosen": {"finalists": _texts},
    "data": {"sha256": _text},
    "precision": {"precision": _text},
    "baseline": {"name": _text, "metrics": _metrics, "seconds": _number},
    "extended": {"trials": _count},
    "phase": {"phase": _count, "attempt": _count, "trials": _count, "max": _step, "unit": _text},
    "gate": {"phase": _count, "action": _text, "reason": _text},
    "forecast": {"until": _optional(lambda value: isinstance(value, list))},
    "closed": {"reason": _text},
    "ensembled": {"members": _texts, "trials": _count},
}
