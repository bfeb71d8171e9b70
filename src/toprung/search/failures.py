"""What is done about a trial that failed, and when failing is all that trials do."""

from __future__ import annotations

from toprung.search.plan import Plan
from toprung.trial.config import RECOMPUTES_FROM
from toprung.trial.decision import Failure, Verdict
from toprung.trial.history import History
from toprung.trial.record import TrialRecord

SAME_FAILURES = 5
"""After as many failures of one kind, and no usable report, no more trials are begun."""

_RETRIES = {"infrastructure": 3, "out_of_memory": 3, "hung": 1}


def judge(failure: Failure, record: TrialRecord) -> Verdict:
    """Whether a trial is tried again: the machine's faults are, the configuration's are not.

    What counts is what went wrong since its last usable report, so that a long trial outlives any
    number of lost machines; but a trial may hang only once.

    >>> from toprung.trial.config import TrialConfig
    >>> record = TrialRecord(TrialConfig("t0001", {}, 0), "random")
    >>> judge(Failure("diverged", "loss is nan"), record)
    Verdict(retry=False, reason='diverged: loss is nan')
    >>> judge(Failure("infrastructure", "the worker died"), record).retry
    True
    """
    earlier = record.failures if failure.kind == "hung" else record.unmended
    before = sum(other.kind == failure.kind for other in earlier)
    if before < _RETRIES.get(failure.kind, 0):
        how = "from its last checkpoint"
        if failure.kind == "out_of_memory":
            how += ", with half the micro-batch and twice the accumulation"
            if record.shrink * 2 >= RECOMPUTES_FROM:
                how += ", and activations computed again in the backward pass"
        return Verdict(True, f"{failure.kind}: {failure.message}; tried again {how}")
    tried = f" (after {before} {'retries' if before > 1 else 'retry'})" if before else ""
    return Verdict(False, f"{failure.kind}: {failure.message}{tried}")


def common_failure(history: History) -> Failure | None:
    """The failure that every trial of this opening has ended with, if they are enough.

    There is none where any trial since the last extension is usable.
    """
    # Asked before each suggestion: as a rule nothing has failed, or the first record is usable.
    if history.failures < SAME_FAILURES:
        return None
    records, begin = history.suggested, history.tried_before
    if any(records[i].resource for i in range(begin, len(records))):
        return None
    begin = max(begin, history.opened_before)
    ends = [r.failures[-1] for r in records[begin:] if r.failures and r.state != "running"]
    if len(ends) < SAME_FAILURES or len({failure.kind for failure in ends}) > 1:
        return None
    return ends[-1]


def halting_failure(history: History) -> Failure | None:
    """The failure that trial after trial now ends with: its cause is to be mended first.

    Five in a row end the opening; more where such failures have passed by before, as those of one
    broken option of a space do. What could still be trained is left for ``resume``. Losses that
    diverge are the space's own: they halt nothing, but end a search in which nothing else happens.
    """
    failures = history.streak.failures
    if len(failures) >= SAME_FAILURES * (1 + history.streak.passed_alike):
        return failures[-1]
    alike = common_failure(history)
    return None if alike is None or alike.kind == "diverged" else alike


def has_crashed(history: History, most: int | None) -> bool:
    """Whether as many trials of the phase have failed for good as a gate waits for."""
    return most is not None and len(history.crashed()) >= most


def why_over(history: History, plan: Plan, is_spent: bool) -> str:
    """Why a search, or a phase of it, ends."""
    if has_crashed(history, plan.crashes):
        last = history.crashed()[-1]
        return f"{last.config.trial} failed ({last.reason}), and a gate waits for that"
    if alike := common_failure(history):
        return f"every trial failed alike ({alike.kind}): {alike.message}"
    trials = history.in_phase()
    tried = len(trials)
    is_done = tried >= plan.trials and all(record.state == "completed" for record in trials)
    if is_spent and not is_done:
        return f"the time budget of {plan.seconds:.0f} s is spent"
    return f"{tried} trial{'s were' if tried != 1 else ' was'} tried"
