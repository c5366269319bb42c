"""Write the parts of a corpus of passages as records and as .spacy files."""

from pathlib import Path
from typing import Annotated, Optional

import spacy
import typer
from spacy.tokens import DocBin
from wasabi import msg

from spacy_nerllm.corpus.assemble import open_records
from spacy_nerllm.corpus.docs import passage_docs
from spacy_nerllm.corpus.records import write_records
from spacy_nerllm.corpus.splits import read_splits


def main(
    out: Annotated[Path, typer.Argument(help="Folder for PART.jsonl and PART.spacy")],
    passages: Annotated[Path, typer.Option(help="Folder of passages that fixes its parts")] = Path(
        "assets/open_types"
    ),
    lang: Annotated[
        Optional[str], typer.Option(help="This language alone, with its tokenizer; else all, xx")
    ] = None,
) -> None:
    nlp = spacy.blank(lang or "xx")
    for part, of_part in read_splits(passages).items():
        chosen = [passage for passage in of_part if lang in (None, passage.lang)]
        records = list(open_records(chosen))
        write_records(out / f"{part}.jsonl", records)
        docs = list(passage_docs(chosen, nlp))
        DocBin(docs=docs).to_disk(out / f"{part}.spacy")
        kept = sum(len(doc.ents) for doc in docs)
        marked = sum(len(passage.entities) for passage in chosen)
        msg.good(f"{part}: {len(records)} passages; {kept} of {marked} entities fit the tokens")


if __name__ == "__main__":
    typer.run(main)
