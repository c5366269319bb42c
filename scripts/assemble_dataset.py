"""Mix passages and corpora into train.jsonl and val.jsonl."""

import random
from pathlib import Path
from typing import Annotated, Optional

import srsly
import typer
from wasabi import msg

from spacy_nerllm.corpus.assemble import (
    corpus_records,
    given_records,
    open_records,
    part_passages,
)
from spacy_nerllm.corpus.given_types import read_type_names
from spacy_nerllm.corpus.records import write_records


def main(
    out: Annotated[Path, typer.Argument(help="Folder for train.jsonl and val.jsonl")],
    passages: Annotated[Path, typer.Option(help="Folder of passages in markup")] = Path(
        "assets/open_types"
    ),
    without_passages: Annotated[
        bool, typer.Option("--without-passages", help="Take the corpora alone, to compare")
    ] = False,
    names: Annotated[Path, typer.Option(help="Broader types and synonyms")] = Path(
        "assets/type_names.json"
    ),
    finer: Annotated[Optional[Path], typer.Option(help="Finer types by passage, JSON")] = None,
    corpora: Annotated[Optional[Path], typer.Option(help="Folder of corpora, JSONL")] = None,
    mixture: Annotated[
        Optional[Path], typer.Option(help="Corpus to its most records, JSON")
    ] = None,
    openly: Annotated[
        bool, typer.Option("--openly", help="Ask the corpora for open types too, to compare")
    ] = False,
    open_repeats: Annotated[int, typer.Option(help="Times each passage is asked for openly")] = 1,
    given_variants: Annotated[
        int, typer.Option(help="Times each passage is asked for given types")
    ] = 1,
    val_part: Annotated[
        float, typer.Option(help="Part of the passages to validate on, if they fix none")
    ] = 0.06,
    limit: Annotated[int, typer.Option(help="Train only on so many passages, 0 for all")] = 0,
    val_limit: Annotated[int, typer.Option(help="Validate only on so many, 0 for all")] = 0,
    seed: Annotated[int, typer.Option(help="Of order and choices")] = 0,
) -> None:
    rng = random.Random(seed)
    type_names = read_type_names(names)
    finer_types = srsly.read_json(finer) if finer else {}
    train_part, val_passages = [], []
    if not without_passages:
        train_part, val_passages = part_passages(passages, val_part, rng)
    train_part = train_part[: limit or None]
    val_passages = val_passages[: val_limit or None]
    train, val = [], []
    for _ in range(open_repeats):
        train.extend(open_records(train_part))
    train.extend(given_records(train_part, type_names, finer_types, given_variants, rng))
    val.extend(open_records(val_passages))
    val.extend(given_records(val_passages, type_names, finer_types, 1, rng))
    for name, most in (srsly.read_json(mixture) if mixture and corpora else {}).items():
        path = corpora / f"{name}.jsonl"
        records = corpus_records(path, most, type_names, rng, openly=openly)
        (val if name.endswith("_dev") else train).extend(records)
        msg.text(f"{name}: {len(records)} records")
    rng.shuffle(train)
    write_records(out / "train.jsonl", train)
    write_records(out / "val.jsonl", val)
    msg.good(f"{len(train)} records to train on, {len(val)} to validate on, in {out}")


if __name__ == "__main__":
    typer.run(main)
