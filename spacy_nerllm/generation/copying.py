"""Greedy decoding that checks several guessed tokens in one pass, over a whole batch.

Speculative decoding (Leviathan et al., 2023, https://arxiv.org/abs/2211.17192) with drafts that are
copied from the text and not generated: a pass over eight tokens costs little more than one over
one. Each answer of a batch goes on at its own pace, and what was guessed wrong stays in the cache,
masked, until it is packed away. The answers are those of plain greedy decoding, token for token.
"""

from typing import List, Sequence, Tuple

import torch
from transformers import DynamicCache, PreTrainedModel

from .writing import Writing

# The cache is packed when more than this part of it is masked.
_WASTE = 0.15


class _Row:
    """An answer in a batch.

    writing (Writing): The answer.
    run (List[int]): The tokens of the next pass: some that are certain, then those guessed.
    guessed (int): How many are guessed.
    position (int): Of the first token of the run.
    """

    def __init__(self, writing: Writing, prompt: List[int]) -> None:
        self.writing = writing
        self.run = prompt
        self.guessed = 0
        self.position = 0


class CopyingDecoder:
    """Decodes batches with one model."""

    def __init__(self, model: PreTrainedModel) -> None:
        """model (PreTrainedModel): A causal language model."""
        self._decoder = model.get_decoder()
        self._head = model.get_output_embeddings()
        self._device = model.device
        # How many forward passes there were.
        self.passes = 0

    def write(self, writings: Sequence[Writing], prompts: Sequence[List[int]]) -> None:
        """Write answers to their ends.

        writings (Sequence[Writing]): The answers, not begun.
        prompts (Sequence[List[int]]): Token ids of their prompts.
        """
        rows = [_Row(*pair) for pair in zip(writings, prompts, strict=True)]
        cache = DynamicCache()
        mask = torch.zeros((len(rows), 0), dtype=torch.long, device=self._device)
        while rows:
            scores, mask = self._forward(rows, cache, mask)
            width = max(len(row.run) for row in rows)
            kept = []
            for index, (row, of_row) in enumerate(zip(rows, scores, strict=True)):
                certain = len(row.run) - row.guessed + _choose(row, of_row)
                mask[index, mask.shape[1] - width + certain :] = 0
                row.position += certain
                if not row.writing.ended:
                    kept.append(index)
                    guess = row.writing.propose(_most_guessed(len(rows)))
                    row.run, row.guessed = [row.writing.tokens[-1], *guess], len(guess)
            if kept and len(kept) < len(rows):
                chosen = torch.tensor(kept, device=self._device)
                cache.batch_select_indices(chosen)
                mask = mask[chosen]
            rows = [rows[index] for index in kept]
            mask = _pack(cache, mask) if rows else mask

    def _forward(
        self, rows: List[_Row], cache: DynamicCache, mask: torch.Tensor
    ) -> Tuple[List[torch.Tensor], torch.Tensor]:
        """Run all rows, and score what follows the last certain token and each guessed one.

        RETURNS (Tuple[List[torch.Tensor], torch.Tensor]): For each row scores of shape
            (1 + guessed, vocabulary), and the mask of the cache, of shape (rows, length).
        """
        width = max(len(row.run) for row in rows)
        padding = [width - len(row.run) for row in rows]
        ids = [row.run + [row.run[-1]] * more for row, more in zip(rows, padding, strict=True)]
        valid = [[1] * (width - more) + [0] * more for more in padding]
        positions = [list(range(row.position, row.position + width)) for row in rows]
        mask = torch.cat([mask, torch.tensor(valid, device=self._device)], dim=1)
        output = self._decoder(
            input_ids=torch.tensor(ids, device=self._device),
            attention_mask=mask,
            position_ids=torch.tensor(positions, device=self._device),
            past_key_values=cache,
            use_cache=True,
        )
        self.passes += 1
        states = [
            state[len(row.run) - 1 - row.guessed : len(row.run)]
            for row, state in zip(rows, output.last_hidden_state, strict=True)
        ]
        scores = self._head(torch.cat(states)).float()
        return list(scores.split([1 + row.guessed for row in rows])), mask


def _most_guessed(rows: int) -> int:
    """How many tokens to guess for each answer: in a large batch a wasted one costs its full price,
    where a small one waits for the weights anyway.
    """
    return 12 if rows < 4 else 8


def _choose(row: _Row, scores: torch.Tensor) -> int:
    """Write on as far as the guesses hold, and one token beyond. How many of them held."""
    guesses = row.run[len(row.run) - row.guessed :]
    for held, guess in enumerate(guesses):
        if row.writing.choose(scores[held]) != guess or row.writing.ended:
            return held
    row.writing.choose(scores[-1])
    return len(guesses)


def _pack(cache: DynamicCache, mask: torch.Tensor) -> torch.Tensor:
    """Take masked places out of the cache, where they are many. Attention does not mind the order
    of the others, since each has its position in it.
    """
    used = int(mask.sum(1).max())
    if mask.shape[1] * (1 - _WASTE) <= used:
        return mask
    order = mask.argsort(dim=1, descending=True, stable=True)[:, :used]
    for layer in cache.layers:
        _, heads, _, size = layer.keys.shape
        index = order[:, None, :, None].expand(-1, heads, -1, size)
        layer.keys, layer.values = layer.keys.gather(2, index), layer.values.gather(2, index)
    return mask.gather(1, order)
