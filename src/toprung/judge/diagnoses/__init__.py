"""Diagnoses: what a trial suffers from, told from its reports; one symptom a file."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.judge.diagnoses._base import Diagnosis

registry = Registry(__name__, Diagnosis)  # type: ignore[type-abstract]
