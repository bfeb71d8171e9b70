"""Errors, registry, clock, seeds and files: the standard library only."""
