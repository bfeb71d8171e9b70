"""Rows in, rows out: reading, splitting, checking; no tensors."""
