"""Runs a model of Llama's kind over runs of tokens of many rows at once, in few operations.

The tokens of all rows stand one behind the other, so that none is padding; only attention sees
rows. Each operation on two cores costs some microseconds whatever its size: they are as few as
the model allows.
"""

import math
from typing import NamedTuple, Optional, Sequence

import torch
from torch.nn.functional import pad, rms_norm, scaled_dot_product_attention, silu

from .onednn import HAS_AMX, TILE
from .projections import Embedding, Projection, projection
from .store import Store
from .weights import Shape, Weights


class Layer(NamedTuple):
    """A layer of a model.

    attention_norm (torch.Tensor): What states of length 1 are multiplied by before attention.
    qkv (Projection): To queries, keys and values.
    head_norm (Optional[torch.Tensor]): Weights of the norms of queries and keys, of shape
        (heads + kv_heads, head_size), if it has them.
    attention_out (Projection): From the heads.
    mlp_norm (torch.Tensor): What states of length 1 are multiplied by before the MLP.
    gate_up (Projection): To the MLP's gate and its values.
    down (Projection): From the MLP.
    """

    attention_norm: torch.Tensor
    qkv: Projection
    head_norm: Optional[torch.Tensor]
    attention_out: Projection
    mlp_norm: torch.Tensor
    gate_up: Projection
    down: Projection


class Run(NamedTuple):
    """New tokens of a row.

    tokens (Sequence[int]): Their ids.
    start (int): Position of the first.
    """

    tokens: Sequence[int]
    start: int


class _Pass(NamedTuple):
    """Where the tokens of a pass stand. Some of no account may stand behind them.

    rows (torch.Tensor): Row of each token.
    positions (torch.Tensor): Position of each token.
    padded (torch.Tensor): Token at each place of each run, of shape (runs, longest).
    flat (torch.Tensor): Index of each token in `padded`, seen as one row; any behind them.
    mask (torch.Tensor): What each query must not see, of shape (runs, 1, groups * longest, places).
    turns (torch.Tensor): What the pairs of features are turned by, complex numbers of shape
        (tokens, heads + 2 * kv_heads, head_size / 2).
    """

    rows: torch.Tensor
    positions: torch.Tensor
    padded: torch.Tensor
    flat: torch.Tensor
    mask: torch.Tensor
    turns: torch.Tensor


class Network:
    """A model. Its weights may be quantised: it knows only what they do."""

    def __init__(self, weights: Weights, shape: Shape) -> None:
        """weights (Weights): See `weights.fuse_weights`; matrices may be in 8 bits.
        shape (Shape): Its shape.
        """
        self.shape = shape
        self._layers = [_layer(weights, number) for number in range(shape.layers)]
        self._embed = Embedding(weights["embedding"], weights.get("embedding.scales"))
        self._head = projection(weights, "head" if "head" in weights else "embedding")
        self._norm = _gain(weights["norm"])
        # What attention is computed in.
        on_amx = HAS_AMX and "0.qkv.scales" in weights
        self._dtype = torch.bfloat16 if on_amx else weights["norm"].dtype
        self._tile = TILE if on_amx else 1
        # Of rotary positions (Su et al., 2021, https://arxiv.org/abs/2104.09864).
        self._frequencies = weights["frequencies"]
        self.device = self._norm.device
        self._least_norm = self._norm.new_tensor(math.sqrt(len(self._norm) * shape.epsilon))

    def new_store(self, rows: int, places: int) -> Store:
        """RETURNS (Store): An empty store.

        rows (int): How many rows there are at the most.
        places (int): How many tokens a row has at the most.
        """
        shape = self.shape
        return Store(
            shape.layers, rows, shape.kv_heads, places, shape.head_size, self._dtype, self.device
        )

    def states(self, runs: Sequence[Run], store: Store, first: int) -> torch.Tensor:
        """Run the layers over new tokens, and store their keys and values.

        runs (Sequence[Run]): Those of neighbouring rows.
        store (Store): What came before them.
        first (int): The row of the first run.
        RETURNS (torch.Tensor): States behind the last layer, of shape (tokens, hidden).
        """
        tokens = [token for run in runs for token in run.tokens]
        count = len(tokens)
        plan = self._plan(runs, first, self._filled(count))
        tokens += [0] * (self._filled(count) - count)
        states = self._embed(torch.tensor(tokens, device=self.device))
        for number, layer in enumerate(self._layers):
            attended = self._attend(number, layer, states, plan, store, first)
            states += layer.attention_out(attended)
            states += self._mlp(layer, states)
        return states[:count]

    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """RETURNS (torch.Tensor): Scores of what follows, of shape (states, vocabulary), float32.

        states (torch.Tensor): From `states`, of shape (states, hidden).
        """
        count = len(states)
        filled = pad(states, (0, 0, 0, self._filled(count) - count))
        return self._head(self._normed(filled, self._norm))[:count].float()

    def _filled(self, count: int) -> int:
        """How many states are best run together, where there are so many."""
        # In large passes a share in the states is less of the whole.
        large = self._tile > 1 and count >= 32 * self._tile
        step = 8 * self._tile if large else self._tile
        return -(-count // step) * step

    def _plan(self, runs: Sequence[Run], first: int, size: int) -> _Pass:
        lengths = torch.tensor([len(run.tokens) for run in runs], device=self.device)
        starts = torch.tensor([run.start for run in runs], device=self.device)
        longest = int(lengths.max())
        steps = torch.arange(longest, device=self.device)
        inside = steps < lengths[:, None]
        padded = (lengths.cumsum(0) - lengths)[:, None] + steps
        at = starts[:, None] + steps
        places = torch.arange(int((starts + lengths).max()), device=self.device)
        unseen = places > at[:, :, None]
        groups = self.shape.heads // self.shape.kv_heads
        mask = torch.zeros(unseen.shape, dtype=self._dtype, device=self.device)
        mask = mask.masked_fill_(unseen, float("-inf")).repeat(1, groups, 1)[:, None]
        rows = torch.arange(first, first + len(runs), device=self.device)
        positions = at[inside]
        behind = (0, size - len(positions))
        angles = pad(positions, behind)[:, None, None] * self._frequencies
        return _Pass(
            rows=rows[:, None].expand(-1, longest)[inside],
            positions=positions,
            # Behind a run stands any token.
            padded=padded.clamp(max=int(lengths.sum()) - 1),
            flat=pad(inside.flatten().nonzero().squeeze(1), behind),
            mask=mask,
            turns=self._turns(angles),
        )

    def _turns(self, angles: torch.Tensor) -> torch.Tensor:
        """For queries and keys the angle; values are multiplied by 1."""
        shape = self.shape
        turns = torch.polar(torch.full_like(angles, shape.rope_scale), angles)
        still = torch.ones_like(turns).expand(-1, shape.kv_heads, -1)
        return torch.cat([turns.expand(-1, shape.heads + shape.kv_heads, -1), still], dim=1)

    def _attend(
        self, number: int, layer: Layer, states: torch.Tensor, plan: _Pass, store: Store, first: int
    ) -> torch.Tensor:
        shape = self.shape
        heads = layer.qkv(self._normed(states, layer.attention_norm))
        heads = heads.view(len(states), -1, shape.head_size)
        if layer.head_norm is not None:
            turning = heads[:, : len(layer.head_norm)]
            turning.copy_(
                rms_norm(turning, (shape.head_size,), eps=shape.epsilon) * layer.head_norm
            )
        turned = _turn(heads, plan.turns).to(self._dtype)
        queries, both = turned[:, : shape.heads], turned[: len(plan.rows), shape.heads :]
        store.put(number, plan.rows, plan.positions, both)
        keys, values = store.view(number, first, len(plan.padded), plan.mask.shape[-1])
        return self._mix(queries, keys, values, plan)

    def _mix(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, plan: _Pass
    ) -> torch.Tensor:
        """Attention. The heads that share a key stand below each other as if they were one run, so
        that no key is repeated.
        """
        shape = self.shape
        runs, longest = plan.padded.shape
        groups = shape.heads // shape.kv_heads
        split = (runs, longest, shape.kv_heads, groups, shape.head_size)
        padded = queries[plan.padded.flatten()].view(split).permute(0, 2, 3, 1, 4)
        joined = padded.reshape(runs, shape.kv_heads, groups * longest, shape.head_size)
        mixed = scaled_dot_product_attention(joined, keys, values, attn_mask=plan.mask)
        mixed = mixed.view(runs, shape.kv_heads, groups, longest, shape.head_size)
        mixed = mixed.permute(0, 3, 1, 2, 4).reshape(runs * longest, -1)
        return mixed[plan.flat]

    def _mlp(self, layer: Layer, states: torch.Tensor) -> torch.Tensor:
        both = layer.gate_up(self._normed(states, layer.mlp_norm))
        half = both.shape[1] // 2
        return layer.down(silu(both[:, :half]).mul_(both[:, half:]))

    def _normed(self, states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """As `rms_norm`, which takes twice as long. In float32, whatever the states are in."""
        norms = torch.linalg.vector_norm(states, dim=-1, keepdim=True, dtype=torch.float32)
        return (states / norms.hypot_(self._least_norm)).mul_(weight).to(states.dtype)


def _gain(weight: torch.Tensor) -> torch.Tensor:
    """What to multiply states of length 1 by, from the weights of their norm."""
    return weight.float() * math.sqrt(len(weight))


def _turn(heads: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Turn pairs of neighbouring features by the angles of their position, in float32."""
    pairs = torch.view_as_complex(heads.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2)


def _layer(weights: Weights, number: int) -> Layer:
    return Layer(
        attention_norm=_gain(weights[f"{number}.attention_norm"]),
        qkv=projection(weights, f"{number}.qkv"),
        head_norm=weights.get(f"{number}.head_norm"),
        attention_out=projection(weights, f"{number}.attention_out"),
        mlp_norm=_gain(weights[f"{number}.mlp_norm"]),
        gate_up=projection(weights, f"{number}.gate_up"),
        down=projection(weights, f"{number}.down"),
    )
