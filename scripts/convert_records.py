"""Turn records with open types into a .spacy file."""

from pathlib import Path
from typing import Annotated

import spacy
import typer
from spacy.tokens import DocBin
from wasabi import msg

from spacy_nerllm.corpus.docs import gold_docs
from spacy_nerllm.corpus.records import read_records


def main(
    records: Annotated[Path, typer.Argument(help="Records, JSONL")],
    output: Annotated[Path, typer.Argument(help="The .spacy file")],
    lang: Annotated[str, typer.Option(help="Language of the tokenizer")] = "xx",
    limit: Annotated[int, typer.Option(help="Take only so many docs, 0 for all")] = 0,
) -> None:
    docs = list(gold_docs(read_records(records), spacy.blank(lang)))[: limit or None]
    output.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs).to_disk(output)
    msg.good(f"{len(docs)} docs in {output}")


if __name__ == "__main__":
    typer.run(main)
