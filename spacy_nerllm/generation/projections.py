"""Matrices as what they do to states: as they are, or from 8 bits by what the CPU is best at."""

import platform
import warnings
from typing import Callable, Optional

import torch
from torch.nn.functional import linear

from .onednn import ONEDNN_IS_FAST, OneDnnInt8
from .weights import Weights

# On x86 without VNNI, pairs of products are added in 16 bits, and 8 bits times 8 would overflow.
_ADDS_IN_16_BITS = platform.machine() in ("x86_64", "AMD64") and not (
    torch.cpu.get_capabilities().get("avx512_vnni")
)


Projection = Callable[[torch.Tensor], torch.Tensor]


def projection(weights: Weights, name: str) -> Projection:
    """RETURNS (Projection): What a matrix does.

    weights (Weights): See `weights.fuse_weights`; matrices may be in 8 bits.
    name (str): The matrix.
    """
    matrix, scales, bias = (weights.get(key) for key in (name, f"{name}.scales", f"{name}.bias"))
    if scales is None:
        return Dense(matrix, bias)
    return (OneDnnInt8 if ONEDNN_IS_FAST else Int8)(matrix, scales, bias)


class Dense:
    """Multiplies with a matrix."""

    def __init__(self, weight: torch.Tensor, bias: Optional[torch.Tensor] = None) -> None:
        """weight (torch.Tensor): Of shape (out, in).
        bias (Optional[torch.Tensor]): Of shape (out).
        """
        self._weight = weight
        self._bias = bias

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        return linear(states, self._weight, self._bias)


class Int8:
    """Multiplies states, rounded to 8 bits, with a matrix of integers. Each state has a scale of
    its own: with one for all, F1 on CrossNER was 1.9 points lower.
    """

    def __init__(
        self, weight: torch.Tensor, scales: torch.Tensor, bias: Optional[torch.Tensor] = None
    ) -> None:
        """weight (torch.Tensor): Integers from -127 to 127, of shape (out, in).
        scales (torch.Tensor): Of the rows, float32, of shape (out).
        bias (Optional[torch.Tensor]): Of shape (out).
        """
        if _ADDS_IN_16_BITS:
            weight, scales = (weight / 2).round().to(torch.int8), scales * 2
        with warnings.catch_warnings():
            # Torch will replace its quantised tensors one day; here they only carry the integers
            # to where they are packed.
            warnings.simplefilter("ignore")
            zeros = torch.zeros(len(scales), dtype=torch.long)
            matrix = torch._make_per_channel_quantized_tensor(weight, scales, zeros, 0)
        self._packed = torch.ops.quantized.linear_prepack(matrix, None)
        self._bias = bias

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        # Faster by far than the norm that is the same.
        peaks = states.abs().amax(-1, keepdim=True).float()
        peaks.clamp_(min=torch.finfo(torch.float32).tiny)
        # It has one scale for all, which is the same for each when all reach 1.
        product = torch.ops.quantized.linear_dynamic(states / peaks, self._packed).mul_(peaks)
        return product if self._bias is None else product.add_(self._bias)


class Embedding:
    """Looks up rows of a matrix."""

    def __init__(self, weight: torch.Tensor, scales: Optional[torch.Tensor] = None) -> None:
        """weight (torch.Tensor): Of shape (vocabulary, hidden).
        scales (Optional[torch.Tensor]): Of the rows, if they are integers.
        """
        self._weight = weight
        self._scales = scales

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        if self._scales is None:
            return self._weight[ids]
        return self._weight[ids] * self._scales[ids, None]
