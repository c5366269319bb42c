"""How much the entity map itself loses: gold spans -> answer -> spans, with spaCy's own tokens."""

from pathlib import Path
from typing import Annotated, Dict, List

import spacy
import srsly
import typer
from spacy.language import Language
from spacy.util import filter_spans
from wasabi import msg

from spacy_nerllm.corpus.docs import place_pairs
from spacy_nerllm.entity_map import pairs_from_spans, read_answer, write_answer
from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.evaluation.scorers import Span, score_spans
from spacy_nerllm.evaluation.texts import Text, read_texts


def through_the_map(nlp: Language, text: Text) -> List[Span]:
    doc = nlp.make_doc(text.text)
    pairs, _ = pairs_from_spans(text.text, text.spans)
    entity_map = read_answer(write_answer(pairs))
    read = [(pair.surface, pair.type) for pair in entity_map.pairs]
    spans = filter_spans(place_pairs(doc, read))
    return [(span.start_char, span.end_char, span.label_) for span in spans]


def main(
    data: Annotated[Path, typer.Argument(help="Folder of corpora, JSONL")],
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/oracle.json"
    ),
) -> None:
    pipelines: Dict[str, Language] = {}
    f1: Dict[str, float] = {}
    for path in sorted(data.glob("*.jsonl")):
        texts = list(read_texts(path))
        for lang in {text.lang for text in texts} - set(pipelines):
            pipelines[lang] = spacy.blank(lang)
        predicted = [through_the_map(pipelines[text.lang], text) for text in texts]
        f1[path.stem] = round(100 * score_spans([text.spans for text in texts], predicted).f1, 2)
    msg.table(f1, header=("corpus", "exact typed F1"), divider=True, aligns=("l", "r"))
    srsly.write_json(out, {"machine": machine(), "exact_typed_f1": f1})


if __name__ == "__main__":
    typer.run(main)
