"""Weights in 8 or 4 bits.

A matrix "name" becomes "name" in integers with "name.scales". In 8 bits a row has one scale (its
largest value becomes 127). In 4 bits each group of 32 columns has a scale and a least value, as in
GGUF's Q4_1; embeddings, which are looked up and not summed over, stay in 8.
"""

from typing import Literal, Optional

import torch

from .gptq import Grid, round_columns
from .weights import Weights

Bits = Literal["int8", "int4"]

# Those of the layers end so.
_MATRICES = ("qkv", "attention_out", "gate_up", "down")
_EMBEDDINGS = ("embedding", "head")
_NORM_BEFORE = {"qkv": "attention_norm", "gate_up": "mlp_norm"}

_GROUP = 32


def smoothing(weights: Weights, peaks: Weights) -> Weights:
    """Find how much smaller to make features that reach far, and by as much larger the columns
    that read them: the answers stay, and fewer digits are lost in 8 bits (SmoothQuant, Xiao et
    al., 2023, https://arxiv.org/abs/2211.10438).

    weights (Weights): In float32, see `weights.fuse_weights`.
    peaks (Weights): See `calibration.measure_peaks`.
    RETURNS (Weights): By matrix, of shape (in).
    """
    # What is always zero has nothing to lose.
    return {
        name: (peak.clamp(min=1e-4) / weights[name].abs().amax(0).clamp(min=1e-4)).sqrt()
        for name, peak in peaks.items()
    }


def smooth(weights: Weights, factors: Weights) -> Weights:
    """Make features smaller and columns larger. It costs nothing, since norms and the MLP's `up`
    scale too.

    weights (Weights): In float32, see `weights.fuse_weights`.
    factors (Weights): From `smoothing`.
    RETURNS (Weights): The weights, scaled.
    """
    scaled = dict(weights)
    for name, factor in factors.items():
        number, _, part = name.rpartition(".")
        scaled[name] = scaled[name] * factor
        if part == "down":
            gate, up = scaled[f"{number}.gate_up"].chunk(2)
            scaled[f"{number}.gate_up"] = torch.cat([gate, up / factor[:, None]])
        else:
            norm = f"{number}.{_NORM_BEFORE[part]}"
            scaled[norm] = scaled[norm] / factor
    return scaled


def smooth_moments(moments: Weights, factors: Weights) -> Weights:
    """RETURNS (Weights): The moments of features that were made smaller.

    moments (Weights): See `calibration.measure_moments`.
    factors (Weights): From `smoothing`.
    """
    return {
        name: moment / torch.outer(factors[name], factors[name]) if name in factors else moment
        for name, moment in moments.items()
    }


def quantize(weights: Weights, bits: Bits, moments: Optional[Weights] = None) -> Weights:
    """Round the matrices of a model.

    weights (Weights): In float32, see `weights.fuse_weights`.
    bits (Bits): "int8" or "int4".
    moments (Optional[Weights]): Of what the matrices read, see `calibration.measure_moments`: in 4
        bits those that have them are rounded by GPTQ.
    RETURNS (Weights): The weights to store.
    """
    quantized: Weights = {}
    for name, tensor in weights.items():
        part = name.rpartition(".")[2]
        if part in _MATRICES and bits == "int4":
            quantized.update(_to_int4(name, tensor, (moments or {}).get(name)))
        elif part in _MATRICES + _EMBEDDINGS:
            quantized.update(_to_int8(name, tensor))
        else:
            quantized[name] = tensor
    return quantized


def widen(weights: Weights) -> Weights:
    """Make 8-bit matrices of those in 4 bits: torch multiplies those faster on every processor.

    weights (Weights): From `quantize`.
    RETURNS (Weights): The weights as `quantize` makes them in 8 bits.
    """
    widened = dict(weights)
    for name, lowest in weights.items():
        if name.endswith(".lowest"):
            matrix = name.removesuffix(".lowest")
            scales = weights[f"{matrix}.scales"]
            widened.update(_to_int8(matrix, _from_int4(weights[matrix], scales, lowest)))
            del widened[name]
    return widened


def is_packed(name: str) -> bool:
    """RETURNS (bool): Whether a matrix is brought into another form before it is used.

    name (str): Its name.
    """
    return name.rpartition(".")[2] in _MATRICES


def _to_int8(name: str, matrix: torch.Tensor) -> Weights:
    scales = matrix.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
    integers = (matrix / scales[:, None]).round().to(torch.int8)
    return {name: integers, f"{name}.scales": scales}


def _to_int4(name: str, matrix: torch.Tensor, moments: Optional[torch.Tensor]) -> Weights:
    width = _group(matrix)
    if moments is None:
        moments = torch.eye(matrix.shape[1])
    steps, scales, lowest = round_columns(matrix, moments, width, _grid)
    integers = steps.to(torch.uint8)
    packed = integers[:, 0::2] | integers[:, 1::2] << 4
    return {name: packed, f"{name}.scales": scales.half(), f"{name}.lowest": lowest.half()}


def _grid(columns: torch.Tensor) -> Grid:
    """From the least to the largest value of each row, as float16 holds them."""
    lowest = columns.amin(1).half().float()
    scales = ((columns.amax(1) - lowest) / 15).clamp(min=1e-7).half().float()
    return Grid(scales, lowest)


def _from_int4(packed: torch.Tensor, scales: torch.Tensor, lowest: torch.Tensor) -> torch.Tensor:
    integers = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(1)
    groups = _grouped(integers.float())
    return (groups * scales[..., None].float() + lowest[..., None].float()).flatten(1)


def _grouped(matrix: torch.Tensor) -> torch.Tensor:
    """Of shape (out, groups, columns)."""
    return matrix.unflatten(1, (-1, _group(matrix)))


def _group(matrix: torch.Tensor) -> int:
    """How many columns are a group: all, if they are no multiple."""
    width = matrix.shape[1]
    return _GROUP if width % _GROUP == 0 else width
