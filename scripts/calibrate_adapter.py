"""Fit what turns an adapter's probabilities into confidences, and store it with the adapter."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from spacy_nerllm.corpus.records import read_records
from spacy_nerllm.generation.adapters import read_info, write_info
from spacy_nerllm.generation.checkpoints import resolve_base
from spacy_nerllm.generation.confidence import (
    Confidences,
    read_confidences,
    store_confidences,
)
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.training.confidence import fit_confidences
from spacy_nerllm.training.selection import answer_records

# Of an answer, at the most.
MOST_TOKENS = 512


def main(
    adapter: Annotated[Path, typer.Argument(help="Folder of the adapter")],
    val_file: Annotated[Path, typer.Argument(help="Records that were not trained on, JSONL")],
    base: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    limit: Annotated[int, typer.Option(help="The most records, 0 for all")] = 0,
) -> None:
    records = list(read_records(val_file))[: limit or None]
    generator = LocalGenerator.load(base, adapter, "auto", "auto")
    info = read_info(adapter, resolve_base(base))
    before = read_confidences(info.extra)
    fitted = fit_confidences(answer_records(generator, records, MOST_TOKENS), before)
    write_info(adapter, info.model_copy(update={"extra": store_confidences(info.extra, fitted)}))
    for mode, old, new in zip(Confidences._fields, before, fitted, strict=True):
        if new is old:
            msg.warn(f"{mode} types: too few pairs in {val_file}, left as it was")
        else:
            msg.good(f"{mode} types: slope {new.slope:.2f}, shift {new.shift:.2f}")


if __name__ == "__main__":
    typer.run(main)
