"""What decides a search, or one phase of it: its plan, scheduler and searcher."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.search.plan import Plan
from toprung.search.schedulers._base import Scheduler
from toprung.search.searchers._base import Searcher


@dataclass(frozen=True)
class Course:
    """Plan, scheduler and searcher, the last two prepared and not asked anything yet."""

    plan: Plan
    scheduler: Scheduler
    searcher: Searcher
