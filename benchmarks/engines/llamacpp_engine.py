"""llama.cpp through the low-level interface of llama-cpp-python, which pip compiles."""

from pathlib import Path
from typing import Annotated, List, Sequence

import gguf
import llama_cpp
import numpy as np
import typer
from gguf.constants import GGMLQuantizationType
from safetensors.numpy import load_file
from workload import THREADS, Shape, report

ROWS = 12
CONTEXT = 512  # Of each row.
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
app = typer.Typer(pretty_exceptions_enable=False)


class LlamaCpp:
    """Runs a GGUF file, each row a sequence of its own."""

    def __init__(self, path: Path) -> None:
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params()
        )
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(
            llama_cpp.llama_model_get_vocab(self._model)
        )
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = ROWS * CONTEXT, ROWS
        params.n_batch = ROWS * CONTEXT
        params.n_outputs_max = params.n_outputs_max_per_seq = CONTEXT
        params.n_threads = params.n_threads_batch = THREADS
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(ROWS * CONTEXT, 0, 1)
        self._lengths: List[int] = []

    def reset(self, rows: int) -> None:
        llama_cpp.llama_memory_clear(self._memory, False)
        self._lengths = [0] * rows

    def reject(self, counts: Sequence[int]) -> None:
        for row, count in enumerate(counts):
            self._lengths[row] -= count
            llama_cpp.llama_memory_seq_rm(self._memory, row, self._lengths[row], -1)

    def run(self, ids: np.ndarray, wanted: Sequence[int] = ()) -> np.ndarray:
        rows, new = ids.shape
        batch, asked = self._batch, set(wanted)
        batch.n_tokens = rows * new
        for place, token in enumerate(ids.reshape(-1).tolist()):
            row, at = divmod(place, new)
            batch.token[place] = token
            batch.pos[place] = self._lengths[row] + at
            batch.n_seq_id[place] = 1
            batch.seq_id[place][0] = row
            batch.logits[place] = place in asked
        if llama_cpp.llama_decode(self._context, batch):
            raise RuntimeError("llama_decode failed")
        llama_cpp.llama_synchronize(self._context)
        self._lengths = [length + new for length in self._lengths]
        scores = [llama_cpp.llama_get_logits_ith(self._context, place) for place in wanted]
        return np.array([np.ctypeslib.as_array(one, (self._vocabulary,)) for one in scores])


@app.command()
def build(
    model: Annotated[Path, typer.Argument(help="Folder of config.json and model.safetensors")],
    like: Annotated[Path, typer.Argument(help="A GGUF file of the same model")],
    out: Annotated[Path, typer.Argument(help="Where to write the GGUF file")],
    kind: Annotated[str, typer.Option(help="Q8_0, Q4_1 or Q4_0; embeddings are Q8_0")] = "Q8_0",
) -> None:
    """Write weights into a GGUF file, with tokenizer and settings of another."""
    shape = Shape.read(model)
    reader, weights = gguf.GGUFReader(like), load_file(model / "model.safetensors")
    writer = gguf.GGUFWriter(out, "llama")
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            part = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], part)
    for name, weight in weights.items():
        if "q_proj" in name or "k_proj" in name:
            weight = _interleaved(weight, shape.heads if "q_proj" in name else shape.kv_heads)
        stored = GGMLQuantizationType.Q8_0 if "embed" in name else GGMLQuantizationType[kind]
        if weight.ndim == 1:
            stored = GGMLQuantizationType.F32
        writer.add_tensor(_name(name), gguf.quants.quantize(weight, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """The order of rows that llama.cpp's rotary embedding is for."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)


def _name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


@app.command()
def run(
    model: Annotated[Path, typer.Argument(help="The GGUF file")],
    prompts: Annotated[Path, typer.Argument(help="Token ids of prompts, JSON")],
    out: Annotated[Path, typer.Argument(help="Where to write the row, JSON")],
    weights: Annotated[str, typer.Option(help="What the file holds, for the row")],
) -> None:
    """Measure it."""
    report(
        out,
        LlamaCpp(model),
        "llama.cpp",
        weights=weights,
        package="llama-cpp-python",
        added=["llama-cpp-python", "diskcache"],
        model=model,
        prompts=prompts,
    )


if __name__ == "__main__":
    app()
