"""Distributed hyperparameter search for fine-tuning transformers."""

__version__ = "0.1.0"
