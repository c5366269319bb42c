"""torch and transformers: in fp32 and bf16, quantised with torch's own dynamic int8 (fbgemm or
onednn), and with torchao in int8 and int4. Nothing is compiled.
"""

from pathlib import Path
from typing import Annotated, Literal, Sequence

import numpy as np
import torch
import typer
from torch import nn
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel
from workload import THREADS, Masked, report

GROUP = 64
Kind = Literal["fp32", "bf16", "fbgemm", "onednn", "torchao-int8", "torchao-int4"]


class Transformers(Masked):
    """Runs the model of transformers."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model.eval()

    def reset(self, rows: int) -> None:
        super().reset(rows)
        self._cache = DynamicCache(config=self._model.config)

    @torch.inference_mode()
    def run(self, ids: np.ndarray, wanted: Sequence[int] = ()) -> np.ndarray:
        positions, seen = self._add(ids.shape[1])
        dtype = self._model.dtype
        mask = torch.zeros(seen.shape, dtype=dtype)
        mask.masked_fill_(torch.from_numpy(~seen), torch.finfo(dtype).min)
        states = self._model.model(
            input_ids=torch.from_numpy(ids),
            position_ids=torch.from_numpy(positions),
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        chosen = states.flatten(0, 1)[list(wanted)]
        return self._model.lm_head(chosen).float().numpy() if wanted else chosen.float().numpy()


def load(path: Path, kind: Kind) -> PreTrainedModel:
    """Load a model, and quantise its linear layers but the head."""
    dtype = torch.bfloat16 if kind in ("bf16", "torchao-int4") else torch.float32
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    if kind in ("fbgemm", "onednn"):
        torch.backends.quantized.engine = kind
        model.model = torch.ao.quantization.quantize_dynamic(model.model, {nn.Linear})
    if kind.startswith("torchao"):
        from torchao.quantization import quantize_

        quantize_(model.model, _torchao_config(kind))
    return model


def _torchao_config(kind: Kind) -> object:
    from torchao.quantization import Int4WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig

    if kind == "torchao-int8":
        return Int8DynamicActivationInt8WeightConfig()
    return Int4WeightOnlyConfig(group_size=GROUP, int4_packing_format="opaque")


def main(
    model: Annotated[Path, typer.Argument(help="Folder of config.json and model.safetensors")],
    prompts: Annotated[Path, typer.Argument(help="Token ids of prompts, JSON")],
    out: Annotated[Path, typer.Argument(help="Where to write the row, JSON")],
    kind: Annotated[Kind, typer.Option(help="How it runs")] = "fp32",
) -> None:
    torch.set_num_threads(THREADS)
    engine = Transformers(load(model, kind))
    added = ["torchao"] if kind.startswith("torchao") else []
    report(
        out,
        engine,
        "torchao" if added else "torch",
        weights=kind,
        package=added[0] if added else "torch",
        added=added,
        model=model / "model.safetensors",
        prompts=prompts,
    )


if __name__ == "__main__":
    typer.run(main)
