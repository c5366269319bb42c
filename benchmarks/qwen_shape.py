"""Size, memory and time of a model of Qwen3-0.6B's shape in 4 and 8 bits, on the CPU.

Its weights are random: what is measured does not depend on them, and says nothing of F1. For the
same reason matrices are rounded without examples.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Dict, Optional

import srsly
import torch
import typer
from wasabi import msg

from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.generation.merging import read_quantized, write_quantized
from spacy_nerllm.generation.network import Network, Run
from spacy_nerllm.generation.quantization import quantize, widen
from spacy_nerllm.generation.weights import fuse_weights, shape_of

THREADS = 2
REPEATS = 7
# (rows, tokens of each, tokens before them): a prompt, and passes of one answer and of eight.
PASSES = {"prompt_170_ms": (1, 170, 0), "one_answer_ms": (1, 9, 170), "eight_ms": (8, 9, 170)}


def make(folder: Path, bits: str) -> None:
    """Make a model and store it, as on first use."""
    from transformers import AutoModelForCausalLM, Qwen3Config

    config = Qwen3Config(
        vocab_size=151936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=40960,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    folder.mkdir(exist_ok=True)
    with torch.inference_mode():
        write_quantized(folder, quantize(fuse_weights(model), bits), shape_of(model))


def measure(folder: Path) -> Dict[str, Any]:
    """Load it as from the second start on, and run passes."""
    torch.set_num_threads(THREADS)
    begin = time.perf_counter()
    weights, shape = read_quantized(folder)
    network = Network(widen(weights), shape)
    del weights
    found = {"load_s": round(time.perf_counter() - begin, 1)}
    for name, (rows, tokens, before) in PASSES.items():
        found[name] = round(1000 * _time_pass(network, rows, tokens, before), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**found, "peak_rss_mb": round(peak / 1e6)}


def _time_pass(network: Network, rows: int, tokens: int, before: int) -> float:
    runs = [Run([5] * tokens, before)] * rows
    seconds = []
    with torch.inference_mode():
        store = network.new_store(rows, before + tokens)
        if before:
            network.states([Run([5] * before, 0)] * rows, store, 0)
        for _ in range(REPEATS):
            begin = time.perf_counter()
            network.scores(network.states(runs, store, 0)[-rows:])
            seconds.append(time.perf_counter() - begin)
    return sorted(seconds)[REPEATS // 2]


def main(
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/qwen_shape.json"
    ),
    folder: Annotated[Optional[Path], typer.Option(hidden=True)] = None,
    bits: Annotated[Optional[str], typer.Option(hidden=True)] = None,
) -> None:
    if folder and bits:
        make(folder, bits)
        return
    if folder:
        print(json.dumps(measure(folder)))
        return
    rows = []
    for kind in ("int4", "int8"):
        with tempfile.TemporaryDirectory() as work:
            command = [sys.executable, __file__, "--folder", work]
            subprocess.run([*command, "--bits", kind], check=True)
            size = sum(path.stat().st_size for path in Path(work).iterdir())
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            rows.append({"bits": kind, "disk_mb": round(size / 1e6), **json.loads(printed)})
    srsly.write_json(out, {"weights": "random", "machine": machine(), "rows": rows})
    msg.table([list(row.values()) for row in rows], header=list(rows[0]), divider=True)


if __name__ == "__main__":
    typer.run(main)
