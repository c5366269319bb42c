"""Keys and values of the rows of a batch: that of position p of row r is at place p of row r."""

from typing import List, Tuple

import torch

# Places are added in steps of so many.
_STEP = 64

# Keys and values of one layer, each of shape (rows, heads, places, size).
Layer = Tuple[torch.Tensor, torch.Tensor]


class Store:
    """Rows that are written from their first position on. What stands behind the length of a row
    is of no account, and is written over: a guess is taken back by not counting it.
    """

    def __init__(
        self, layers: int, heads: int, size: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        """layers (int): How many layers the model has.
        heads (int): How many heads keys and values have.
        size (int): Size of a head.
        dtype (torch.dtype): Of keys and values.
        device (torch.device): Where they are.
        """
        empty = torch.empty((0, heads, 0, size), dtype=dtype, device=device)
        self._layers: List[Layer] = [(empty, empty)] * layers

    def reserve(self, rows: int, places: int) -> None:
        """Make sure that there is room. What is stored stays.

        rows (int): For how many rows.
        places (int): For how many positions in each.
        """
        had = self._layers[0][0]
        if rows <= had.shape[0] and places <= had.shape[2]:
            return
        rows, places = max(rows, had.shape[0]), max(-(-places // _STEP) * _STEP, had.shape[2])
        # Layer by layer, so that little is there twice.
        for number, layer in enumerate(self._layers):
            self._layers[number] = tuple(_grown(tensor, rows, places) for tensor in layer)

    def put(
        self,
        layer: int,
        rows: torch.Tensor,
        positions: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> None:
        """Store keys and values of tokens.

        layer (int): Of which layer.
        rows (torch.Tensor): Row of each token, of shape (tokens).
        positions (torch.Tensor): Position of each token, of shape (tokens).
        keys (torch.Tensor): Of shape (tokens, heads, size).
        values (torch.Tensor): Of shape (tokens, heads, size).
        """
        stored_keys, stored_values = self._layers[layer]
        stored_keys[rows, :, positions] = keys
        stored_values[rows, :, positions] = values

    def view(self, layer: int, first: int, rows: int, places: int) -> Layer:
        """RETURNS (Layer): The first places of some rows.

        layer (int): Of which layer.
        first (int): The first row.
        rows (int): How many.
        places (int): How many places of each.
        """
        keys, values = self._layers[layer]
        part = slice(first, first + rows)
        return keys[part, :, :places], values[part, :, :places]

    def fill(self, first: int, source: "Store", places: int) -> None:
        """Copy the first places of the first row of another store over those of some rows.

        first (int): The first row, and all behind it.
        source (Store): The other store.
        places (int): How many places.
        """
        for layer, from_layer in zip(self._layers, source._layers, strict=True):
            for tensor, from_tensor in zip(layer, from_layer, strict=True):
                tensor[first:, :, :places] = from_tensor[:1, :, :places]

    def copy(self, source: int, target: int, places: int) -> None:
        """Copy the first places of a row over those of another.

        source (int): The row.
        target (int): The other row.
        places (int): How many.
        """
        for layer in self._layers:
            for tensor in layer:
                tensor[target, :, :places] = tensor[source, :, :places]


def _grown(tensor: torch.Tensor, rows: int, places: int) -> torch.Tensor:
    had_rows, heads, had_places, size = tensor.shape
    # Not empty: a place that was never written is masked, but what it holds must be a number.
    grown = tensor.new_zeros((rows, heads, places, size))
    grown[:had_rows, :, :had_places] = tensor
    return grown
