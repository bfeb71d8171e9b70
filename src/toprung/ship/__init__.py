"""Ensembles as artifacts that predict."""
