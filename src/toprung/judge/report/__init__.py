"""The report of a search: one Markdown file, every number in it computed."""
