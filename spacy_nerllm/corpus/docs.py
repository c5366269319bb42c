"""Records and passages as spaCy docs, for `spacy evaluate` and others that read .spacy files."""

from typing import Iterable, Iterator, List, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from ..entity_map import align_pairs
from .markup import Passage
from .records import Record


def passage_docs(passages: Iterable[Passage], nlp: Language) -> Iterator[Doc]:
    """Make gold docs of passages.

    passages (Iterable[Passage]): The passages.
    nlp (Language): Its tokenizer is used.
    YIELDS (Doc): Docs with their entities set. Those that do not start and end with a token of
        the tokenizer cannot be set, and are left out.
    """
    for passage in passages:
        doc = nlp.make_doc(passage.text)
        spans = (doc.char_span(start, end, label=type_) for start, end, type_ in passage.entities)
        doc.ents = [span for span in spans if span is not None]
        yield doc


def gold_docs(records: Iterable[Record], nlp: Language) -> Iterator[Doc]:
    """Make gold docs of the records that ask for open types.

    Those with given types are left out: a pipeline has one set of labels, they have one each.

    records (Iterable[Record]): The records.
    nlp (Language): Its tokenizer is used.
    YIELDS (Doc): Docs with their entities set, also where there are none.
    """
    for record in records:
        if record["types"] is not None:
            continue
        doc = nlp.make_doc(record["input"])
        doc.ents = filter_spans(place_pairs(doc, list(record["output"].items())))
        yield doc


def place_pairs(doc: Doc, pairs: Sequence[Tuple[str, str]]) -> List[Span]:
    """Place the pairs of an entity map in a doc.

    doc (Doc): The doc.
    pairs (Sequence[Tuple[str, str]]): (surface, type), each surface once.
    RETURNS (List[Span]): Every occurrence, by start; they may overlap.
    """
    tokens = [(token.idx, token.idx + len(token)) for token in doc]
    placed = align_pairs(doc.text, pairs, tokens).spans
    return [doc.char_span(span.start, span.end, label=span.type) for span in placed]
