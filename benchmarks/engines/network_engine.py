"""Our own network, as it is shipped: see `spacy_nerllm.generation.network`."""

from pathlib import Path
from typing import Annotated, Sequence

import numpy as np
import torch
import typer
from workload import THREADS, report

from spacy_nerllm.generation.merging import read_quantized
from spacy_nerllm.generation.network import Network, Run
from spacy_nerllm.generation.quantization import widen

PLACES = 512


class Own:
    """Rows are written at their own positions, so that a rejected token is one not counted."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def reset(self, rows: int) -> None:
        self._store = self._network.new_store(rows, PLACES)
        self._lengths = [0] * rows

    @torch.inference_mode()
    def run(self, ids: np.ndarray, wanted: Sequence[int] = ()) -> np.ndarray:
        runs = [Run(row, start) for row, start in zip(ids.tolist(), self._lengths, strict=True)]
        self._lengths = [length + ids.shape[1] for length in self._lengths]
        states = self._network.states(runs, self._store, 0)[list(wanted)]
        return (self._network.scores(states) if wanted else states).float().numpy()

    def reject(self, counts: Sequence[int]) -> None:
        both = zip(self._lengths, counts, strict=True)
        self._lengths = [length - count for length, count in both]


def main(
    model: Annotated[Path, typer.Argument(help="Folder of a quantised model, from the cache")],
    prompts: Annotated[Path, typer.Argument(help="Token ids of prompts, JSON")],
    out: Annotated[Path, typer.Argument(help="Where to write the row, JSON")],
    bits: Annotated[str, typer.Option(help="What it is in, for the row")] = "int8",
) -> None:
    torch.set_num_threads(THREADS)
    weights, shape = read_quantized(model)
    report(
        out,
        Own(Network(widen(weights), shape)),
        "spacy_nerllm",
        weights=bits,
        package="spacy_nerllm",
        added=[],
        model=model,
        prompts=prompts,
    )


if __name__ == "__main__":
    typer.run(main)
