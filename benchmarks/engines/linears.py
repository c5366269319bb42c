"""torch's own operators for linear layers in 4 and 8 bits: milliseconds for all fused linear layers
of SmolLM2-135M (queries, keys and values in one, gate and up in one), by rows of input.
"""

import time
from typing import Annotated, Callable, Dict, List, Optional

import torch
import torch.nn.functional as F
import typer
from wasabi import msg
from workload import REPEATS, THREADS

LAYERS = 30
SHAPES = [(576, 960), (576, 576), (576, 3072), (1536, 576)]
ROWS = [1, 12, 96, 1024]
GROUP = 64
Linear = Callable[[torch.Tensor], torch.Tensor]


def fp32(weight: torch.Tensor) -> Linear:
    return lambda x: F.linear(x, weight)


def bf16(weight: torch.Tensor) -> Linear:
    rounded = weight.bfloat16()
    return lambda x: F.linear(x.bfloat16(), rounded)


def int8_fbgemm(weight: torch.Tensor) -> Linear:
    torch.backends.quantized.engine = "fbgemm"
    scale = weight.abs().amax(1) / 127
    zero = torch.zeros(len(weight), dtype=torch.long)
    stored = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(stored, None)
    return lambda x: torch.ops.quantized.linear_dynamic(x, packed, True)


def int8_weight_only(weight: torch.Tensor) -> Linear:
    scale = weight.abs().amax(1) / 127
    stored = (weight / scale[:, None]).round().to(torch.int8)
    scale = scale.bfloat16()
    return lambda x: torch.ops.aten._weight_int8pack_mm(x.bfloat16(), stored, scale)


def int4_weight_only(weight: torch.Tensor) -> Linear:
    groups, low, scale = _grouped(weight)
    stored = ((groups - low) / scale).round().clamp(0, 15).to(torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(stored.reshape(weight.shape), 1)
    middle = low + 8 * scale
    both = torch.cat([scale, middle], 2).transpose(0, 1).contiguous().bfloat16()
    return lambda x: torch.ops.aten._weight_int4pack_mm_for_cpu(x.bfloat16(), packed, GROUP, both)


def int4_dynamic(weight: torch.Tensor) -> Linear:
    out_width, in_width = weight.shape
    groups = weight.reshape(out_width, -1, GROUP)
    scale = groups.abs().amax(2, keepdim=True) / 7
    stored = ((groups / scale).round() + 8).clamp(0, 15).to(torch.uint8).reshape(weight.shape)
    pairs = stored[:, 1::2] << 4 | stored[:, ::2]
    packed = torch.ops.aten._dyn_quant_pack_4bit_weight(
        pairs, scale.squeeze(2).bfloat16(), None, GROUP, in_width, out_width
    )
    return lambda x: torch.ops.aten._dyn_quant_matmul_4bit(x, packed, GROUP, in_width, out_width)


def _grouped(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    groups = weight.reshape(len(weight), -1, GROUP)
    low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
    return groups, low, (high - low) / 15


def measure(kind: Callable[[torch.Tensor], Linear]) -> List[float]:
    """RETURNS (List[float]): Median of milliseconds, for each of ROWS."""
    layers = [
        (width, kind(torch.randn(out, width) / 24)) for _ in range(LAYERS) for width, out in SHAPES
    ]
    found = []
    for rows in ROWS:
        inputs = {width: torch.randn(rows, width) for width, _ in SHAPES}
        seconds = []
        for _ in range(REPEATS + 1):
            begin = time.perf_counter()
            for width, linear in layers:
                linear(inputs[width])
            seconds.append(time.perf_counter() - begin)
        found.append(round(1000 * sorted(seconds[1:])[REPEATS // 2], 1))
    return found


def error(kind: Callable[[torch.Tensor], Linear]) -> float:
    """RETURNS (float): Relative error of its products."""
    weight, x = torch.randn(576, 576) / 24, torch.randn(12, 576)
    exact = F.linear(x, weight)
    return round(float((kind(weight)(x).float() - exact).norm() / exact.norm()), 4)


@torch.inference_mode()
def main(
    names: Annotated[
        Optional[List[str]], typer.Argument(help="Which operators; all if none")
    ] = None,
) -> None:
    torch.set_num_threads(THREADS)
    kinds: Dict[str, Callable[[torch.Tensor], Linear]] = {
        kind.__name__: kind
        for kind in (fp32, bf16, int8_fbgemm, int8_weight_only, int4_weight_only, int4_dynamic)
    }
    rows = [(name, *measure(kinds[name]), error(kinds[name])) for name in names or list(kinds)]
    msg.table(rows, header=("operator", *ROWS, "error"), divider=True, aligns=("l", *"rrrrr"))


if __name__ == "__main__":
    typer.run(main)
