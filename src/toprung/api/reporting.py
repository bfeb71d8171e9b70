"""What a search amounts to, put together from its folder for reports and summaries."""


def write_report(run: object) -> None:
    """Draft."""
