"""Formats of a file with rows, one a file; its name is the file name's extension."""

from toprung.core.registry import Registry
from toprung.data.formats._base import Format

registry: Registry[Format] = Registry(__name__, Format)
