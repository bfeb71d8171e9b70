"""Seeds derived by name, so that no part of a search shares a random stream with another."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *names: object) -> int:
    """A seed in [0, 2**31) that depends on the search's seed and on what it is for.

    >>> derive_seed(7, "t0001") == derive_seed(7, "t0001")
    True
    >>> derive_seed(7, "t0001") == derive_seed(7, "t0002")
    False
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
