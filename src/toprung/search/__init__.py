"""Who is tried next and who goes on: schedulers, searchers, runners."""
