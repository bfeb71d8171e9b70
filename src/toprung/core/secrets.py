"""Secrets of the environment, kept out of whatever is written or told."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

_NAMES = re.compile(r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|CONNECTION_STRING|_?KEY(_ID)?$")
_PLACES = ("_PATH", "_FILE", "_DIR", "_SOCK")
_SHORTEST = 8
"""A shorter value is a setting more often than a secret, and would garble every text."""


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text with each secret of the environment replaced by its variable's name.

    Secrets are the values of variables whose names say so: ``…_TOKEN``, ``…_SECRET…``,
    ``…_KEY``, ``…PASSWORD…``, ``AWS_ACCESS_KEY_ID`` and the like; as they are, as Python prints
    them and as addresses quote them. Of one with several lines each line is one.

    Args:
        text: that is to be told.
        environment: the process's own by default.

    >>> redact("401 for hf_abcdefgh", {"HF_TOKEN": "hf_abcdefgh", "HOME": "for"})
    '401 for [HF_TOKEN]'
    """
    given = os.environ if environment is None else environment
    found = [(name, value) for name, value in given.items() if _is_secret(name)]
    pieces = {form: name for name, value in found for form in _forms(value)}
    for form in sorted(pieces, key=len, reverse=True):
        if form in text:
            text = text.replace(form, f"[{pieces[form]}]")
    return text


def _is_secret(name: str) -> bool:
    upper = name.upper()
    return bool(_NAMES.search(upper)) and not upper.endswith(_PLACES)


def _forms(value: str) -> list[str]:
    whole = [value, value.strip(), *map(str.strip, value.splitlines())]
    spelled = [form for one in whole for form in (one, repr(one)[1:-1], quote(one, safe=""))]
    return [form for form in spelled if len(form) >= _SHORTEST]
