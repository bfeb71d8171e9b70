"""Several LoRA encoders on one frozen backbone, computed as one pass over the rows of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from toprung.learn.backbone.encoder import Encoder
from toprung.learn.device import place
from toprung.learn.streams import Streams

_NAME = "toprung_stacked"
_ADAPTER = "default"


class Branch:
    """What one encoder has of its own: its low-rank updates, dropouts and random stream.

    Attributes:
        targets: names of the adapted matrices.
        stackable: whether the encoder's attention is one of transformers' exchangeable ones;
            DeBERTa's is its own code.

    Args:
        encoder: with its adapter applied.
        streams: that its dropout draws from.
    """

    def __init__(self, encoder: Encoder, streams: Streams) -> None:
        self.streams = streams
        self.modules: dict[str, Any] = dict(encoder.model.named_modules())
        self.targets = tuple(n for n, m in self.modules.items() if isinstance(m, LoraLinear))
        kind = encoder.model.config._attn_implementation
        self.stackable = kind in ALL_ATTENTION_FUNCTIONS
        self._attend: Any = ALL_ATTENTION_FUNCTIONS.get(kind)

    def attend(self, name: str, states: Sequence[torch.Tensor], **how: Any) -> torch.Tensor:
        """What attention ``name`` makes of query, key and value, as where the encoder is alone."""
        module = self.modules[name]
        # Most families keep the rate in a module, ModernBERT as a number.
        rate = getattr(module, "attention_dropout", None)
        rate = module.dropout.p if rate is None else rate
        with self.streams.turn():
            found: torch.Tensor = self._attend(
                module, *states, dropout=rate if module.training else 0.0, **how
            )[0]
        return found

    def drop(self, module: nn.Module, states: torch.Tensor) -> torch.Tensor:
        """What a dropout of the encoder makes of states; the identity draws nothing."""
        if not module.training or isinstance(module, nn.Identity):
            return states
        with self.streams.turn():
            found: torch.Tensor = module(states)
        return found


@dataclass(frozen=True)
class Block:
    """The rows of one branch in a pass.

    Attributes:
        branch: whose rows they are.
        states: (B, T, H) token vectors below the adapted layers.
        mask: (B, T) int64; 1 for a token, 0 for padding.
        whole: whether no row has padding.
    """

    branch: Branch
    states: torch.Tensor
    mask: torch.Tensor
    whole: bool

    @property
    def tokens(self) -> int:
        """B x T."""
        return self.mask.numel()

    @cached_property
    def _real(self) -> torch.Tensor:
        return self.mask[:, None, None, :].bool().expand(-1, -1, self.mask.shape[1], -1)

    def seen(self, window: int | None) -> torch.Tensor | None:
        """(B, 1, T, T), true where a token looks; None where everywhere.

        Args:
            window: tokens so far apart, or further, do not see each other; None sets no limit.
        """
        width = self.mask.shape[1]
        if window is None or width <= window:
            return None if self.whole else self._real
        column = torch.arange(width, device=self.mask.device)
        return self._real & ((column[:, None] - column).abs() < window)


class StackedEncoder(nn.Module):
    """The layers that branches adapt, once for all of them.

    The rows of all branches lie behind one another as one row of tokens, so that nothing is
    padded to a neighbour's length. What treats each token alone runs once over all of them:
    frozen matrices, norms, activations. Low-rank updates run as one batched product a matrix,
    padded to the largest rank and the longest block. Attention and dropout run block by block,
    in the shapes and from the random streams that they have where a branch is alone.

    A branch's numbers never meet another's: a NaN in one stays there.

    Args:
        encoder: fresh, of the shared backbone and depth; becomes part of this one.
        first: lowest layer that is adapted, from 0; those below are left out.
        targets: names of the adapted matrices, the same for all branches.
    """

    def __init__(self, encoder: Encoder, first: int, targets: Sequence[str]) -> None:
        super().__init__()
        self._now = _Pass()
        for name, module in list(encoder.model.named_modules()):
            parent, _, last = name.rpartition(".")
            if name in targets:
                replacement: nn.Module = _Adapted(module, name, self._now)
            elif isinstance(module, nn.Dropout):
                replacement = _Dropped(name, self._now)
            else:
                _PLACES[module] = (name, self._now)
                continue
            setattr(encoder.model.get_submodule(parent), last, replacement)
        encoder.model.config._attn_implementation = _NAME
        self.layers: Any = encoder.part(first, encoder.depth, embed=False).eval()

    def forward(self, blocks: Sequence[Block]) -> list[torch.Tensor]:
        """Each block's token vectors after the last layer, (B, T, H) each."""
        rows = [np.tile(np.arange(b.mask.shape[1]), len(b.mask)) for b in blocks]
        places = place(torch.from_numpy(np.concatenate(rows)), blocks[0].mask.device)
        flat = torch.cat([block.states.flatten(0, 1) for block in blocks])
        with self._now.over(blocks):
            found = self.layers(inputs_embeds=flat[None], position_ids=places[None])
            parts = self._now.each(found.last_hidden_state)
        return [part.view(*b.mask.shape, -1) for part, b in zip(parts, blocks, strict=True)]


class _Pass:
    """The blocks of the pass that is under way, for the parts that treat each of them apart."""

    def __init__(self) -> None:
        self.blocks: Sequence[Block] = ()

    @contextmanager
    def over(self, blocks: Sequence[Block]) -> Iterator[None]:
        self.blocks = blocks
        try:
            yield
        finally:
            self.blocks = ()

    def each(self, flat: torch.Tensor) -> Sequence[torch.Tensor]:
        """Each block's tokens, (1, tokens, ...) → (1, B x T, ...)."""
        return torch.split(flat, [block.tokens for block in self.blocks], dim=1)

    def parts(self, flat: torch.Tensor, name: str) -> Iterator[tuple[Block, Any, torch.Tensor]]:
        """Each block, what stands in the named place of its own encoder, and its tokens."""
        for block, states in zip(self.blocks, self.each(flat), strict=True):
            yield block, block.branch.modules[name], states


_PLACES: WeakKeyDictionary[nn.Module, tuple[str, _Pass]] = WeakKeyDictionary()


class _Dropped(nn.Module):
    """Each branch's own dropout for its own tokens."""

    def __init__(self, name: str, now: _Pass) -> None:
        super().__init__()
        self.name, self.now = name, now

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        parts = list(self.now.parts(states, self.name))
        dropped = [block.branch.drop(own, part) for block, own, part in parts]
        return torch.cat(dropped, dim=1)


class _Adapted(nn.Module):
    """A frozen matrix for all tokens, and each branch's low-rank update for its own."""

    def __init__(self, matrix: nn.Module, name: str, now: _Pass) -> None:
        super().__init__()
        self.matrix = matrix
        self.name, self.now = name, now

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.matrix(states)
        inputs, downs, ups, scales = [], [], [], []
        for block, own, part in self.now.parts(states, self.name):
            inputs.append(block.branch.drop(own.lora_dropout[_ADAPTER], part)[0])
            downs.append(own.lora_A[_ADAPTER].weight)
            ups.append(own.lora_B[_ADAPTER].weight.t())
            scales.append(own.scaling[_ADAPTER])
        low = torch.bmm(_padded(inputs), _padded(downs).transpose(1, 2))
        update = torch.bmm(low, _padded(ups))
        if len(set(scales)) == 1:
            update = update * scales[0]
        else:
            # In float32, as the product with a plain number is.
            factor = torch.tensor(scales, device=update.device)[:, None, None]
            update = (update * factor).to(update.dtype)
        return result + _unpadded(update, [len(part) for part in inputs])


def _padded(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """N matrices of (L, C) each as (N, longest L, C), filled up with zeros."""
    most = max(len(part) for part in parts)
    blank = parts[0].new_zeros(most - min(len(part) for part in parts), parts[0].shape[1])
    filled = [piece for part in parts for piece in (part, blank[: most - len(part)])]
    return torch.cat(filled).view(len(parts), most, -1)


def _unpadded(padded: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """The other way round, behind one another: (N, longest L, C) → (sum of L, C)."""
    most = padded.shape[1]
    sizes = [size for length in lengths for size in (length, most - length)]
    return torch.cat(torch.split(padded.flatten(0, 1), sizes)[::2])


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each row of each block: (1, heads, tokens, D) → (1, tokens, heads, D)."""
    name, now = _PLACES[module]
    found = []
    each = zip(*(now.each(states.transpose(1, 2)) for states in (query, key, value)), strict=True)
    for block, parts in zip(now.blocks, each, strict=True):
        rows = [part.view(*block.mask.shape, *part.shape[2:]).transpose(1, 2) for part in parts]
        seen = block.branch.attend(name, rows, attention_mask=block.seen(sliding_window), **others)
        found.append(seen.flatten(0, 1))
    return torch.cat(found)[None], None


AttentionInterface.register(_NAME, _attend)
