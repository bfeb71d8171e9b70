"""What every embedded corpus does: options in, labelled texts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Corpus:
    """Generates rows; equal options give equal rows, on every machine."""

    def splits(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Rows as (text, label), of ``train``, ``validation`` and ``test`` in this order."""
        raise NotImplementedError
