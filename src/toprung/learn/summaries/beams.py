"""Beam search: the most probable texts that a decoder can be led to, always the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from toprung.learn.summaries.decoder import Decoder

_NEVER = float("-inf")
Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Decoding:
    """How texts are written.

    Attributes:
        beams: pursued side by side.
        length_penalty: log-probabilities are divided by length to this power.
        most: tokens of a text.
        no_repeat: no sequence of so many tokens stands in a text twice; 0 allows it.
    """

    beams: int
    length_penalty: float
    most: int
    no_repeat: int = 3


@dataclass
class _Row:
    """The texts of one source: those that have ended, best first, and those under way."""

    beams: list[Numbers]
    ended: list[tuple[float, Numbers]] = field(default_factory=list)
    done: bool = False

    def end(self, worth: float, text: Numbers, most: int) -> None:
        self.ended.append((worth, text))
        # Equal worths: the one that came first stays first.
        self.ended.sort(key=lambda pair: -pair[0])
        del self.ended[most:]


@torch.inference_mode()
def write_beams(
    decoder: Decoder, states: torch.Tensor, mask: torch.Tensor, how: Decoding
) -> list[list[Numbers]]:
    """Texts of B sources as numbers of the vocabulary: at most ``beams`` of each, best first.

    A source is done when as many texts have ended as there are beams and the best one under way
    is no better than the worst of them by now, or at the longest text; what is under way then ends
    where it stands. Every text has at least one token.

    Args:
        decoder: in ``eval`` mode.
        states: (B, S, H) of the sources.
        mask: (B, S).
        how: texts are written.
    """
    rows, beams = len(states), how.beams
    states, mask = (part.repeat_interleave(beams, dim=0) for part in (states, mask))
    past = decoder.new_past()
    begin = decoder.vocabulary.number(decoder.vocabulary.begin)
    end = decoder.vocabulary.number(decoder.vocabulary.end)
    last = torch.full((rows * beams, 1), begin, device=states.device)
    scores = torch.full((rows, beams), _NEVER, device=states.device)
    scores[:, 0] = 0.0
    held = [_Row([()] * beams) for _ in range(rows)]
    for length in range(1, how.most + 1):
        vectors = decoder(last, states, mask, past)[:, -1]
        logs = decoder.logits(vectors).float().log_softmax(dim=-1)
        if begin != end:
            logs[:, begin] = _NEVER
        if length == 1:
            logs[:, end] = _NEVER
        _forbid_repeats(logs, held, how)
        totals = (scores[:, :, None] + logs.view(rows, beams, -1)).flatten(1)
        best, places = totals.topk(min(2 * beams, totals.shape[1]), dim=1)
        chosen = _advance(held, best.tolist(), places.tolist(), logs.shape[1], (end, length, how))
        if all(row.done for row in held):
            break
        order, tokens, values = (torch.tensor(part, device=states.device) for part in chosen)
        # A source's beams all look at the same states, so what is kept of those needs no order.
        past.self_attention_cache.reorder_cache(order)
        last, scores = tokens[:, None], values.view(rows, beams)
    return [_texts(row, scores[n].tolist(), how) for n, row in enumerate(held)]


def _advance(
    held: Sequence[_Row],
    best: list[list[float]],
    places: list[list[int]],
    width: int,
    now: tuple[int, int, Decoding],
) -> tuple[list[int], list[int], list[float]]:
    """Takes the best ways on of each source; the beam, token and score of each new beam."""
    end, length, how = now
    order: list[int] = []
    tokens: list[int] = []
    scores: list[float] = []
    for number, row in enumerate(held):
        beams: list[Numbers] = []
        for rank, (score, place) in enumerate(zip(best[number], places[number], strict=True)):
            beam, token = divmod(place, width)
            if score == _NEVER or row.done or len(beams) == how.beams:
                continue
            if token == end:
                # Below the beams there is no room for a text that ends.
                if rank < how.beams:
                    row.end(score / length**how.length_penalty, row.beams[beam], how.beams)
                continue
            beams.append((*row.beams[beam], token))
            order.append(number * how.beams + beam)
            tokens.append(token)
            scores.append(score)
        missing = how.beams - len(beams)
        order += [number * how.beams] * missing
        tokens += [end] * missing
        scores += [_NEVER] * missing
        live = scores[-how.beams] / length**how.length_penalty
        full = len(row.ended) >= how.beams and live <= row.ended[-1][0]
        row.done = row.done or full or not beams
        if not row.done:
            row.beams = beams + [()] * missing
    return order, tokens, scores


def _forbid_repeats(logs: torch.Tensor, held: Sequence[_Row], how: Decoding) -> None:
    size = how.no_repeat
    if not size:
        return
    at: list[int] = []
    tokens: list[int] = []
    for number, row in enumerate(held):
        if row.done:
            continue
        for beam, text in enumerate(row.beams):
            tail = text[len(text) - size + 1 :]
            for start in range(len(text) - size + 1):
                if text[start : start + size - 1] == tail:
                    at.append(number * how.beams + beam)
                    tokens.append(text[start + size - 1])
    if at:
        logs[at, tokens] = _NEVER


def _texts(row: _Row, scores: list[float], how: Decoding) -> list[Numbers]:
    """The ended texts; where none has, or the longest was reached, those under way with them."""
    if not row.done:
        for score, text in zip(scores, row.beams, strict=True):
            if text and score > _NEVER:
                row.end(score / len(text) ** how.length_penalty, text, how.beams)
    return [text for _, text in row.ended]
