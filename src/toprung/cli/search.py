"""``toprung search``: the whole path from a spec to ensemble and report."""

from __future__ import annotations

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.options import Address, Overrides, Results, RunnerName, SpecPath
from toprung.cli.running import run_search
from toprung.spec.load import load_spec


def search(
    spec: SpecPath,
    overrides: Overrides = None,
    runner: RunnerName = "ray",
    results: Results = "results",
    address: Address = None,
) -> None:
    """Search, build the ensemble of the best configurations, write the report.

    A search that was begun before with the same spec goes on where it was.

    Example: toprung search search/quickstart.yaml budget.trials=6
    """
    loaded = load_spec(spec, overrides or [])
    settings = Settings(runner=runner, address=address, results=results)
    run_search(Search(loaded, settings=settings), Search.fit)
