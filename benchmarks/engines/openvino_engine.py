"""OpenVINO: a Llama graph of its opset in which RMS norms, rotary embedding and attention with its
cache are fused, with weights in 8 bits per channel or in 4 bits per group of 64.
"""

from pathlib import Path
from typing import Annotated, Dict, List, Sequence

import numpy as np
import openvino as ov
import openvino.opset13 as op
import typer
from openvino import PartialShape, Type
from openvino.op.util import Variable, VariableInfo
from safetensors.numpy import load_file
from workload import THREADS, Masked, Shape, report

GROUP = 64
Output = ov.Output
app = typer.Typer(pretty_exceptions_enable=False)


class Builder:
    """Makes the graph."""

    def __init__(self, model: Path, bits: int) -> None:
        self._weights = load_file(model / "model.safetensors")
        self._shape = Shape.read(model)
        self._bits = bits
        self._sinks: List[ov.Node] = []
        self._embedding = _stored(self._weights["model.embed_tokens.weight"], 8)

    def build(self) -> ov.Model:
        shape = self._shape
        ids = _input("ids", [-1, -1], Type.i64)
        positions = _input("positions", [-1, -1], Type.i64)
        mask = _input("mask", [-1, 1, -1, -1], Type.f32)
        self._beam = _input("beam", [-1], Type.i32)
        wanted = _input("wanted", [-1], Type.i64)
        self._rows = op.gather(op.shape_of(ids), _const([0]), _const(0))
        self._mask = mask
        inverse = shape.theta ** -(np.arange(0, shape.head, 2, dtype=np.float32) / shape.head)
        angles = op.matmul(
            op.convert(op.unsqueeze(positions, _const(2)), "f32"),
            _const(inverse[None, None]),
            False,
            False,
        )
        angles = op.unsqueeze(op.concat([angles, angles], -1), _const(1))
        self._cos, self._sin = op.cos(angles), op.sin(angles)
        x = op.gather(self._embedding, op.convert(ids, "i32"), _const(0))
        for layer in range(shape.layers):
            x = self._layer(x, f"model.layers.{layer}")
        x = self._norm(x, "model.norm")
        width = shape.heads * shape.head
        x = op.gather(op.reshape(x, _const([-1, width]), False), wanted, _const(0))
        scores = op.result(op.matmul(x, self._embedding, False, True))
        return ov.Model([scores], self._sinks, [ids, positions, mask, self._beam, wanted], "llama")

    def _layer(self, x: Output, name: str) -> Output:
        shape = self._shape
        attention, mlp = f"{name}.self_attn", f"{name}.mlp"
        h = self._norm(x, f"{name}.input_layernorm")
        h = self._linear(h, *(f"{attention}.{part}_proj" for part in "qkv"))
        heads = [shape.heads, shape.kv_heads, shape.kv_heads]
        parts = op.variadic_split(h, _const(2), _const([n * shape.head for n in heads])).outputs()
        query, key, value = (self._heads(x, n) for x, n in zip(parts, heads, strict=True))
        query, key = self._rotate(query), self._rotate(key)
        key, value = self._cached(key, f"{name}.key"), self._cached(value, f"{name}.value")
        h = op.scaled_dot_product_attention(query, key, value, self._mask, causal=False)
        h = op.transpose(h, _const([0, 2, 1, 3]))
        h = op.reshape(h, _const([0, 0, shape.heads * shape.head]), True)
        x = op.add(x, self._linear(h, f"{attention}.o_proj"))
        h = self._norm(x, f"{name}.post_attention_layernorm")
        h = self._linear(h, f"{mlp}.gate_proj", f"{mlp}.up_proj")
        gate, up = op.split(h, _const(2), 2).outputs()
        return op.add(x, self._linear(op.multiply(op.swish(gate), up), f"{mlp}.down_proj"))

    def _norm(self, x: Output, name: str) -> Output:
        square = op.reduce_mean(op.power(x, _const(np.float32(2))), _const([-1]), True)
        root = op.sqrt(op.add(square, _const(np.float32(self._shape.eps))))
        scaled = op.multiply(x, op.divide(_const(np.float32(1)), root))
        return op.multiply(_const(self._weights[f"{name}.weight"][None, None]), scaled)

    def _linear(self, x: Output, *names: str) -> Output:
        weight = np.concatenate([self._weights[f"{name}.weight"] for name in names])
        return op.matmul(x, _stored(weight, self._bits), False, True)

    def _heads(self, x: Output, heads: int) -> Output:
        x = op.reshape(x, _const([0, 0, heads, self._shape.head]), True)
        return op.transpose(x, _const([0, 2, 1, 3]))

    def _rotate(self, x: Output) -> Output:
        half = self._shape.head // 2
        last, one = _const([np.iinfo(np.int64).max]), _const([1])
        left = op.slice(x, _const([0]), _const([half]), one, _const([3]))
        right = op.slice(x, _const([half]), last, one, _const([3]))
        turned = op.concat([op.multiply(right, _const(np.float32(-1))), left], -1)
        return op.add(op.multiply(x, self._cos), op.multiply(turned, self._sin))

    def _cached(self, new: Output, name: str) -> Output:
        """Add to the cache, and repeat each head for the queries that share it."""
        shape = self._shape
        info = VariableInfo()
        info.data_shape = PartialShape([-1, shape.kv_heads, -1, shape.head])
        info.data_type, info.variable_id = Type.f32, name
        variable = Variable(info)
        none = op.concat([self._rows, _const([shape.kv_heads, 0, shape.head])], 0)
        past = op.read_value(op.broadcast(_const(np.float32(0)), none), variable)
        present = op.concat([op.gather(past, self._beam, _const(0)), new], 2)
        self._sinks.append(op.assign(present, variable))
        repeats = [1, 1, shape.heads // shape.kv_heads, 1, 1]
        x = op.unsqueeze(present, _const(2))
        x = op.broadcast(x, _const(repeats), broadcast_spec="BIDIRECTIONAL")
        return op.reshape(x, _const([0, shape.heads, -1, shape.head]), True)


def _stored(weight: np.ndarray, bits: int) -> Output:
    if bits == 32:
        return _const(weight)
    groups = weight.reshape(len(weight), -1, GROUP if bits == 4 else weight.shape[1])
    low, high = groups.min(2, keepdims=True), groups.max(2, keepdims=True)
    steps = 2**bits - 1
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = np.maximum((high - low) / steps, 1e-8).astype(np.float32)
    zero = np.round(-low / scale)
    rounded = np.clip(np.round(groups / scale + zero), 0, steps)
    if bits == 8:
        rounded, zero, scale = rounded[:, 0], zero[:, 0], scale[:, 0]
    x = op.subtract(
        op.convert(_unsigned(rounded, bits), "f32"), op.convert(_unsigned(zero, bits), "f32")
    )
    x = op.multiply(x, _const(scale))
    return op.reshape(x, _const(list(weight.shape)), False) if bits == 4 else x


def _const(value: object) -> Output:
    return op.constant(np.asarray(value))


def _input(name: str, dims: Sequence[int], kind: Type) -> ov.Node:
    node = op.parameter(PartialShape(list(dims)), kind)
    node.output(0).set_names({name})
    return node


def _unsigned(values: np.ndarray, bits: int) -> Output:
    values = values.astype(np.uint8)
    if bits == 8:
        return _const(values)
    tensor = ov.Tensor(Type.u4, ov.Shape(values.shape))
    flat = values.reshape(-1)
    tensor.data[:] = flat[0::2] | (flat[1::2] << 4)
    return op.constant(tensor)


class OpenVino(Masked):
    """Runs the graph."""

    def __init__(self, path: Path, settings: Dict[str, object]) -> None:
        common = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
        self.compiled = ov.Core().compile_model(path, "CPU", {**common, **settings})
        self._request = self.compiled.create_infer_request()

    def reset(self, rows: int) -> None:
        super().reset(rows)
        self._request.reset_state()

    def run(self, ids: np.ndarray, wanted: Sequence[int] = ()) -> np.ndarray:
        positions, seen = self._add(ids.shape[1])
        inputs = {
            "ids": ids,
            "positions": positions,
            "mask": np.where(seen, np.float32(0), np.float32(-1e9)),
            "beam": np.arange(len(ids), dtype=np.int32),
            "wanted": np.array(wanted, dtype=np.int64),
        }
        return self._request.infer(inputs)[0]


@app.command()
def build(
    model: Annotated[Path, typer.Argument(help="Folder of config.json and model.safetensors")],
    out: Annotated[Path, typer.Argument(help="Where to write the graph, .xml")],
    bits: Annotated[int, typer.Option(help="Of weights: 32, 8 or 4")] = 8,
) -> None:
    """Make the graph."""
    ov.save_model(Builder(model, bits).build(), out, compress_to_fp16=False)


@app.command()
def run(
    graph: Annotated[Path, typer.Argument(help="The graph, .xml")],
    prompts: Annotated[Path, typer.Argument(help="Token ids of prompts, JSON")],
    out: Annotated[Path, typer.Argument(help="Where to write the row, JSON")],
    weights: Annotated[str, typer.Option(help="What the graph holds, for the row")],
    precision: Annotated[str, typer.Option(help="Inference precision: f32 or bf16")] = "f32",
) -> None:
    """Measure it."""
    engine = OpenVino(graph, {"INFERENCE_PRECISION_HINT": precision})
    layers = [node.get_rt_info()["layerType"].value for node in _executed(engine)]
    print({kind: layers.count(kind) for kind in sorted(set(layers))})
    report(
        out,
        engine,
        "OpenVINO",
        weights=f"{weights}, {precision}",
        package="openvino",
        added=["openvino", "openvino-telemetry"],
        model=graph.with_suffix(".bin"),
        prompts=prompts,
    )


def _executed(engine: OpenVino) -> List[ov.Node]:
    return engine.compiled.get_runtime_model().get_ordered_ops()


if __name__ == "__main__":
    app()
