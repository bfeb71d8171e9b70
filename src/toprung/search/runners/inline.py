"""One trial at a time, in this process: for notebooks and the debugger."""

from __future__ import annotations

from contextlib import closing

from toprung.core.errors import Interrupted
from toprung.search.driver import Driver
from toprung.search.runners._base import Runner, Train, begin, next_report
from toprung.trial.config import Assignment
from toprung.trial.decision import Continue, Failure


class Inline(Runner):
    """Trains each assignment to its pause or end before it asks for the next one."""

    def run(self, driver: Driver, train: Train) -> None:
        """Works until the driver assigns nothing more.

        Raises:
            Interrupted, KeyboardInterrupt: the trial at work is left as its checkpoint has it.
        """
        while (assignment := driver.assign()) is not None:
            try:
                _follow(driver, assignment, train)
            finally:
                driver.leave(assignment.config.trial)
            if driver.interrupted:
                raise Interrupted("the search was interrupted")


def _follow(driver: Driver, assignment: Assignment, train: Train) -> None:
    with closing(begin(train, assignment)) as reports:
        while not driver.interrupted:
            report = next_report(reports)
            if isinstance(report, Failure):
                driver.fail(assignment.config.trial, report)
                return
            if not isinstance(driver.report(report), Continue):
                return
