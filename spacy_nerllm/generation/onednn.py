"""8-bit matrices by oneDNN's own operators, on processors that multiply 8 bits with 8 in 32.

On the matrix units of servers (AMX) they are three to five times as fast as torch's quantised
layers, and on the vector units of others (VNNI) up to half as fast again.
"""

from typing import Any, Optional, Tuple

import torch

_CPU = torch.cpu.get_capabilities()

HAS_AMX = bool(_CPU.get("amx_int8") and _CPU.get("amx_bf16"))

ONEDNN_IS_FAST = bool(
    (HAS_AMX or _CPU.get("avx512_vnni"))
    and torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.onednn, "qlinear_pointwise")
)

# AMX takes 16 states at a time, so that filling the last 16 up costs nothing. For each number of
# states oneDNN makes a program of its own, which takes as long as ten runs of it.
TILE = 16


class OneDnnInt8:
    """Multiplies states, rounded to 8 bits with a scale each, with a matrix of integers."""

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

    def __reduce__(self) -> Tuple[Any, ...]:
        """What oneDNN packed can't be pickled or copied."""
        weight = self._packed.to_dense().t().contiguous()
        return type(self), (weight, self._scales, self._bias)

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        peaks = states.abs().amax(-1, keepdim=True).float()
        steps = peaks.clamp_(min=torch.finfo(torch.float32).tiny).div_(127)
        # Unsigned, since oneDNN multiplies signed ones slowly where there is no AMX. What is cut
        # off is rounded to the nearest by the half.
        rounded = (states / steps).add_(128.5).to(torch.uint8)
        product = torch.ops.onednn.qlinear_pointwise(
            *(rounded, 1.0, 128, self._packed, self._scales, self._zeros),
            *(None, 1.0, 0, torch.float32, "none", [], ""),
        ).mul_(steps)
        return product if self._bias is None else product.add_(self._bias)
