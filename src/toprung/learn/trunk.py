"""The frozen side of a stack: one pass through what its trials have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.nn import functional

from toprung.core.errors import FixSpec, Problem
from toprung.learn.backbone.encoder import Encoder
from toprung.learn.backbone.stacked import Block, Branch, StackedEncoder
from toprung.learn.batches import Rows, collate
from toprung.learn.run import Run


class Trunk:
    """The frozen layers that the trials of a stack share, below their updates and around them.

    Args:
        run: of the first trial.
        branch: what it has of its own.
    """

    def __init__(self, run: Run, branch: Branch) -> None:
        self._facts = _facts(run, branch)
        self._model = run.texts.model
        self._half = run.plan.precision == "bfloat16"
        self._first = run.texts.model.encoder.frozen_layers
        self._embeddings = self._encoder(run).part(0, 0, embed=True)
        self._upper = StackedEncoder(self._encoder(run), self._first, branch.targets)

    def _encoder(self, run: Run) -> Encoder:
        encoder = Encoder(run.texts.backbone.encoder, run.texts.card, run.texts.depth)
        if self._half:
            encoder.halve()
        return encoder

    def check(self, run: Run, branch: Branch) -> None:
        """Raises FixSpec where a trial does not share all that it must."""
        ours, its = self._facts, _facts(run, branch)
        texts = [f"its {name} is {its[name]}, that of the others {ours[name]}."
                 for name in ours if ours[name] != its[name]]  # fmt: skip
        if texts:
            raise FixSpec(run.config.trial, [Problem("adapter", text) for text in texts])

    def blocks(self, asked: Sequence[tuple[Run, Branch, Rows]]) -> list[Block]:
        """Each trial's rows below the adapted layers, cached or computed in one pass for all."""
        found: list[tuple[torch.Tensor, torch.Tensor] | None] = []
        fresh: list[tuple[torch.Tensor, torch.Tensor]] = []
        for run, _, rows in asked:
            inputs = run.texts.fed
            found.append(inputs.states(run.texts.model, rows) if self._first else None)
            if found[-1] is None:
                fresh.append(collate(inputs.tokens, rows, inputs.padding, inputs.device))
        computed = iter(self._below(fresh))
        blocks: list[Block] = []
        for (run, branch, rows), pair in zip(asked, found, strict=True):
            states, mask = next(computed) if pair is None else pair
            lengths = run.texts.fed.tokens.lengths[rows]
            whole = bool((lengths == mask.shape[1]).all())
            blocks.append(Block(branch, states.float(), mask, whole))
        return blocks

    def _below(
        self, fresh: Sequence[tuple[torch.Tensor, torch.Tensor]]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if not fresh:
            return
        width = max(mask.shape[1] for _, mask in fresh)
        ids, masks = (
            torch.cat([functional.pad(both[i], (0, width - both[i].shape[1])) for both in fresh])
            for i in (0, 1)
        )
        states = torch.split(self._lower(ids, masks), [len(mask) for _, mask in fresh])
        for part, (_, mask) in zip(states, fresh, strict=True):
            yield part[:, : mask.shape[1]], mask

    def _lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self._first:
            return self._model.lower(ids, mask)
        with torch.no_grad(), self._autocast(ids.device):
            states: torch.Tensor = self._embeddings(
                input_ids=ids, attention_mask=mask
            ).last_hidden_state
        return states

    def upper(self, blocks: Sequence[Block]) -> list[torch.Tensor]:
        """Each trial's token vectors after the last layer."""
        with self._autocast(blocks[0].mask.device):
            found: list[torch.Tensor] = self._upper(blocks)
        return found

    def _autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self._half)


def _facts(run: Run, branch: Branch) -> dict[str, object]:
    return {
        "backbone": run.texts.card.name,
        "weights' SHA-256": run.texts.backbone.sha256,
        "depth": run.texts.model.encoder.depth,
        "number of adapted matrices": len(branch.targets),
        "lowest adapted layer": run.texts.model.encoder.frozen_layers,
    }
