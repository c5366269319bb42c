"""Turn a .spacy file of annotated docs into records to train, validate and test on."""

import random
from pathlib import Path
from typing import Annotated

import spacy
import typer
from spacy.tokens import DocBin
from wasabi import msg

from spacy_nerllm.corpus.docs import doc_records
from spacy_nerllm.corpus.records import write_records


def main(
    annotated: Annotated[Path, typer.Argument(help="The .spacy file")],
    out: Annotated[Path, typer.Argument(help="Folder for train.jsonl, val.jsonl and test.spacy")],
    lang: Annotated[str, typer.Option(help="Language of the docs")] = "xx",
    val_part: Annotated[float, typer.Option(help="Part to choose the best adapter on")] = 0.15,
    test_part: Annotated[float, typer.Option(help="Part that is kept to score it")] = 0.25,
    openly: Annotated[
        bool, typer.Option("--openly", help="Name no types in prompts: for use without `labels`")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of parts and order")] = 0,
) -> None:
    nlp = spacy.blank(lang)
    # Each text once, so that none stands in two parts.
    by_text = {doc.text: doc for doc in DocBin().from_disk(annotated).get_docs(nlp.vocab)}
    docs = list(by_text.values())
    rng = random.Random(seed)
    rng.shuffle(docs)
    test, val = round(test_part * len(docs)), round(val_part * len(docs))
    parts = {"val": docs[test : test + val], "train": docs[test + val :]}
    if not all(parts.values()) or not any(doc.ents for doc in parts["train"]):
        msg.fail(f"{annotated} has {len(docs)} docs: too few with entities to part", exits=1)
    order = None if openly else rng
    # Together, so that each part names the types of all.
    records = list(doc_records([*parts["val"], *parts["train"]], lang, annotated.stem, order))
    write_records(out / "val.jsonl", records[:val])
    write_records(out / "train.jsonl", records[val:])
    DocBin(docs=docs[:test]).to_disk(out / "test.spacy")
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    msg.good(f"{len(records) - val} records to train on, {val} to validate on, {test} docs to test")
    msg.info(f"Types: {labels}")


if __name__ == "__main__":
    typer.run(main)
