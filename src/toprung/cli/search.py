"""``toprung search``: the whole path from a spec to ensemble and report."""

from __future__ import annotations

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.api.submitting import submit_search
from toprung.cli.options import (
    Address,
    AllowOpen,
    AtOnce,
    ClusterFile,
    Detach,
    Overrides,
    Priority,
    Results,
    RunnerName,
    SpecPath,
)
from toprung.cli.remote import follow_sent, is_remote, reach, refuse_foreign
from toprung.cli.running import run_search
from toprung.spec.load import load_spec


def search(
    spec: SpecPath,
    overrides: Overrides = None,
    runner: RunnerName = "ray",
    results: Results = "results",
    address: Address = None,
    cluster: ClusterFile = None,
    priority: Priority = 1.0,
    at_once: AtOnce = None,
    allow_open: AllowOpen = False,
    detach: Detach = False,
) -> None:
    """Search, build the ensemble of the best configurations, write the report.

    A search that was begun before with the same spec goes on where it was. With --cluster, or the
    http:// address of a dashboard, it runs on that cluster and goes on without this terminal.

    Example: toprung search search/quickstart.yaml budget.trials=6
    """
    refuse_foreign(address, cluster, runner=runner, detach=detach)
    loaded = load_spec(spec, overrides or [])
    settings = Settings(
        runner=runner,
        address=address,
        results=results,
        priority=priority,
        at_once=at_once,
        trusts_open=allow_open,
    )
    if is_remote(address, cluster):
        server = reach(address, cluster, trusts_open=allow_open)
        sent, is_new = submit_search(server, loaded, settings)
        follow_sent(server, sent, is_new=is_new, detach=detach)
        return
    run_search(Search(loaded, settings=settings), Search.fit)
