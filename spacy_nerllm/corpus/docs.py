"""Records and passages as spaCy docs, for `spacy evaluate` and others that read .spacy files."""

import random
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from ..entity_map import align_pairs
from .assemble import make_record
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


def doc_records(
    docs: Sequence[Doc], lang: str, source: str, rng: Optional[random.Random]
) -> Iterator[Record]:
    """Make records of annotated docs.

    docs (Sequence[Doc]): Docs in which every entity of their types is annotated in doc.ents.
    lang (str): ISO 639-1 code.
    source (str): Where the docs come from.
    rng (Optional[random.Random]): Names all types of the docs in each prompt, in an order by
        chance; None to name none, which teaches that nothing else is an entity.
    YIELDS (Record): One for each doc.
    """
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    for doc in docs:
        entities = [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
        types = rng.sample(labels, len(labels)) if rng and labels else None
        yield make_record(doc.text, entities, types, lang, source)


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
