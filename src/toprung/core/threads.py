"""How many threads a trial has where its place gives it others than its search says."""

from __future__ import annotations

import os

CPUS_VARIABLE = "TOPRUNG_TRIAL_CPUS"
"""Set in a worker that was placed otherwise, such as on CPUs alone for want of a GPU."""


def threads_of(cpus: int) -> int:
    """The threads of a trial in this process, which would have so many CPUs.

    >>> threads_of(2)
    2
    """
    given = os.environ.get(CPUS_VARIABLE, "")
    return int(given) if given.isdecimal() else cpus
