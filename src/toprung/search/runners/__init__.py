"""Runners, one a file."""
