"""From tokens back to text as people write it, where a tokenizer drops case and spaces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_TOKENS = 8
_TEXTS_A_WORD = 500
_CAPITAL = re.compile(r"(^|[.!?]\s+)([a-z])")
Piece = tuple[int, ...]


@dataclass(frozen=True)
class Spelling:
    """How words are written whose tokens are these.

    Attributes:
        words: a written word, with what clings to it, by its tokens; empty where the tokenizer
            itself gives a text back as it was.
    """

    words: Mapping[Piece, str]

    def to_json(self) -> list[list[Any]]:
        """The words as JSON values."""
        return [[word, *tokens] for tokens, word in sorted(self.words.items())]

    @classmethod
    def from_json(cls, value: Iterable[Sequence[Any]]) -> Spelling:
        """The spelling that ``to_json`` wrote."""
        return cls({tuple(tokens): word for word, *tokens in value})

    def write(self, tokenizer: Any, tokens: Piece, source: Mapping[Piece, str]) -> str:
        """A text from tokens: the longest known words; those of training before the source's.

        Args:
            tokenizer: that decodes what is no known word.
            tokens: of the text.
            source: words of the text that it is about.
        """
        if not self.words:
            return str(tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()
        parts: list[str] = []
        start = 0
        while start < len(tokens):
            word, size = self._word(tokenizer, tokens[start:], source)
            parts.append(word)
            start += size
        text = " ".join(part for part in parts if part).replace(" ##", "")
        text = re.sub(r"\s+([,.!?;:])", r"\1", text)
        return _CAPITAL.sub(lambda found: found[1] + found[2].upper(), text)

    def _word(self, tokenizer: Any, rest: Piece, source: Mapping[Piece, str]) -> tuple[str, int]:
        for size in range(min(_MOST_TOKENS, len(rest)), 0, -1):
            piece = rest[:size]
            # A word must not end where its last token goes on.
            word = self.words.get(piece) or source.get(piece)
            if word is not None and not _goes_on(tokenizer, rest[size:]):
                return word, size
        return str(tokenizer.decode([rest[0]])), 1


def learn_spelling(tokenizer: Any, texts: Sequence[str]) -> Spelling:
    """The spelling of the words of training targets; of several, the most frequent one."""
    if all(_gives_back(tokenizer, text) for text in texts[:20]):
        return Spelling({})
    # A word that hardly ever occurs is as often two that nobody parted.
    return Spelling(words_of(tokenizer, texts, fewest=1 + len(texts) // _TEXTS_A_WORD))


def words_of(tokenizer: Any, texts: Sequence[str], fewest: int = 1) -> dict[Piece, str]:
    """The words of texts by their tokens; of several with the same ones, the most frequent.

    Args:
        tokenizer: of the backbone.
        texts: that hold the words.
        fewest: times that a word must occur.
    """
    counts = Counter(word for text in texts for word in text.split())
    often = [word for word in counts if counts[word] >= fewest]
    words = sorted(often, key=lambda word: (-counts[word], word))
    found: dict[Piece, str] = {}
    special = set(tokenizer.all_special_ids)
    pieces = tokenizer(words, verbose=False)["input_ids"] if words else []
    for word, ids in zip(words, pieces, strict=True):
        piece = tuple(token for token in ids if token not in special)
        if 0 < len(piece) <= _MOST_TOKENS:
            found.setdefault(piece, word)
    return found


def _gives_back(tokenizer: Any, text: str) -> bool:
    ids = tokenizer(text, verbose=False)["input_ids"]
    return bool(tokenizer.decode(ids, skip_special_tokens=True).strip() == text.strip())


def _goes_on(tokenizer: Any, rest: Piece) -> bool:
    return bool(rest) and str(tokenizer.convert_ids_to_tokens(rest[0])).startswith("##")
