"""``toprung ensemble``: the ensemble built again from the trials that there are."""

from __future__ import annotations

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.options import AllowOpen, HeadAddress, Results, RunnerName, SearchName
from toprung.cli.remote import refuse_foreign
from toprung.cli.running import run_search


def ensemble(
    name: SearchName,
    runner: RunnerName = "ray",
    results: Results = "results",
    address: HeadAddress = None,
    allow_open: AllowOpen = False,
) -> None:
    """Train the best configurations fully, weigh and calibrate them, save ensemble/.

    Example: toprung ensemble quickstart
    """
    refuse_foreign(address, None, runner=runner, detach=False)
    settings = Settings(runner=runner, address=address, results=results, trusts_open=allow_open)
    run_search(Search.attach(name, settings), Search.rebuild_ensemble)
