"""Embedded corpora, one generator a file."""

from toprung.core.registry import Registry
from toprung.data.corpora._base import Corpus

registry: Registry[Corpus] = Registry(__name__, Corpus)
