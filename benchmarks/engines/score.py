"""Scores the answers of engines, and collects their rows."""

from pathlib import Path
from typing import Annotated, List

import spacy
import srsly
import typer
from spacy.language import Language
from spacy.util import filter_spans
from transformers import AutoTokenizer
from wasabi import msg

from spacy_nerllm.corpus.docs import place_pairs
from spacy_nerllm.entity_map import read_answer
from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.evaluation.scorers import Span, score_spans
from spacy_nerllm.evaluation.texts import read_texts


def read_spans(nlp: Language, text: str, answer: str) -> List[Span]:
    doc = nlp.make_doc(text)
    pairs = [(pair.surface, pair.type) for pair in read_answer(answer).pairs]
    spans = filter_spans(place_pairs(doc, pairs))
    return [(span.start_char, span.end_char, span.label_) for span in spans]


def main(
    rows: Annotated[List[Path], typer.Argument(help="Rows of engines, JSON")],
    model: Annotated[Path, typer.Option(help="Folder of the tokenizer")],
    corpus: Annotated[Path, typer.Option(help="The texts of the prompts, JSONL")],
    notes: Annotated[Path, typer.Option(help='What there is to say, {"engine weights": "note"}')],
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/engines/results.json"
    ),
) -> None:
    nlp, tokenizer = spacy.blank("en"), AutoTokenizer.from_pretrained(model)
    said = srsly.read_json(notes)
    engines = []
    for row in map(srsly.read_json, rows):
        answers = [tokenizer.decode(ids) for ids in row.pop("answers")]
        texts = list(read_texts(corpus, len(answers)))
        found = [
            read_spans(nlp, text.text, answer) for text, answer in zip(texts, answers, strict=True)
        ]
        row["f1"] = round(100 * score_spans([text.spans for text in texts], found).f1, 2)
        row["note"] = said.get(f"{row['engine']} {row['weights']}", "")
        engines.append(row)
    srsly.write_json(out, {"machine": machine(), "engines": engines})
    columns = ("1x1", "1x12", "12x8", "12x170", "1x170")
    table = [
        (row["engine"], row["weights"], *(row["ms"][name] for name in columns), row["f1"])
        for row in engines
    ]
    msg.table(table, header=("engine", "weights", *columns, "F1"), divider=True)


if __name__ == "__main__":
    typer.run(main)
