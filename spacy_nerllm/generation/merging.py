"""From base and adapter to a model that runs: merged, and on the CPU in 8 or 4 bits.

A quantised model is made once and kept; from then on nothing is built in float32.
"""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any, Iterable, List, NamedTuple, Optional, Tuple

import torch

from ..errors import Errors, Warnings
from .cache import cache_dir, file_sha256, keep
from .calibration import measure_moments, measure_peaks
from .checkpoints import Base
from .network import Network
from .quantization import Bits, is_packed, quantize, smooth, smooth_moments, smoothing, widen
from .weights import Shape, Weights, check_family, fuse_weights, shape_of

logger = logging.getLogger("spacy_nerllm")

# Of the stored form. A change raises it, so that what is kept is made again.
_FORMAT = 3

# Every trained adapter leaves a quantised model behind: so many are kept, those last used.
_MODELS_KEPT = 8

_FILE = "model.safetensors"


class Precision(NamedTuple):
    """What a model runs in.

    device (str): A device of torch.
    dtype (torch.dtype): Of the states, and of the weights that are not quantised.
    bits (Optional[Bits]): Of the matrices: "int8", "int4", or None as dtype.
    """

    device: str
    dtype: torch.dtype
    bits: Optional[Bits]


def choose_precision(device: str, dtype: str, bits: str) -> Precision:
    """Resolve settings.

    device (str): "auto" for the GPU if there is one, or a device of torch.
    dtype (str): "auto" for bfloat16 on a GPU that has it and float32 elsewhere, or a dtype of
        torch by name.
    bits (str): "int8", "int4" or "none" for the matrices; "auto" for "int8" on the CPU if dtype is
        "auto" too.
    RETURNS (Precision): What they mean here.
    RAISES (ValueError): If matrices are to be quantised where they cannot be.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = torch.device(device).type
    if bits == "auto":
        bits = "int8" if kind == "cpu" and dtype == "auto" else "none"
    if bits == "none":
        return Precision(device, _choose_dtype(dtype, kind), None)
    if kind != "cpu" or dtype not in ("auto", "float32"):
        raise ValueError(Errors.E029.format(bits=bits, device=device, dtype=dtype))
    return Precision(device, torch.float32, bits)


def _choose_dtype(dtype: str, kind: str) -> torch.dtype:
    if dtype != "auto":
        return getattr(torch, dtype)
    on_gpu = kind == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if on_gpu else torch.float32


def load_network(
    base: Base, adapter: Path, precision: Precision, examples: Iterable[List[int]]
) -> Network:
    """Load a base with an adapter merged into it.

    base (Base): The base model.
    adapter (Path): The adapter's folder.
    precision (Precision): What it is to run in.
    examples (Iterable[List[int]]): Token ids of prompts with answers, by which it is quantised.
    RETURNS (Network): The model.
    RAISES (ValueError): If it is of a family that cannot be run.
    """
    if precision.bits is None:
        model = merge(base, adapter)
        return Network(_cast(fuse_weights(model), precision), shape_of(model))
    try:
        weights, shape = read_quantized(_keep_quantized(base, adapter, precision.bits, examples))
    except PermissionError as error:
        logger.warning(Warnings.W009.format(problem=error))
        weights, shape = _quantized(base, adapter, precision.bits, examples)
    return Network(widen(weights), shape)


def merge(base: Base, adapter: Path) -> Any:
    """Merge an adapter into its base, in float32: a rounded weight changes answers.

    base (Base): The base model.
    adapter (Path): The adapter's folder.
    RETURNS (PreTrainedModel): The model.
    RAISES (ValueError): If it is of a family that cannot be run.
    """
    # Here, since what is kept needs neither, and they take 90 MB and a second.
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    check_family(AutoConfig.from_pretrained(base.path))
    model = AutoModelForCausalLM.from_pretrained(
        base.path, dtype=torch.float32, use_safetensors=True
    )
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().eval()


def _cast(weights: Weights, precision: Precision) -> Weights:
    cast = {name: tensor.to(precision.device, precision.dtype) for name, tensor in weights.items()}
    # Angles of far positions need all their digits.
    cast["frequencies"] = weights["frequencies"].to(precision.device, torch.float32)
    return cast


def _quantized(
    base: Base, adapter: Path, bits: Bits, examples: Iterable[List[int]]
) -> Tuple[Weights, Shape]:
    logger.info("Merging and quantising %s (once)", base.id)
    model, examples = merge(base, adapter), list(examples)
    weights = fuse_weights(model)
    factors = smoothing(weights, measure_peaks(model, examples))
    moments = measure_moments(model, examples) if bits == "int4" else {}
    smoothed = smooth(weights, factors)
    return quantize(smoothed, bits, smooth_moments(moments, factors)), shape_of(model)


def _keep_quantized(base: Base, adapter: Path, bits: Bits, examples: Iterable[List[int]]) -> Path:
    files = ("adapter_config.json", "adapter_model.safetensors")
    origin = [str(_FORMAT), bits, base.sha256, *(file_sha256(adapter / file) for file in files)]
    made_from = hashlib.sha256(" ".join(origin).encode("ascii")).hexdigest()
    folder = cache_dir() / "quantized" / f"{bits}-{made_from[:16]}"

    def make(path: Path) -> None:
        path.mkdir()
        write_quantized(path, *_quantized(base, adapter, bits, examples))

    keep(folder, made_from, make)
    _forget_oldest(folder)
    return folder


def _forget_oldest(used: Path) -> None:
    try:
        used.touch()
        models = sorted(used.parent.glob("*/"), key=lambda path: path.stat().st_mtime)
        for path in models[:-_MODELS_KEPT]:
            shutil.rmtree(path)
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    except OSError:
        # A shared cache that others tend, or one that another process is tending now.
        return


def write_quantized(folder: Path, weights: Weights, shape: Shape) -> None:
    """Store a quantised model.

    folder (Path): Where.
    weights (Weights): From `quantize`.
    shape (Shape): Its shape.
    """
    from safetensors.torch import save_file

    save_file(weights, folder / _FILE, metadata={"shape": json.dumps(shape._asdict())})


def read_quantized(folder: Path) -> Tuple[Weights, Shape]:
    """RETURNS (Tuple[Weights, Shape]): A quantised model, as it was stored.

    folder (Path): Where.
    """
    from safetensors import safe_open

    with safe_open(folder / _FILE, framework="pt") as file:
        shape = Shape(**json.loads(file.metadata()["shape"]))
        weights = {name: file.get_tensor(name) for name in file.keys()}
    # What is used as it is gets memory of its own, so that the file can be let go.
    return {
        name: tensor if is_packed(name) else tensor.clone() for name, tensor in weights.items()
    }, shape
