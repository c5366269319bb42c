"""Fit what turns an adapter's probabilities into confidences, and store it with the adapter."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from spacy_nerllm.corpus.records import read_records
from spacy_nerllm.generation.adapters import read_info, write_info
from spacy_nerllm.generation.checkpoints import resolve_base
from spacy_nerllm.generation.confidence import store_confidences
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.training.confidence import fit_confidences
from spacy_nerllm.training.selection import answer_records


def main(
    adapter: Annotated[Path, typer.Argument(help="Folder of the adapter")],
    val_file: Annotated[Path, typer.Argument(help="Records that were not trained on, JSONL")],
    base: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    limit: Annotated[int, typer.Option(help="The most records, 0 for all")] = 0,
) -> None:
    records = list(read_records(val_file))[: limit or None]
    generator = LocalGenerator.load(base, adapter, "auto", "auto")
    confidences = fit_confidences(answer_records(generator, records))
    info = read_info(adapter, resolve_base(base))
    extra = store_confidences(info.extra, confidences)
    write_info(adapter, info.model_copy(update={"extra": extra}))
    for mode, confidence in confidences._asdict().items():
        msg.good(f"{mode} types: slope {confidence.slope:.2f}, shift {confidence.shift:.2f}")


if __name__ == "__main__":
    typer.run(main)
