"""Keys and values of the rows of a batch: that of position p of row r is at place p of row r."""

import math
import mmap
from typing import Tuple

import torch

# A forked process gets a copy, as of any other memory.
_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


class Store:
    """Rows that are written from their first position on. What stands behind the length of a row
    is of no account, and is written over: a guess is taken back by not counting it.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        heads: int,
        places: int,
        size: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """layers (int): How many layers the model has.
        rows (int): How many rows there are at the most.
        heads (int): How many heads keys and values have.
        places (int): How many positions a row has.
        size (int): Size of a head.
        dtype (torch.dtype): Of keys and values.
        device (torch.device): Where they are.
        """
        # Of each layer, the heads of keys, then those of values. Zeros, since what is masked must
        # still be a number.
        shape = (rows, 2 * heads, places, size)
        self._layers = [_zeros(shape, dtype, device) for _ in range(layers)]

    @property
    def rows(self) -> int:
        """RETURNS (int): How many rows there are."""
        return self._layers[0].shape[0]

    @property
    def places(self) -> int:
        """RETURNS (int): How many positions a row has."""
        return self._layers[0].shape[2]

    def resize(self, rows: int, places: int) -> None:
        """Make room, or take it back. What is stored in rows and places that stay is kept.

        rows (int): For how many rows.
        places (int): For how many positions of each.
        """
        kept = (slice(min(rows, self.rows)), slice(None), slice(min(places, self.places)))
        # Layer by layer, so that little is there twice.
        for number, layer in enumerate(self._layers):
            shape = (rows, layer.shape[1], places, layer.shape[3])
            resized = _zeros(shape, layer.dtype, layer.device)
            resized[kept] = layer[kept]
            self._layers[number] = resized

    def put(
        self, layer: int, rows: torch.Tensor, positions: torch.Tensor, both: torch.Tensor
    ) -> None:
        """Store keys and values of tokens.

        layer (int): Of which layer.
        rows (torch.Tensor): Row of each token, of shape (tokens).
        positions (torch.Tensor): Position of each token, of shape (tokens).
        both (torch.Tensor): Heads of keys, then of values, of shape (tokens, 2 * heads, size).
        """
        self._layers[layer][rows, :, positions] = both

    def view(
        self, layer: int, first: int, rows: int, places: int
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """RETURNS (Tuple[torch.Tensor, torch.Tensor]): Keys and values at the first places of some
            rows, each of shape (rows, heads, places, size).

        layer (int): Of which layer.
        first (int): The first row.
        rows (int): How many.
        places (int): How many places of each.
        """
        both = self._layers[layer][first : first + rows, :, :places]
        heads = both.shape[1] // 2
        return both[:, :heads], both[:, heads:]

    def fill(self, first: int, source: "Store", places: int) -> None:
        """Copy the first places of the first row of another store over those of some rows.

        first (int): The first row, and all behind it.
        source (Store): The other store.
        places (int): How many places.
        """
        for layer, from_layer in zip(self._layers, source._layers, strict=True):
            layer[first:, :, :places] = from_layer[:1, :, :places]

    def copy(self, source: int, target: int, places: int) -> None:
        """Copy the first places of a row over those of another.

        source (int): The row.
        target (int): The other row.
        places (int): How many.
        """
        for layer in self._layers:
            layer[target, :, :places] = layer[source, :, :places]


def _zeros(shape: Tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Zeros. On the CPU in pages of their own, which go back to the system when they are let go,
    and are only taken when they are written to: in the heap, resized layers left 200 MB of holes.
    """
    size = math.prod(shape) * dtype.itemsize
    if device.type != "cpu" or not size:
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.frombuffer(mmap.mmap(-1, size, **_PRIVATE), dtype=dtype).view(shape)
