"""``toprung report``: the report written again."""

from __future__ import annotations

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.console import OUT
from toprung.cli.options import Results, SearchName


def report(name: SearchName, results: Results = "results") -> None:
    """Write report.html, report.md and metrics.csv again, from journal and predictions.

    Example: toprung report quickstart
    """
    search = Search.attach(name, Settings(results=results))
    search.report()
    OUT.print(str(search.folder.report), markup=False)
    OUT.print(str(search.folder.page), markup=False)
