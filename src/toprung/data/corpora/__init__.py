"""Embedded corpora, one generator a file."""
