"""Where the time of tagging goes, on the texts of speed.py."""

from pathlib import Path
from typing import Annotated, Dict, List

import srsly
import torch
import typer
from speed import THREADS, load, tag_first
from timing import timed
from wasabi import msg

from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.generation import copying, network, onednn
from spacy_nerllm.generation.store import Store


def watch() -> Dict[str, float]:
    """RETURNS (Dict[str, float]): Seconds by part, which grow. Some parts lie within others."""
    spent: Dict[str, float] = {}
    parts = [
        (network.Network, "states", "passes"),
        (network.Network, "_attend", "passes: attention with its matrices"),
        (network.Network, "_mix", "passes: attention itself"),
        (network.Network, "_mlp", "passes: MLP"),
        (onednn.OneDnnInt8, "__call__", "passes and scores: matrices in 8 bits"),
        (Store, "put", "passes: storing keys and values"),
        (network.Network, "scores", "scores of the vocabulary"),
        (copying._Row, "guess", "guessing"),
        (copying._Row, "choose", "choosing"),
        (copying.CopyingDecoder, "_make_room", "making room"),
    ]
    for owner, method, name in parts:
        setattr(owner, method, timed(getattr(owner, method), spent, name))
    return spent


class _Sizes:
    """Counts the tokens and rows of passes."""

    def __init__(self) -> None:
        self.reading: List[int] = []
        self.writing: List[int] = []
        self.rows: List[int] = []
        states = network.Network.states

        def count(own: network.Network, runs: List[network.Run], *rest: object) -> torch.Tensor:
            lengths = [len(run.tokens) for run in runs]
            # A prompt is longer than what is guessed.
            reads = max(lengths) > 1 + copying._MOST_GUESSED
            (self.reading if reads else self.writing).append(sum(lengths))
            if not reads:
                self.rows.append(len(runs))
            return states(own, runs, *rest)

        network.Network.states = count


def main(
    data: Annotated[Path, typer.Argument(help="Folder of corpora, JSONL")],
    labels: Annotated[Path, typer.Argument(help="Types of each corpus, JSON")],
    limit: Annotated[int, typer.Option(help="Texts of each corpus")] = 40,
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/profile_tagging.json"
    ),
) -> None:
    torch.set_num_threads(THREADS)
    generator = load("auto")
    spent, sizes = watch(), _Sizes()
    answers, seconds = tag_first(generator, data, labels, limit)
    written = sum(len(answer.ends) for answer in answers)
    result = {
        "machine": machine(),
        "texts": len(answers),
        "seconds": round(seconds, 1),
        "answer_tokens": written,
        "reading": {"passes": len(sizes.reading), "tokens": sum(sizes.reading)},
        "writing": {
            "passes": len(sizes.writing),
            "tokens": sum(sizes.writing),
            "rows_a_pass": round(sum(sizes.rows) / len(sizes.rows), 1),
        },
        "percent": {name: round(100 * spend / seconds, 1) for name, spend in spent.items()},
    }
    srsly.write_json(out, result)
    msg.table(sorted(result["percent"].items()), header=("part", "%"), divider=True)
    msg.info(f"{result['reading']}, {result['writing']}, {written} tokens of answers")


if __name__ == "__main__":
    typer.run(main)
