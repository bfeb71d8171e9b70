"""Where rows may lie: files, a folder, a saved data set, a hub, a corpus; one a file."""

from toprung.core.registry import Registry
from toprung.data.stores._base import Store

registry: Registry[Store] = Registry(__name__, Store)
