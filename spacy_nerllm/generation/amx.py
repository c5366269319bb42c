"""8-bit matrices on the matrix units of servers (AMX), by oneDNN's own operators.

The units multiply bfloat16 two to four times faster than vector units multiply 8 bits, and states
need not be rounded to 8 bits, which takes as long again: see benchmarks/engines. So matrices are
widened to bfloat16 when they are loaded, which 8 bits with a scale fit into.
"""

from typing import Optional

import torch

_CPU = torch.cpu.get_capabilities()

HAS_AMX = bool(
    _CPU.get("amx_bf16")
    and _CPU.get("amx_int8")
    and torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and hasattr(torch.ops.onednn, "qlinear_pointwise")
)

# A unit takes 16 states at a time, so that filling the last 16 up costs nothing. For each number of
# states oneDNN makes a program of its own, which takes as long as ten runs of it.
_TILE = 16

# Beyond so many states there are few passes, and more states in each to share a step among.
_LARGE = 512

# How many states oneDNN is to arrange matrices for.
_USUAL_STATES = 64


def _in_tiles(states: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """States as another type, with any values behind them."""
    count = len(states)
    step = _TILE if count < _LARGE else 8 * _TILE
    filled = states.new_empty((-(-count // step) * step, states.shape[1]), dtype=dtype)
    filled[:count] = states
    return filled


class Bfloat16Matrix:
    """Multiplies in bfloat16. Implements `projections.Projection`."""

    dtype = torch.bfloat16

    def __init__(
        self, weight: torch.Tensor, scales: torch.Tensor, bias: Optional[torch.Tensor] = None
    ) -> None:
        """weight (torch.Tensor): Integers, of shape (out, in).
        scales (torch.Tensor): Of the rows, float32, of shape (out).
        bias (Optional[torch.Tensor]): Of shape (out).
        """
        widened = (weight * scales[:, None]).to(self.dtype)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(widened, _USUAL_STATES)
        self._bias = None if bias is None else bias.to(self.dtype)

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        filled = _in_tiles(states, self.dtype)
        product = torch.ops.mkldnn._linear_pointwise(
            filled, self._packed, self._bias, "none", [], ""
        )
        return product[: len(states)]


class Int8Matrix:
    """Multiplies states, rounded to 8 bits with a scale each, in 8 bits. Implements
    `projections.Projection`.
    """

    dtype = torch.float32

    def __init__(
        self, weight: torch.Tensor, scales: torch.Tensor, bias: Optional[torch.Tensor] = None
    ) -> None:
        """weight (torch.Tensor): Integers from -127 to 127, of shape (out, in).
        scales (torch.Tensor): Of the rows, float32, of shape (out).
        bias (Optional[torch.Tensor]): Of shape (out).
        """
        self._packed = torch.ops.onednn.qlinear_prepack(weight, None)
        self._scales = scales
        self._zeros = torch.zeros(len(scales), dtype=torch.long)
        self._bias = bias

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        peaks = torch.linalg.vector_norm(states, float("inf"), dim=-1, keepdim=True)
        steps = peaks.clamp_(min=torch.finfo(torch.float32).tiny) / 127
        # Unsigned, since oneDNN multiplies signed ones slowly on other processors.
        rounded = _in_tiles((states / steps).round_().add_(128), torch.uint8)
        product = torch.ops.onednn.qlinear_pointwise(
            *(rounded, 1.0, 128, self._packed, self._scales, self._zeros, None),
            *(1.0, 0, self.dtype, "none", [], ""),
        )
        product = product[: len(states)].mul_(steps)
        return product if self._bias is None else product.add_(self._bias)
