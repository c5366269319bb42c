"""ONNX Runtime: a Llama graph of its contributed operators, with weights in 8 bits per channel and
dynamic int8 activations, or in 8 or 4 bits per group of 64 (MatMulNBits).
"""

from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Optional, Sequence, Tuple

import numpy as np
import onnx
import onnxruntime
import typer
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from workload import THREADS, Masked, Shape, report

GROUP = 64
CONTEXT = 2048
Weights = Literal["fp32", "dynamic8", "rows8", "blocks8", "blocks4"]
app = typer.Typer(pretty_exceptions_enable=False)


class Builder:
    """Makes the graph."""

    def __init__(self, model: Path, weights: Weights) -> None:
        self._weights = load_file(model / "model.safetensors")
        self._shape = Shape.read(model)
        self._width = len(self._weights["model.layers.0.mlp.gate_proj.weight"])
        self._stored = weights
        self._nodes: List[onnx.NodeProto] = []
        self._initial: Dict[str, onnx.TensorProto] = {}

    def build(self) -> onnx.ModelProto:
        shape = self._shape
        cache = [f"{kind}.{layer}" for layer in range(shape.layers) for kind in ("key", "value")]
        inputs = [
            _value("ids", TensorProto.INT64, ["rows", "new"]),
            _value("positions", TensorProto.INT64, ["rows", "new"]),
            _value("mask", TensorProto.FLOAT, ["rows", 1, "new", "total"]),
            _value("wanted", TensorProto.INT64, ["wanted"]),
        ]
        dims = ["rows", shape.kv_heads, "{}", shape.head]
        inputs += [
            _value(f"past.{name}", TensorProto.FLOAT, [*dims[:2], "past", dims[3]])
            for name in cache
        ]
        outputs = [
            _value(f"present.{name}", TensorProto.FLOAT, [*dims[:2], "total", dims[3]])
            for name in cache
        ]
        inverse = shape.theta ** -(np.arange(0, shape.head, 2, dtype=np.float64) / shape.head)
        angles = np.outer(np.arange(CONTEXT), inverse)
        self._const("cos", np.cos(angles).astype(np.float32))
        self._const("sin", np.sin(angles).astype(np.float32))
        x = self._embed()
        residual: Optional[str] = None
        for layer in range(shape.layers):
            x, residual = self._layer(x, residual, layer)
        x = self._norm(x, residual, "model.norm")[0]
        width = shape.heads * shape.head
        flat = self._node("Reshape", [x, self._const("flat", np.array([-1, width]))])
        x = self._node("Gather", [flat, "wanted"], axis=0)
        self._nodes[-1].output[0] = "last_states"
        scores = self._head("last_states")
        graph = helper.make_graph(
            self._nodes,
            "llama",
            inputs,
            [_value(scores, TensorProto.FLOAT, ["wanted", "vocabulary"]), *outputs],
            list(self._initial.values()),
        )
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=11)

    def _layer(self, x: str, residual: Optional[str], layer: int) -> Tuple[str, str]:
        shape, name = self._shape, f"model.layers.{layer}"
        h, residual = self._norm(x, residual, f"{name}.input_layernorm")
        h = self._linear(h, *(f"{name}.self_attn.{part}_proj" for part in "qkv"))
        query, key, value = self._split(
            h, [heads * shape.head for heads in (shape.heads, shape.kv_heads, shape.kv_heads)]
        )
        cache = [f"{{}}.{kind}.{layer}" for kind in ("key", "value")]
        h = self._node(
            "Attention",
            [
                self._rotate(query, shape.heads),
                self._rotate(key, shape.kv_heads),
                value,
                "mask",
                *(part.format("past") for part in cache),
            ],
            [part.format("present") for part in cache],
            q_num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
        )
        h = self._linear(h, f"{name}.self_attn.o_proj")
        h, residual = self._norm(h, residual, f"{name}.post_attention_layernorm")
        h = self._linear(h, f"{name}.mlp.gate_proj", f"{name}.mlp.up_proj")
        gate, up = self._split(h, [self._width, self._width])
        h = self._node("Mul", [self._node("QuickGelu", [gate], alpha=1.0), up])
        return self._linear(h, f"{name}.mlp.down_proj"), residual

    def _norm(self, x: str, residual: Optional[str], name: str) -> Tuple[str, str]:
        """RETURNS (Tuple[str, str]): The normed sum of both, and the sum."""
        gamma, eps = self._const(name, self._weights[f"{name}.weight"]), self._shape.eps
        if residual is None:
            return self._node("SimplifiedLayerNormalization", [x, gamma], axis=-1, epsilon=eps), x
        total = f"{name}.sum"
        normed = self._node(
            "SkipSimplifiedLayerNormalization", [x, residual, gamma], ["", "", total], epsilon=eps
        )
        return normed, total

    def _rotate(self, x: str, heads: int) -> str:
        return self._node("RotaryEmbedding", [x, "positions", "cos", "sin"], num_heads=heads)

    def _split(self, x: str, widths: Sequence[int]) -> List[str]:
        parts = [f"{x}.{part}" for part in range(1, len(widths))]
        name = f"widths.{'.'.join(map(str, widths))}"
        return [
            self._node("Split", [x, self._const(name, np.array(widths))], parts, axis=2),
            *parts,
        ]

    def _linear(self, x: str, *names: str) -> str:
        weight = np.concatenate([self._weights[f"{name}.weight"] for name in names])
        if self._stored == "fp32":
            return self._node("MatMul", [x, self._const(names[0], weight.T)])
        if self._stored in ("dynamic8", "rows8"):
            return self._bytes(x, names[0], weight)
        return self._blocks(x, names[0], weight, 8 if self._stored == "blocks8" else 4)

    def _bytes(self, x: str, name: str, weight: np.ndarray) -> str:
        """A scale for each channel of weights; for activations one for all, or one for each row."""
        scale = np.abs(weight).max(1) / 127
        rounded = np.round(weight / scale[:, None]).astype(np.int8)
        stored, scales = self._const(name, rounded.T), self._const(f"{name}.scale", scale)
        if self._stored == "dynamic8":
            return self._node("DynamicQuantizeMatMul", [x, stored, scales])
        last, step = np.array([-1]), np.array(1 / 127, dtype=np.float32)
        unit, zero = self._const("unit", step), self._const("zero", np.array(128, dtype=np.uint8))
        top = self._node("ReduceMax", [self._node("Abs", [x]), self._const("last_axis", last)])
        x = self._node("QuantizeLinear", [self._node("Div", [x, top]), unit, zero])
        x = self._node("MatMulIntegerToFloat", [x, stored, unit, scales, zero])
        return self._node("Mul", [x, top])

    def _blocks(self, x: str, name: str, weight: np.ndarray, bits: int) -> str:
        groups = weight.reshape(len(weight), -1, GROUP)
        low, high = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
        steps = 2**bits - 1
        scale = np.maximum((high - low) / steps, 1e-8)
        zero = np.round(-low / scale)
        rounded = np.clip(np.round(groups / scale[..., None] + zero[..., None]), 0, steps)
        stored, zero = rounded.astype(np.uint8), zero.astype(np.uint8)
        if bits == 4:
            zero = np.pad(zero, ((0, 0), (0, zero.shape[1] % 2)))
            stored = stored[..., 0::2] | (stored[..., 1::2] << 4)
            zero = zero[:, 0::2] | (zero[:, 1::2] << 4)
        parts = {"": stored, ".scale": scale.astype(np.float32), ".zero": zero}
        return self._node(
            "MatMulNBits",
            [x, *(self._const(f"{name}{part}", value) for part, value in parts.items())],
            K=weight.shape[1],
            N=weight.shape[0],
            bits=bits,
            block_size=GROUP,
            accuracy_level=4,
        )

    def _embed(self) -> str:
        """The vocabulary is in 8 bits, and its rows are found in what the head multiplies with."""
        weight = self._weights["model.embed_tokens.weight"]
        if self._stored == "fp32":
            return self._node("Gather", [self._const("vocabulary", weight), "ids"], axis=0)
        self._head_node = self._blocks("last_states", "vocabulary", weight, 8)
        self._head_nodes = [self._nodes.pop()]
        rows = [
            self._node("Gather", [f"vocabulary{part}", "ids"], axis=0)
            for part in ("", ".scale", ".zero")
        ]
        stored, scale, zero = rows
        last = self._const("last_axis", np.array([-1]))
        scale, zero = (self._node("Unsqueeze", [x, last]) for x in (scale, zero))
        stored, zero = (self._node("Cast", [x], to=TensorProto.FLOAT) for x in (stored, zero))
        x = self._node("Mul", [self._node("Sub", [stored, zero]), scale])
        return self._node("Reshape", [x, self._const("merged", np.array([0, 0, weight.shape[1]]))])

    def _head(self, x: str) -> str:
        if self._stored == "fp32":
            weight = self._weights["model.embed_tokens.weight"]
            return self._node("MatMul", [x, self._const("head", weight.T)])
        self._nodes += self._head_nodes
        return self._head_node

    def _const(self, name: str, value: np.ndarray) -> str:
        if name not in self._initial:
            self._initial[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _node(
        self, kind: str, inputs: Sequence[str], more: Sequence[str] = (), **attributes: Any
    ) -> str:
        """RETURNS (str): Its first output."""
        output = f"{kind}.{len(self._nodes)}"
        domain = "com.microsoft" if kind in CONTRIBUTED else ""
        self._nodes.append(
            helper.make_node(kind, inputs, [output, *more], domain=domain, **attributes)
        )
        return output


CONTRIBUTED = {
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "QuickGelu",
    "RotaryEmbedding",
    "SkipSimplifiedLayerNormalization",
}


def _value(name: str, kind: int, dims: Sequence[object]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


class OnnxRuntime(Masked):
    """Runs the graph."""

    def __init__(self, path: Path, shape: Shape) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        self._session = onnxruntime.InferenceSession(path, options)
        self._shape = shape
        self._outputs = [output.name for output in self._session.get_outputs()]

    def reset(self, rows: int) -> None:
        super().reset(rows)
        empty = np.zeros((rows, self._shape.kv_heads, 0, self._shape.head), dtype=np.float32)
        self._cache = [onnxruntime.OrtValue.ortvalue_from_numpy(empty)] * (2 * self._shape.layers)

    def run(self, ids: np.ndarray, wanted: Sequence[int] = ()) -> np.ndarray:
        positions, seen = self._add(ids.shape[1])
        inputs: Dict[str, np.ndarray] = {
            "ids": ids,
            "positions": positions,
            "mask": np.where(seen, np.float32(0), np.float32(-1e9)),
            "wanted": np.array(wanted, dtype=np.int64),
        }
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_cpu_input(name, value)
        for output, value in zip(self._outputs[1:], self._cache, strict=True):
            binding.bind_ortvalue_input(output.replace("present", "past"), value)
        for output in self._outputs:
            binding.bind_output(output)
        self._session.run_with_iobinding(binding)
        scores, *self._cache = binding.get_outputs()
        return scores.numpy()


@app.command()
def build(
    model: Annotated[Path, typer.Argument(help="Folder of config.json and model.safetensors")],
    out: Annotated[Path, typer.Argument(help="Where to write the graph, .onnx")],
    weights: Annotated[Weights, typer.Option(help="How they are stored")] = "dynamic8",
) -> None:
    """Make the graph."""
    onnx.save_model(Builder(model, weights).build(), out)


@app.command()
def run(
    model: Annotated[Path, typer.Argument(help="Folder of config.json")],
    graph: Annotated[Path, typer.Argument(help="The graph, .onnx")],
    prompts: Annotated[Path, typer.Argument(help="Token ids of prompts, JSON")],
    out: Annotated[Path, typer.Argument(help="Where to write the row, JSON")],
    weights: Annotated[str, typer.Option(help="What the graph holds, for the row")],
) -> None:
    """Measure it."""
    report(
        out,
        OnnxRuntime(graph, Shape.read(model)),
        "ONNX Runtime",
        weights=weights,
        package="onnxruntime",
        added=["onnxruntime", "flatbuffers", "protobuf", "onnx", "ml_dtypes"],
        model=graph,
        prompts=prompts,
    )


if __name__ == "__main__":
    app()
